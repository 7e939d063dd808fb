/*
 * Keeps a thread, and the libraries that it calls, from connecting to forbidden addresses.  Worker,
 * a source's own thread.
 *
 * libavformat resolves names and follows HTTP redirects without a hook for either.  So this program
 * defines connect(), which the dynamic linker prefers to libc's for every library.  On a guarded
 * thread, an address must be one that the camera's own name resolved to when the guard was set, or
 * be in a listed network.  Anything else, by a redirect or a second look-up, fails with EACCES
 * before a packet is sent.
 *
 * libavformat does not tell which socket it reads either: the guard notes what it connects.
 */
#ifndef WORKER_ADDRESS_GUARD_H
#define WORKER_ADDRESS_GUARD_H

#include "common/ipc.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ADDRESS_GUARD_MAX 16 /* addresses of one name; more are ignored */

#define ADDRESS_GUARD_SOCKETS 8 /* the newest ones are known */

struct address_guard {
    const struct ipc_access *access;
    struct in6_addr
        pinned[ADDRESS_GUARD_MAX]; /* IPv4 addresses are mapped, RFC 4291 section 2.5.5.2 */
    size_t count;
    bool refused; /* a connection to a forbidden address was tried */
    struct {
        int fd;
        ino_t inode; /* tells it from a later one with its number */
    } sockets[ADDRESS_GUARD_SOCKETS];
    size_t connected; /* sockets so far */
};

/**
 * Guard the calling thread until address_guard_leave().  Resolves the host, which may block.
 *
 * @param guard   overwritten.  Borrowed until then, as is access.
 * @param host    the camera's host.  One that does not resolve is no error until connecting.
 * @return 0; -EACCES if the host, or every address of it, is forbidden: then no guard is set.
 */
int address_guard_enter(struct address_guard *guard, const struct ipc_access *access,
                        const char *host);

/** @return the socket that the guarded thread connected and has not closed; -1 unless there is
 * exactly one.  Borrowed. */
int address_guard_socket(const struct address_guard *guard);

/** Allow the calling thread any address again. */
void address_guard_leave(void);

#endif /* WORKER_ADDRESS_GUARD_H */
