/*
 * Log lines with `camera=` and `client=` fields.  Every process, any thread.  Camera passwords must
 * never reach a message: pass redacted URLs (url_redact()).  Nothing is logged per frame above
 * trace.  Every function here preserves errno, and none but log_end_queue() waits:
 *
 *   in the master, a thread writes the lines to stderr (log_queue.h);
 *   in nursery and workers, stderr is a pipe to the master (log_record.h), which adds time, process
 *   and camera from its own knowledge (master/log_source.h).
 *
 * Lines that find no room are dropped and counted; the next line tells how many.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/log_level.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_END_MS 1000 /* to write the remaining lines when the server ends */

/** What a line is about.  NULL members are left out. */
struct log_context {
    const char *camera; /* stream ID or configured name, never a URL */
    const char *client; /* peer address and connection number */
};

/** Set the level, at any time.  Default: info. */
void log_set_level(enum log_level level);

/** Set level and format, at any time.  Default: info, text. */
void log_open(enum log_level level, enum log_format format);

/** From now on a thread writes the lines.  Master, before its loop. */
void log_start_queue(void);

/** Write the queued lines, for at most LOG_END_MS.  Master, after its loop; log nothing later. */
void log_end_queue(void);

/** @return how many lines were dropped since this process started: by its queue, and those that it
 * was told of.  Loop thread. */
uint64_t log_dropped(void);

/** Another process has dropped lines.  Master, loop thread. */
void log_add_dropped(uint64_t lines);

/** Write records for the master: stderr is a non-blocking pipe to it.  Nursery, at its start. */
void log_send_to_master(void);

/** Set this process's name, which every later line shows.  Copied. */
void log_set_process(const char *process);

/** Would a line of this level be written? */
bool log_enabled(enum log_level level);

/**
 * Write one line.
 *
 * @param ctx  Borrowed; NULL for none.
 * @param err  positive errno appended as text, or 0.
 */
void log_write(enum log_level level, const struct log_context *ctx, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The process that a line comes from.  Borrowed; camera may be NULL. */
struct log_origin {
    const char *process;
    pid_t pid;
    const char *camera;
};

/** Write a line for another process, at any level.  Master. */
void log_write_for(const struct log_origin *from, enum log_level level, const char *client,
                   const char *text);

/* log_warn() adds strerror(errno), log_warnx() does not; likewise log_error().  The first argument
 * is a struct log_context *, or NULL. */
#define log_error(ctx, ...) log_write(LOG_LEVEL_ERROR, (ctx), errno, __VA_ARGS__)
#define log_errorx(ctx, ...) log_write(LOG_LEVEL_ERROR, (ctx), 0, __VA_ARGS__)
#define log_warn(ctx, ...) log_write(LOG_LEVEL_WARN, (ctx), errno, __VA_ARGS__)
#define log_warnx(ctx, ...) log_write(LOG_LEVEL_WARN, (ctx), 0, __VA_ARGS__)
#define log_info(ctx, ...) log_write(LOG_LEVEL_INFO, (ctx), 0, __VA_ARGS__)
#define log_debug(ctx, ...)                                    \
    do {                                                       \
        if (log_enabled(LOG_LEVEL_DEBUG))                      \
            log_write(LOG_LEVEL_DEBUG, (ctx), 0, __VA_ARGS__); \
    } while (0)
#define log_trace(ctx, ...)                                    \
    do {                                                       \
        if (log_enabled(LOG_LEVEL_TRACE))                      \
            log_write(LOG_LEVEL_TRACE, (ctx), 0, __VA_ARGS__); \
    } while (0)

/** Counts, instead of writing, repeats beyond the first lines of an interval.  Starts zeroed. */
struct log_limit {
    long since_ms; /* when the interval began */
    unsigned written;
    unsigned suppressed;
};

/**
 * May a repeating message be written now?  Not thread safe per object.
 *
 * @param lines       how many may be written per interval, > 0.
 * @param suppressed  on true: how many were suppressed since the last one written.
 */
bool log_limit_pass(struct log_limit *limit, unsigned lines, long interval_ms,
                    unsigned *suppressed);

#endif /* COMMON_LOG_H */
