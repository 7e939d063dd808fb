/*
 * Log lines about requests that were refused.  Master and worker, loop thread.  Whoever can send
 * requests can have them refused: of each error a few a second are logged, the others counted.
 */
#ifndef COMMON_REFUSAL_LOG_H
#define COMMON_REFUSAL_LOG_H

#include "common/http_reply.h"
#include "common/log.h"

#define REFUSAL_LOG_LINES 5 /* of each error, within */
#define REFUSAL_LOG_INTERVAL_MS 1000

struct refusal_log { /* zeroed at first */
    struct log_limit limits[HTTP_ERROR_COUNT];
};

/**
 * Log a refusal at info, or count it: the next line about this error tells how many there were.
 *
 * @param ctx      Borrowed.
 * @param what     begins the line ("viewer refused").
 * @param message  of the answer.
 */
void refusal_log_write(struct refusal_log *log, const struct log_context *ctx, const char *what,
                       enum http_error error, const char *message);

#endif /* COMMON_REFUSAL_LOG_H */
