/* The values of [server] log_level and log_format.  Pure. */
#ifndef COMMON_LOG_LEVEL_H
#define COMMON_LOG_LEVEL_H

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_TRACE,
    LOG_LEVEL_COUNT
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_COUNT };

/** @return the name that log_level_parse() accepts. */
const char *log_level_name(enum log_level level);

/** @param level  filled on success.  @return 0, or -EINVAL: no level has that name. */
int log_level_parse(const char *name, enum log_level *level);

/** @return the name that log_format_parse() accepts. */
const char *log_format_name(enum log_format format);

/** @param format  filled on success.  @return 0, or -EINVAL: no format has that name. */
int log_format_parse(const char *name, enum log_format *format);

#endif /* COMMON_LOG_LEVEL_H */
