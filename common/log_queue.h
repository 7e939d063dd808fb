/*
 * Queues lines for stderr.  A separate thread writes them, because write() may block (a pipe that
 * nobody reads, a stopped terminal) and a loop must not.  Master; any thread may add lines.
 *
 * The queue holds LOG_QUEUE_BYTES.  When it is full, lines are dropped and counted; once there is
 * room again, one line tells how many.
 */
#ifndef COMMON_LOG_QUEUE_H
#define COMMON_LOG_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_QUEUE_BYTES (256u << 10)

struct log_queue;

/**
 * @param fd      where the lines go.  Borrowed; it may block.
 * @param notice  makes the line that reports dropped lines: writes at most size bytes and returns
 *                how many.  Called with the queue locked, by the thread or by an adder.
 * @return NULL if the thread cannot be started.  Caller owns; log_queue_close().
 */
struct log_queue *log_queue_open(int fd,
                                 size_t (*notice)(char *out, size_t size, uint64_t dropped));

/** Add a line, including its end.  Waits for nothing but the queue's short lock. */
void log_queue_add(struct log_queue *queue, const char *line, size_t len);

/** @return how many lines found no room or could not be written since the queue was opened. */
uint64_t log_queue_dropped(struct log_queue *queue);

/**
 * Wait at most wait_ms until every line is written, and end the thread.  A thread that hangs in
 * write() is left, and the queue with it: the process is about to end.
 */
void log_queue_close(struct log_queue **queue, unsigned wait_ms);

#endif /* COMMON_LOG_QUEUE_H */
