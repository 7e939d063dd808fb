#include "common/log.h"

#include "common/clock.h"
#include "common/escape.h"
#include "common/log_journal.h"
#include "common/log_queue.h"
#include "common/log_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024
#define LOG_NAME_MAX 72

static _Atomic(enum log_level) max_level = LOG_LEVEL_INFO;
static _Atomic(enum log_format) line_format = LOG_FORMAT_TEXT;
static char process_name[LOG_NAME_MAX];
static struct log_queue *queue;        /* NULL: lines are written at once */
static uint64_t others_dropped;        /* by other processes, as they told */
static bool to_master;                 /* stderr is a pipe to the master */
static atomic_uint_fast64_t unwritten; /* records for which the pipe had no room */

#define LINE_TEXT_MAX (LOG_LINE_MAX - 8) /* room for closing quotes, brace, newline */

/* A line under construction.  Text that does not fit is cut; room for the end is reserved. */
struct line {
    bool json;
    size_t len;
    char buf[LOG_LINE_MAX];
};

/* Append all of s or nothing: half a name would break the JSON. */
static bool put_raw(struct line *l, const char *s)
{
    size_t len = strlen(s);
    if (l->len + len > LINE_TEXT_MAX)
        return false;
    memcpy(l->buf + l->len, s, len);
    l->len += len;
    return true;
}

/* Escape text from outside, so that it can neither forge a line nor break the JSON. */
static void put_escaped(struct line *l, const char *s)
{
    if (l->len <= LINE_TEXT_MAX)
        l->len += escape_text(l->buf + l->len, LINE_TEXT_MAX + 1 - l->len, s, l->json);
}

static void put_end(struct line *l, char c)
{
    l->buf[l->len++] = c;
}

static void put_field(struct line *l, const char *name, const char *value)
{
    char start[32];
    if (value == NULL || value[0] == '\0')
        return;
    (void)snprintf(start, sizeof(start), l->json ? ",\"%s\":\"" : " %s=", name);
    if (!put_raw(l, start))
        return;
    put_escaped(l, value);
    if (l->json)
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

bool log_enabled(enum log_level level)
{
    return level <= max_level;
}

/* --- where lines go ------------------------------------------------------- */

static void format_line(struct line *l, enum log_level level, const struct log_origin *from,
                        const char *client, const char *text)
{
    l->len = 0;
    l->json = line_format == LOG_FORMAT_JSON;
    put_raw(l, log_journal_prefix(level));
    if (l->json) {
        put_raw(l, "{\"time\":\"");
        put_time(l);
        put_raw(l, "\"");
        put_field(l, "level", log_level_name(level));
        put_field(l, "process", from->process);
        put_field(l, "camera", from->camera);
        put_field(l, "client", client);
        put_field(l, "message", text);
        put_end(l, '}');
    } else {
        char pid[16];
        (void)snprintf(pid, sizeof(pid), "[%d]", (int)from->pid);
        if (!log_journal_reads()) {
            put_time(l);
            put_raw(l, " ");
        }
        put_raw(l, log_level_name(level));
        put_raw(l, " ");
        put_raw(l, from->process);
        put_raw(l, pid);
        put_field(l, "camera", from->camera);
        put_field(l, "client", client);
        put_raw(l, ": ");
        put_escaped(l, text);
    }
    put_end(l, '\n');
}

static struct log_origin this_process(const char *camera)
{
    return (struct log_origin){.process = process_name, .pid = getpid(), .camera = camera};
}

static void write_line(const struct line *l)
{
    if (queue != NULL) {
        log_queue_add(queue, l->buf, l->len);
        return;
    }
    ssize_t written = write(STDERR_FILENO, l->buf, l->len);
    (void)written; /* there is nowhere else to report it */
}

static bool write_record(enum log_level level, const char *client, const char *text)
{
    char record[LOG_RECORD_MAX];
    size_t len = log_record_make(record, level, client, text);
    return write(STDERR_FILENO, record, len) == (ssize_t)len; /* at most PIPE_BUF: all or nothing */
}

/* The pipe does not block: a line that finds no room is dropped, and the next line says so. */
static void send_record(enum log_level level, const char *client, const char *text)
{
    uint_fast64_t missing = atomic_exchange(&unwritten, 0);
    if (missing > 0) {
        char notice[64];
        (void)snprintf(notice, sizeof(notice), "%" PRIuFAST64 LOG_RECORD_DROPPED, missing);
        if (!write_record(LOG_LEVEL_WARN, NULL, notice)) {
            atomic_fetch_add(&unwritten, missing + 1);
            return;
        }
    }
    if (!write_record(level, client, text))
        atomic_fetch_add(&unwritten, 1);
}

static size_t make_notice(char *out, size_t size, uint64_t dropped)
{
    struct line l;
    char text[96];
    struct log_origin here = this_process(NULL);
    (void)snprintf(text, sizeof(text),
                   "%" PRIu64 " log lines were dropped here: stderr did not take them", dropped);
    format_line(&l, LOG_LEVEL_WARN, &here, NULL, text);
    size_t len = l.len < size ? l.len : size;
    memcpy(out, l.buf, len);
    return len;
}

void log_start_queue(void)
{
    queue = log_queue_open(STDERR_FILENO, make_notice);
    if (queue == NULL)
        log_warnx(NULL, "no thread for the log: a reader that stops reading it stops the server");
}

void log_end_queue(void)
{
    if (queue != NULL)
        log_queue_close(&queue, LOG_END_MS);
}

uint64_t log_dropped(void)
{
    return others_dropped + (queue != NULL ? log_queue_dropped(queue) : 0);
}

void log_add_dropped(uint64_t lines)
{
    others_dropped += lines;
}

void log_send_to_master(void)
{
    to_master = true;
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

    const char *client = ctx != NULL ? ctx->client : NULL;
    if (to_master) {
        send_record(level, client, text);
    } else {
        struct line l;
        struct log_origin here = this_process(ctx != NULL ? ctx->camera : NULL);
        format_line(&l, level, &here, client, text);
        write_line(&l);
    }
    errno = saved_errno;
}

void log_write_for(const struct log_origin *from, enum log_level level, const char *client,
                   const char *text)
{
    int saved_errno = errno;
    struct line l;
    format_line(&l, level, from, client, text);
    write_line(&l);
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
