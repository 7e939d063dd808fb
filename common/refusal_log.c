#include "common/refusal_log.h"

#include <stdio.h>

void refusal_log_write(struct refusal_log *log, const struct log_context *ctx, const char *what,
                       enum http_error error, const char *message)
{
    char others[32] = "";
    unsigned suppressed;
    log->count++;
    if (!log_limit_pass(&log->limits[error], REFUSAL_LOG_LINES, REFUSAL_LOG_INTERVAL_MS,
                        &suppressed))
        return;
    if (suppressed > 0)
        (void)snprintf(others, sizeof(others), " (%u more before)", suppressed);
    log_info(ctx, "%s: %s: %s%s", what, http_error_code(error), message, others);
}

void refusal_log_flush(struct refusal_log *log, const char *what)
{
    for (int error = 0; error < HTTP_ERROR_COUNT; error++) {
        unsigned suppressed = log->limits[error].suppressed;
        if (suppressed > 0)
            log_info(NULL, "%s: %s: %u more", what, http_error_code((enum http_error)error),
                     suppressed);
        log->limits[error].suppressed = 0;
    }
}
