/*
 * All that takeover.h passes on, in one descriptor: a socket in whose queue the memory and the
 * descriptors wait.  systemd keeps it (fd_store.h), whatever their number, and whoever reads it has
 * them all.  Master, loop thread.
 *
 * A descriptor per viewer would be simpler, but systemd compares each with all that it has, keeps
 * no more than FileDescriptorStoreMax=, and would have to be told of every viewer that leaves.
 */
#ifndef MASTER_FD_PARCEL_H
#define MASTER_FD_PARCEL_H

#include "master/takeover.h"

#include <stddef.h>

/**
 * @param w          the descriptors stay the caller's, too.
 * @param listeners  as for takeover_seal().
 * @param left_out   how many descriptors found no room, of takeover_pass() before those of
 *                   takeover_pass_last(): the kernel bounds a queue, and what a user has in queues
 *                   (unix(7), ETOOMANYREFS).
 * @return the parcel, which the caller owns; or negative errno.
 */
int fd_parcel_pack(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS],
                   size_t *left_out);

/**
 * Take out duplicates of all that is in a parcel, which stays as it is.
 *
 * @param fd  Borrowed.
 * @return as takeover_read(); NONE: somebody has emptied it before.
 */
enum takeover_news fd_parcel_read(int fd, struct takeover **out);

/**
 * A program is about to believe what is in it.  The parcel itself counts that, so the next program
 * knows although this one may die of it.
 *
 * @return how often that has happened, this time included.  @param fd  Borrowed.
 */
unsigned fd_parcel_count_attempt(int fd);

/** Nobody finds anything in it any more.  @param fd  Borrowed; it may be anything. */
void fd_parcel_empty(int fd);

#endif /* MASTER_FD_PARCEL_H */
