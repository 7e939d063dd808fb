/*
 * Keeps a thread from connecting to forbidden addresses, whoever calls connect().  Worker, a
 * source's own thread.
 *
 * libavformat looks names up by itself and follows redirects of HTTP cameras by itself, and has no
 * hook for either.  So this program has a connect() of its own, which the dynamic linker prefers to
 * libc's for every library: where a guard is set on the calling thread, an address must be one that
 * the camera's own name led to when the guard was set, or in a listed network.  A redirect or a
 * second look-up to anywhere else fails with EACCES before a packet is sent.
 */
#ifndef WORKER_ADDRESS_GUARD_H
#define WORKER_ADDRESS_GUARD_H

#include "common/ipc.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_GUARD_MAX 16 /* addresses of one name; more are not tried */

struct address_guard {
    const struct ipc_access *access;
    struct in6_addr pinned[ADDRESS_GUARD_MAX]; /* IPv4 as RFC 4291 section 2.5.5.2 maps it */
    size_t count;
    bool refused; /* somebody tried a forbidden address */
};

/**
 * Guard the calling thread until address_guard_leave().  Looks the host up, which may block.
 *
 * @param guard   overwritten.  Borrowed until then, as is access.
 * @param host    of the camera.  A host that does not resolve is no error here: connecting is.
 * @return 0, or -EACCES: the host, or every address of it, is forbidden; no guard is set.
 */
int address_guard_enter(struct address_guard *guard, const struct ipc_access *access,
                        const char *host);

/** Any address again. */
void address_guard_leave(void);

#endif /* WORKER_ADDRESS_GUARD_H */
