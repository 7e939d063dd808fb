#include "common/log.h"

#include "common/clock.h"
#include "common/escape.h"
#include "common/log_journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024
#define LOG_NAME_MAX 72

static _Atomic(enum log_level) max_level = LOG_LEVEL_INFO;
static _Atomic(enum log_format) line_format = LOG_FORMAT_TEXT;
static char process_name[LOG_NAME_MAX];
static char camera_name[LOG_NAME_MAX];

#define LINE_TEXT_MAX (LOG_LINE_MAX - 8) /* room for closing quotes, brace, newline */

/* A line under construction.  What does not fit is cut; the end is always reserved. */
struct line {
    size_t len;
    char buf[LOG_LINE_MAX];
};

/* All of it or nothing: half a name would break the JSON. */
static bool put_raw(struct line *l, const char *s)
{
    size_t len = strlen(s);
    if (l->len + len > LINE_TEXT_MAX)
        return false;
    memcpy(l->buf + l->len, s, len);
    l->len += len;
    return true;
}

/* Text from outside is escaped so that it can neither forge a line nor break the JSON. */
static void put_escaped(struct line *l, const char *s)
{
    if (l->len <= LINE_TEXT_MAX)
        l->len += escape_text(l->buf + l->len, LINE_TEXT_MAX + 1 - l->len, s,
                              line_format == LOG_FORMAT_JSON);
}

static void put_end(struct line *l, char c)
{
    l->buf[l->len++] = c;
}

static void put_field(struct line *l, const char *name, const char *value)
{
    char start[32];
    bool json = line_format == LOG_FORMAT_JSON;
    if (value == NULL || value[0] == '\0')
        return;
    (void)snprintf(start, sizeof(start), json ? ",\"%s\":\"" : " %s=", name);
    if (!put_raw(l, start))
        return;
    put_escaped(l, value);
    if (json)
        put_end(l, '"');
}

static void put_time(struct line *l)
{
    struct timespec ts;
    struct tm tm;
    char text[40];
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ts.tv_nsec / 1000000));
    put_raw(l, text);
}

void log_open(enum log_level level, enum log_format format)
{
    log_set_level(level);
    line_format = format;
}

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_set_process(const char *process)
{
    (void)snprintf(process_name, sizeof(process_name), "%s", process);
}

void log_set_camera(const char *camera)
{
    (void)snprintf(camera_name, sizeof(camera_name), "%s", camera);
}

bool log_enabled(enum log_level level)
{
    return level <= max_level;
}

void log_write(enum log_level level, const struct log_context *ctx, int err, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    char text[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (err != 0 && n >= 0 && (size_t)n < sizeof(text))
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ": %s", strerrordesc_np(err));

    struct line l = {.len = 0};
    const char *camera = ctx != NULL && ctx->camera != NULL ? ctx->camera : camera_name;
    const char *client = ctx != NULL ? ctx->client : NULL;
    put_raw(&l, log_journal_prefix(level));
    if (line_format == LOG_FORMAT_JSON) {
        put_raw(&l, "{\"time\":\"");
        put_time(&l);
        put_raw(&l, "\"");
        put_field(&l, "level", log_level_name(level));
        put_field(&l, "process", process_name);
        put_field(&l, "camera", camera);
        put_field(&l, "client", client);
        put_field(&l, "message", text);
        put_end(&l, '}');
    } else {
        if (!log_journal_reads()) {
            put_time(&l);
            put_raw(&l, " ");
        }
        put_raw(&l, log_level_name(level));
        put_raw(&l, " ");
        put_raw(&l, process_name);
        put_raw(&l, "[");
        char pid[16];
        (void)snprintf(pid, sizeof(pid), "%d]", (int)getpid());
        put_raw(&l, pid);
        put_field(&l, "camera", camera);
        put_field(&l, "client", client);
        put_raw(&l, ": ");
        put_escaped(&l, text);
    }
    put_end(&l, '\n');
    ssize_t written = write(STDERR_FILENO, l.buf, l.len);
    (void)written; /* there is nowhere left to complain */
    errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, unsigned lines, long interval_ms, unsigned *suppressed)
{
    long now = (long)clock_ms();
    if (limit->since_ms == 0 || now - limit->since_ms >= interval_ms) {
        limit->since_ms = now;
        limit->written = 0;
    }
    if (limit->written >= lines) {
        limit->suppressed++;
        return false;
    }
    limit->written++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
