/*
 * Logs refused requests.  Master and worker, loop thread.  Anybody can cause refusals, so only a
 * few lines per error and second are written; the others are counted.
 */
#ifndef COMMON_REFUSAL_LOG_H
#define COMMON_REFUSAL_LOG_H

#include "common/http_reply.h"
#include "common/log.h"

#include <stdint.h>

#define REFUSAL_LOG_LINES 5 /* per error and interval */
#define REFUSAL_LOG_INTERVAL_MS 1000

struct refusal_log { /* starts zeroed */
    struct log_limit limits[HTTP_ERROR_COUNT];
    uint64_t count; /* refusals so far */
};

/**
 * Log a refusal at info, or only count it; the next line about this error tells the count.
 *
 * @param ctx      Borrowed.
 * @param what     the beginning of the line ("viewer refused").
 * @param message  the message of the answer.
 */
void refusal_log_write(struct refusal_log *log, const struct log_context *ctx, const char *what,
                       enum http_error error, const char *message);

/** Log the counts that no line has told yet.  Before the object is freed.  @param what  as above.
 */
void refusal_log_flush(struct refusal_log *log, const char *what);

#endif /* COMMON_REFUSAL_LOG_H */
