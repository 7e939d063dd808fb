#include "master/conn_body.h"

#include "common/xalloc.h"
#include "master/server_shared.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void free_body(struct conn *c)
{
    explicit_bzero(c->body->bytes, c->body->wanted); /* a camera's password */
    free(c->body);
    c->body = NULL;
}

static void on_body_deadline(uv_timer_t *timer)
{
    conn_refuse(timer->data, HTTP_ERROR_REQUEST_TIMEOUT,
                "the request body did not arrive within 10 s");
}

static void feed_body(struct conn *c, const char *data, size_t len)
{
    struct conn_body *body = c->body;
    size_t room = body->wanted - body->len;
    if (len > room)
        len = room; /* what follows is read and discarded: the connection ends with the answer */
    memcpy(body->bytes + body->len, data, len);
    body->len += len;
    if (body->len < body->wanted)
        return;
    (void)uv_timer_stop(&c->deadline);
    body->on_whole(c);
}

/* RFC 9110 section 10.1.1 */
static void invite_body(struct conn *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const uv_buf_t buf = uv_buf_init((char *)(uintptr_t)line, sizeof(line) - 1);
    if (strcasecmp(c->head.request.expect, "100-continue") == 0)
        (void)uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
}

void conn_body_read(struct conn *c, void (*on_whole)(struct conn *c))
{
    size_t wanted = (size_t)c->head.request.body_len;
    c->keep = false;
    c->body = xcalloc(1, sizeof(*c->body) + wanted);
    c->body->on_whole = on_whole;
    c->body->wanted = wanted;
    c->on_input = feed_body;
    c->on_end = free_body;
    if (c->input_len < wanted)
        invite_body(c);
    (void)uv_timer_start(&c->deadline, on_body_deadline, CONN_BODY_MS, 0);
    feed_body(c, c->input, c->input_len);
}

static void on_wait_deadline(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    conn_refuse(c, c->late, c->late_message);
    conn_read_on(c);
}

void conn_wait(struct conn *c, enum http_error error, const char *message)
{
    c->keep = false;
    c->waiting = true;
    c->late = error;
    c->late_message = message;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    (void)uv_timer_start(&c->deadline, on_wait_deadline, CONN_WAIT_MS, 0);
}

struct conn *conn_wait_find(const struct server *server, uint64_t id)
{
    struct conn *c;
    TAILQ_FOREACH (c, &server->open_conns, link) {
        if (c->id == id)
            return c->waiting ? c : NULL;
    }
    return NULL;
}
