/*
 * Lets a worker open a few files, for reading only (Landlock, kernel 5.13; landlock(7)).
 *
 * A rule applies to a file, not to its name.  When a file is replaced (resolv.conf, by a DHCP
 * client), running workers cannot open the new one unless its directory is allowed.
 * sandbox_landlock_is_outdated() notices that.
 */
#ifndef WORKER_SANDBOX_LANDLOCK_H
#define WORKER_SANDBOX_LANDLOCK_H

#include <stdbool.h>

/**
 * Restrict the calling thread, and those it starts later, to the files listed in
 * sandbox_landlock.c.  Needs no_new_privs.  From ABI 6 on (kernel 6.12) it also cannot reach
 * abstract Unix sockets or signal processes outside.
 *
 * @return 0 or negative errno.
 */
int sandbox_landlock_enter(void);

/** As sandbox_is_outdated(). */
bool sandbox_landlock_is_outdated(void);

#endif /* WORKER_SANDBOX_LANDLOCK_H */
