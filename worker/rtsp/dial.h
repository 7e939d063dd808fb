/*
 * A TCP connection to a camera by name.  Looks the name up and takes the address that answers
 * first (RFC 8305): tries them in the order of getaddrinfo() and starts with the next when one
 * fails or has not answered for DIAL_NEXT_MS, while the earlier attempts go on.  Worker, loop
 * thread.  The kernel has the only deadline: the owner closes a dial that takes too long.
 */
#ifndef WORKER_DIAL_H
#define WORKER_DIAL_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define DIAL_NEXT_MS 250       /* RFC 8305 section 5 */
#define DIAL_ADDRESSES_MAX 16u /* tried for one name */

struct dial_params {
    const char *host; /* name or address.  Borrowed for the call. */
    uint16_t port;
    const struct ipc_access *access; /* Borrowed until closed, as the next; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct dial_events {
    /* A connected socket, non-blocking.  Moved: set *fd to -1 to keep it. */
    void (*on_connected)(void *ctx, int *fd);
    /* No address answers.  forbidden: the access list allows none of them.  The last event. */
    void (*on_failed)(void *ctx, const char *detail, bool forbidden);
    void *ctx;
};

struct dial;

/**
 * @return NULL if it is not a valid name.  Caller owns; dial_close().  No event comes from within.
 */
struct dial *dial_open(uv_loop_t *loop, const struct dial_params *params,
                       const struct dial_events *events);

/** No event comes after this.  Once all is freed closed() is called, never from within. */
void dial_close(struct dial *dial, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_DIAL_H */
