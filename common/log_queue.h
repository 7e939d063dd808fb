/*
 * Lines on their way to stderr: a thread of its own writes them, because nobody knows what stderr
 * is.  A pipe that nobody reads, a terminal that was stopped, a full disk: write() waits, and a
 * loop must not.  Master; any thread adds.
 *
 * Bound: LOG_QUEUE_BYTES.  Beyond them lines are dropped and counted; when there is room again one
 * line tells how many.
 */
#ifndef COMMON_LOG_QUEUE_H
#define COMMON_LOG_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_QUEUE_BYTES (256u << 10)

struct log_queue;

/**
 * @param fd      where the lines go.  Borrowed; it may block.
 * @param notice  makes the line that tells of dropped ones: writes at most size bytes, returns how
 *                many.  Called by the thread.
 * @return NULL if the thread cannot be started.  Caller owns; log_queue_close().
 */
struct log_queue *log_queue_open(int fd,
                                 size_t (*notice)(char *out, size_t size, uint64_t dropped));

/** Add a line, its end included.  Does not wait for anything but other adders. */
void log_queue_add(struct log_queue *queue, const char *line, size_t len);

/** Lines that found no room or could not be written, ever. */
uint64_t log_queue_dropped(struct log_queue *queue);

/**
 * Wait until all is written, at most so long, and end the thread.  One that hangs in write() stays,
 * and the queue with it: the process is about to end.
 */
void log_queue_close(struct log_queue **queue, unsigned wait_ms);

#endif /* COMMON_LOG_QUEUE_H */
