/*
 * Reads ahead of libavformat, whose RTMP client asks the socket for a few bytes at a time, with two
 * system calls for each piece.  This program defines poll() and recv(), as address_guard does
 * connect(); for all but one socket of a thread they are libc's.  Worker, a source's own thread.
 */
#ifndef WORKER_READ_AHEAD_H
#define WORKER_READ_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READ_AHEAD_BYTES ((size_t)32 << 10)

/* Private to read_ahead.c. */
struct read_ahead {
    int fd;
    size_t start; /* bytes that were read and not yet taken, in data */
    size_t end;
    bool readable; /* the kernel has said so, and nothing was read since */
    bool writing;  /* the last poll() asked for room to write, and there was none */
    bool starved;  /* what is left does not tell yet what it is: more must come */
    uint8_t data[READ_AHEAD_BYTES];
};

/**
 * From now on the calling thread's recv() of this socket, without flags, reads ahead, and poll() of
 * this socket alone says that it is readable while there is something left of that.  The kernel is
 * asked once for each read, however often libavformat's layers ask.
 *
 * @param ahead  overwritten.  Borrowed until read_ahead_end().
 * @param fd     a socket; it must not be closed, nor be read in another way, before that.
 */
void read_ahead_begin(struct read_ahead *ahead, int fd);

/** Has the calling thread read bytes that nobody has taken yet, and that can be taken? */
bool read_ahead_has_bytes(void);

/** Does the calling thread wait for room to write?  Bytes that were read do not end that. */
bool read_ahead_is_writing(void);

/** End it; bytes that are left are lost.  Fine if it has not begun. */
void read_ahead_end(void);

#endif /* WORKER_READ_AHEAD_H */
