/* The answer's head, and its body with or without chunked transfer coding (load.h). */
#include "load.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX 4096

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_CR, CHUNK_LF, CHUNK_END };

/* One byte outside of chunk data. @return false: not chunked coding. */
static bool chunk_byte(struct chunked *k, int ch)
{
    switch (k->state) {
    case CHUNK_SIZE:
        if (isxdigit(ch) && k->digits < 15) {
            int digit = isdigit(ch) ? ch - '0' : (ch | 32) - 'a' + 10;
            k->left = k->left << 4 | (unsigned)digit;
            k->digits++;
            return true;
        }
        k->state = CHUNK_EXTENSION;
        return k->digits > 0 && strchr("; \t\r", ch) != NULL;
    case CHUNK_EXTENSION:
        if (ch == '\n')
            k->state = k->left > 0 ? CHUNK_DATA : CHUNK_END;
        return true;
    case CHUNK_CR:
        k->state = CHUNK_LF;
        return ch == '\r';
    default: /* CHUNK_LF */
        k->state = CHUNK_SIZE;
        k->digits = 0;
        return ch == '\n';
    }
}

/* @return false: the body has ended, or cannot be read. */
static bool feed_chunked(struct conn *c, const uint8_t *data, size_t len,
                         const struct arrival *arrival)
{
    struct chunked *k = &c->chunked;
    while (len > 0) {
        size_t used = 1;
        if (k->state == CHUNK_END)
            return false;
        if (k->state == CHUNK_DATA) {
            used = len < k->left ? len : (size_t)k->left;
            flv_feed(c, data, used, arrival);
            k->left -= used;
            if (k->left == 0)
                k->state = CHUNK_CR;
        } else if (!chunk_byte(k, *data)) {
            conn_fail(c, ERROR_CHUNK);
            return false;
        }
        data += used;
        len -= used;
    }
    return true;
}

static bool feed_body(struct conn *c, const uint8_t *data, size_t len,
                      const struct arrival *arrival)
{
    if (c->chunked.used)
        return feed_chunked(c, data, len, arrival);
    flv_feed(c, data, len, arrival);
    return true;
}

static bool is_chunked(const char *head)
{
    const char *field = strcasestr(head, "\r\nTransfer-Encoding:");
    if (field == NULL)
        return false;
    char value[128];
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(field + 2, "\r\n"), field + 2);
    return strcasestr(value, "chunked") != NULL;
}

/* The head is complete. @return false: not an answer to stay for. */
static bool on_head(struct conn *c)
{
    bool http = strncmp(c->head, "HTTP/1.", 7) == 0 && c->head_len >= 12;
    if (!http || atoi(c->head + 9) != 200) {
        conn_fail(c, http ? ERROR_STATUS : ERROR_HTTP);
        return false;
    }
    c->chunked.used = is_chunked(c->head);
    c->state = CONN_BODY;
    free(c->head);
    c->head = NULL;
    return true;
}

bool http_feed(struct conn *conn, const uint8_t *data, size_t len, const struct arrival *arrival)
{
    if (conn->state == CONN_BODY)
        return feed_body(conn, data, len, arrival);
    if (conn->head == NULL && (conn->head = calloc(1, HEAD_MAX)) == NULL)
        abort();
    size_t before = conn->head_len, room = HEAD_MAX - 1 - before, taken = len < room ? len : room;
    memcpy(conn->head + before, data, taken);
    conn->head_len += taken;
    const char *end = memmem(conn->head, conn->head_len, "\r\n\r\n", 4);
    if (end == NULL) {
        if (conn->head_len == HEAD_MAX - 1)
            conn_fail(conn, ERROR_HTTP);
        return conn->error == ERROR_NONE;
    }
    size_t used = (size_t)(end + 4 - conn->head) - before;
    conn->head[end - conn->head] = '\0';
    return on_head(conn) && feed_body(conn, data + used, len - used, arrival);
}
