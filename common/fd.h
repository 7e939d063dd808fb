/* File descriptors as owned values.  Every process, any thread. */
#ifndef COMMON_FD_H
#define COMMON_FD_H

#include <stddef.h>

struct msghdr;

/** Close *fd if it is open, and set it to -1.  Safe on -1; preserves errno. */
void fd_close(int *fd);

/** Take the descriptor out of *fd: return it and set *fd to -1.  Caller owns the result. */
int fd_take(int *fd);

/**
 * A connected pair of non-blocking, close-on-exec SOCK_SEQPACKET sockets.
 *
 * @param a,b  filled on success.  Caller owns both.
 * @return 0 or negative errno.
 */
int fd_seqpacket_pair(int *a, int *b);

/**
 * Let a message carry descriptors (SCM_RIGHTS, unix(7)).
 *
 * @param message  msg_control has room for them; msg_controllen is set.
 * @param fds      Borrowed: the message carries duplicates.
 */
void fd_put_rights(struct msghdr *message, const int *fds, size_t count);

/** Copy the descriptors that a message brought, at most max. @return how many.  Caller owns them.
 */
size_t fd_get_rights(struct msghdr *message, int *fds, size_t max);

#endif /* COMMON_FD_H */
