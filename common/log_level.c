#include "common/log_level.h"

#include "common/words.h"

#include <assert.h>

static const char *const levels[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",   [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace",
};

static const char *const formats[LOG_FORMAT_COUNT] = {
    [LOG_FORMAT_TEXT] = "text",
    [LOG_FORMAT_JSON] = "json",
};

const char *log_level_name(enum log_level level)
{
    assert(level < LOG_LEVEL_COUNT);
    return levels[level];
}

int log_level_parse(const char *name, enum log_level *level)
{
    int found = words_find(levels, LOG_LEVEL_COUNT, name);
    if (found < 0)
        return found;
    *level = (enum log_level)found;
    return 0;
}

const char *log_format_name(enum log_format format)
{
    assert(format < LOG_FORMAT_COUNT);
    return formats[format];
}

int log_format_parse(const char *name, enum log_format *format)
{
    int found = words_find(formats, LOG_FORMAT_COUNT, name);
    if (found < 0)
        return found;
    *format = (enum log_format)found;
    return 0;
}
