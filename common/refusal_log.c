#include "common/refusal_log.h"

#include <stdio.h>

void refusal_log_write(struct refusal_log *log, const struct log_context *ctx, const char *what,
                       enum http_error error, const char *message)
{
    char others[32] = "";
    unsigned suppressed;
    if (!log_limit_pass(&log->limits[error], REFUSAL_LOG_LINES, REFUSAL_LOG_INTERVAL_MS,
                        &suppressed))
        return;
    if (suppressed > 0)
        (void)snprintf(others, sizeof(others), " (%u more before)", suppressed);
    log_info(ctx, "%s: %s: %s%s", what, http_error_code(error), message, others);
}
