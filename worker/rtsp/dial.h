/*
 * A TCP connection to a camera by name: looks the name up and connects to whichever of its
 * addresses answers first (RFC 8305): in the order of getaddrinfo(), the next one when one fails
 * or has not answered for DIAL_NEXT_MS, the earlier attempts going on.  Worker, loop thread.  Has
 * no deadline of its own beyond that of the kernel: whoever dials closes it when it takes too long.
 */
#ifndef WORKER_DIAL_H
#define WORKER_DIAL_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define DIAL_NEXT_MS 250       /* RFC 8305 section 5 */
#define DIAL_ADDRESSES_MAX 16u /* of one name; more are not tried */

struct dial_params {
    const char *host; /* name or address.  Borrowed for the call. */
    uint16_t port;
    const struct ipc_access *access; /* Borrowed until closed, as the next; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct dial_events {
    /* A connected socket, non-blocking.  Moved: *fd becomes -1 if it is taken. */
    void (*on_connected)(void *ctx, int *fd);
    /* No address answers.  forbidden: none may be connected to.  Nothing comes after this. */
    void (*on_failed)(void *ctx, const char *detail, bool forbidden);
    void *ctx;
};

struct dial;

/**
 * @return NULL if it is not a valid name.  Caller owns; dial_close().  No event comes from within.
 */
struct dial *dial_open(uv_loop_t *loop, const struct dial_params *params,
                       const struct dial_events *events);

/** No event comes after this.  Memory goes, and closed() is called, not before it returns. */
void dial_close(struct dial *dial, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_DIAL_H */
