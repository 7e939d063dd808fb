/*
 * Log lines on their way to the master: what nursery and workers write to the pipe that is their
 * stderr, and how the master takes them apart again.  Every process, any thread; pure.
 *
 * A record is RS, a digit for the level, the client's label, US, the message, NUL; one write() of
 * at most PIPE_BUF bytes, so records of several threads do not mix.  Time, process and camera are
 * not in it: the master knows them better than a worker that somebody has taken over.  Bytes
 * outside a record are what libraries, assert() and sanitizers print: lines that end at LF.
 */
#ifndef COMMON_LOG_RECORD_H
#define COMMON_LOG_RECORD_H

#include "common/log_level.h"

#include <stdbool.h>
#include <stddef.h>

#define LOG_RECORD_MAX 1280 /* longer ones are cut */

/**
 * Make a record.
 *
 * @param out     LOG_RECORD_MAX bytes.  Caller owns.
 * @param client  label, or NULL.
 * @return its length, NUL included.
 */
size_t log_record_make(char out[LOG_RECORD_MAX], enum log_level level, const char *client,
                       const char *text);

/* Zeroed at first.  Members are private. */
struct log_record_reader {
    char bytes[LOG_RECORD_MAX];
    size_t len;
    bool in_record;
};

struct log_record_events {
    /* client: empty for none.  Both are terminated, and valid until this returns. */
    void (*on_record)(void *ctx, enum log_level level, const char *client, const char *text);
    /* What is no record: one line, without its end. */
    void (*on_text)(void *ctx, const char *text);
    void *ctx;
};

/** Take bytes as they come, in pieces of any size; records that are whole go to the events. */
void log_record_push(struct log_record_reader *reader, const char *data, size_t len,
                     const struct log_record_events *events);

/** The writer is gone: what it began to write is a line, too. */
void log_record_finish(struct log_record_reader *reader, const struct log_record_events *events);

#endif /* COMMON_LOG_RECORD_H */
