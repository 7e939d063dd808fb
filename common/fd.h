/* File descriptors as owned values.  Every process, any thread. */
#ifndef COMMON_FD_H
#define COMMON_FD_H

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

#endif /* COMMON_FD_H */
