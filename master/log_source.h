/*
 * What the nursery or a worker writes to its stderr, read from the other end of that pipe and
 * written to the log under the name that the master knows it by.  Master, loop thread.
 *
 * Nobody who takes a worker over gets at the log itself: a line is one line whatever is in it, of
 * that process and that camera.  Bound: LOG_SOURCE_BURST bytes at once and LOG_SOURCE_RATE a second
 * after that, each line with what the master adds.  Beyond it the pipe is left full, where an
 * honest writer drops its lines and counts them, and one line says so once a minute.
 */
#ifndef MASTER_LOG_SOURCE_H
#define MASTER_LOG_SOURCE_H

#include <sys/types.h>
#include <uv.h>

#define LOG_SOURCE_BURST (96 << 10)
#define LOG_SOURCE_RATE (16 << 10)

struct log_source;

/**
 * A pipe whose write end may not block and whose read end does not.
 *
 * @param ends  filled: to read, to write.  Caller owns both.
 * @return 0 or negative errno.
 */
int log_source_pipe(int ends[2]);

/**
 * Read lines until the other end is closed.
 *
 * @param fd       to read, non-blocking.  Moved (*fd becomes -1).
 * @param process  "worker" or "nursery".  A literal.
 * @return Caller owns; log_source_close().
 */
struct log_source *log_source_open(uv_loop_t *loop, int *fd, const char *process, pid_t pid);

/** Lines that come from now on are of this camera.  Copied. */
void log_source_set_camera(struct log_source *source, const char *camera);

/** A second has passed: it may write on. */
void log_source_tick(struct log_source *source);

/** Read what is left, free; then closed() is called.  The process has ended, or is cut off. */
void log_source_close(struct log_source *source, void (*closed)(void *ctx), void *ctx);

#endif /* MASTER_LOG_SOURCE_H */
