/*
 * The format of log lines that nursery and workers write to their stderr, a pipe to the master, and
 * its reader.  Every process, any thread; pure.
 *
 * A record is RS, a digit for the level, the client's label, US, the message, NUL.  It is one
 * write() of at most PIPE_BUF bytes, so records of several threads do not mix.  It has no time,
 * process or camera: the master knows them, and a compromised worker could lie.  Bytes outside a
 * record come from libraries, assert() and sanitizers; each line of them ends at LF.
 */
#ifndef COMMON_LOG_RECORD_H
#define COMMON_LOG_RECORD_H

#include "common/log_level.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RECORD_MAX 1280 /* longer records are cut */

/**
 * Make a record.
 *
 * @param out     LOG_RECORD_MAX bytes.  Caller owns.
 * @param client  label, or NULL.
 * @return its length, NUL included.
 */
size_t log_record_make(char out[LOG_RECORD_MAX], enum log_level level, const char *client,
                       const char *text);

/** @return how many lines a record's text reports as dropped: 0 for any other text. */
uint64_t log_record_dropped(const char *text);

/* What such a text says after the number. */
#define LOG_RECORD_DROPPED " log lines were dropped here"

/* Starts zeroed.  Members are private. */
struct log_record_reader {
    char bytes[LOG_RECORD_MAX];
    size_t len;
    bool in_record;
};

struct log_record_events {
    /* client is empty for none.  Both strings are valid until this returns. */
    void (*on_record)(void *ctx, enum log_level level, const char *client, const char *text);
    /* One line outside a record, without its end. */
    void (*on_text)(void *ctx, const char *text);
    void *ctx;
};

/** Read bytes in pieces of any size; complete records and lines go to the events. */
void log_record_push(struct log_record_reader *reader, const char *data, size_t len,
                     const struct log_record_events *events);

/** The writer is gone: pass on an unfinished record or line. */
void log_record_finish(struct log_record_reader *reader, const struct log_record_events *events);

#endif /* COMMON_LOG_RECORD_H */
