/*
 * Reads what the nursery or a worker writes to its stderr, which is a pipe, and logs it under the
 * name by which the master knows that process.  Master, loop thread.
 *
 * An attacker in a worker cannot reach the log itself: a line stays one line whatever it contains,
 * and carries the name of that process and camera.  Bound: LOG_SOURCE_BURST bytes at once, then
 * LOG_SOURCE_RATE a second, including what the master adds to each line.  Beyond it the master
 * leaves the pipe full and says so once a minute; an honest writer drops its lines and counts them.
 */
#ifndef MASTER_LOG_SOURCE_H
#define MASTER_LOG_SOURCE_H

#include <sys/types.h>
#include <uv.h>

#define LOG_SOURCE_BURST (96 << 10)
#define LOG_SOURCE_RATE (16 << 10)

struct log_source;

/**
 * Make a pipe with both ends non-blocking.
 *
 * @param ends  set: the read end, the write end.  Caller owns both.
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

/** Log all further lines under this camera.  Copied. */
void log_source_set_camera(struct log_source *source, const char *camera);

/** @return the pipe.  Borrowed. */
int log_source_descriptor(const struct log_source *source);

/** Call it once a second: the process may write another LOG_SOURCE_RATE bytes. */
void log_source_tick(struct log_source *source);

/** Read what is left, free, then call closed().  For a process that has ended or is cut off. */
void log_source_close(struct log_source *source, void (*closed)(void *ctx), void *ctx);

#endif /* MASTER_LOG_SOURCE_H */
