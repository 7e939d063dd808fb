/*
 * Which files a worker may open: a few, for reading (Landlock, kernel 5.13; landlock(7)).
 *
 * A rule holds for a file, not for its name: a file that is replaced later (resolv.conf, by a DHCP
 * client) is not in reach of workers that run already, unless it is in a directory that is allowed.
 * sandbox_landlock_is_outdated() notices.
 */
#ifndef WORKER_SANDBOX_LANDLOCK_H
#define WORKER_SANDBOX_LANDLOCK_H

#include <stdbool.h>

/**
 * Allow the calling thread, and those it will start, what is in the lists of sandbox_landlock.c.
 * Needs no_new_privs.  From ABI 6 on (kernel 6.12) abstract Unix sockets and signals stay inside
 * the process, too.
 *
 * @return 0 or negative errno.
 */
int sandbox_landlock_enter(void);

/** As sandbox_is_outdated(). */
bool sandbox_landlock_is_outdated(void);

#endif /* WORKER_SANDBOX_LANDLOCK_H */
