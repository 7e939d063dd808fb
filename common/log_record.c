#include "common/log_record.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RS '\x1e'
#define US '\x1f'
#define CLIENT_MAX 96

_Static_assert(LOG_RECORD_MAX <= PIPE_BUF, "longer ones could mix");

size_t log_record_make(char out[LOG_RECORD_MAX], enum log_level level, const char *client,
                       const char *text)
{
    int n = snprintf(out, LOG_RECORD_MAX, "%c%d%.*s%c%s", RS, (int)level, CLIENT_MAX,
                     client != NULL ? client : "", US, text);
    return n < LOG_RECORD_MAX ? (size_t)n + 1 : LOG_RECORD_MAX;
}

uint64_t log_record_dropped(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || strcmp(text + digits, LOG_RECORD_DROPPED) != 0)
        return 0;
    return strtoull(text, NULL, 10);
}

static void give_text(struct log_record_reader *r, const struct log_record_events *events)
{
    r->bytes[r->len] = '\0';
    if (r->len > 0)
        events->on_text(events->ctx, r->bytes);
}

/* Treat a malformed record as text, so that somebody sees it. */
static void give_record(struct log_record_reader *r, const struct log_record_events *events)
{
    r->bytes[r->len] = '\0';
    int level = r->bytes[0] - '0';
    char *text = strchr(r->bytes, US);
    if (text == NULL || level < 0 || level >= LOG_LEVEL_COUNT) {
        give_text(r, events);
        return;
    }
    *text++ = '\0';
    events->on_record(events->ctx, (enum log_level)level, r->bytes + 1, text);
}

static void give(struct log_record_reader *r, const struct log_record_events *events)
{
    if (r->in_record)
        give_record(r, events);
    else
        give_text(r, events);
    r->len = 0;
    r->in_record = false;
}

void log_record_push(struct log_record_reader *reader, const char *data, size_t len,
                     const struct log_record_events *events)
{
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        char end = reader->in_record ? '\0' : '\n';
        if (c == RS || c == end || reader->len == sizeof(reader->bytes) - 1)
            give(reader, events);
        if (c == RS)
            reader->in_record = true;
        else if (c != end)
            reader->bytes[reader->len++] = (char)(c != '\0' ? c : ' ');
    }
}

void log_record_finish(struct log_record_reader *reader, const struct log_record_events *events)
{
    give(reader, events);
}
