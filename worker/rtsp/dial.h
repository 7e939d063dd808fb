/*
 * Opens a TCP connection to a camera by name.  Resolves the name and takes the address that answers
 * first (RFC 8305): tries addresses in getaddrinfo()'s order and starts the next when one fails or
 * has not answered for DIAL_NEXT_MS, while earlier attempts continue.  Worker, loop thread.  Only
 * the kernel's deadline applies: the owner closes a dial that takes too long.
 */
#ifndef WORKER_DIAL_H
#define WORKER_DIAL_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define DIAL_NEXT_MS 250       /* RFC 8305 section 5 */
#define DIAL_ADDRESSES_MAX 16u /* how many addresses of a name are tried */

struct dial_params {
    const char *host; /* name or address.  Borrowed for the call. */
    uint16_t port;
    const struct ipc_access *access; /* Borrowed until closed, like own_host; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct dial_events {
    /* A connected socket, non-blocking.  Moved: set *fd to -1 to keep it. */
    void (*on_connected)(void *ctx, int *fd);
    /* The last event: no address answers.  forbidden: the access list allows none of them. */
    void (*on_failed)(void *ctx, const char *detail, bool forbidden);
    void *ctx;
};

struct dial;

/**
 * @return NULL if the host is not a valid name.  Caller owns; dial_close().  No event comes during
 *         the call.
 */
struct dial *dial_open(uv_loop_t *loop, const struct dial_params *params,
                       const struct dial_events *events);

/** No event comes after this.  closed() is called once all is freed, never during the call. */
void dial_close(struct dial *dial, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_DIAL_H */
