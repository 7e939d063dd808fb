#include "master/conn.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/websocket_close.h"
#include "common/xalloc.h"
#include "master/conn_private.h"
#include "master/server_shared.h"
#include "master/websocket_handshake.h"

#include <assert.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Once seven eighths of the connections at a peak are gone, their memory is returned to the system,
 * because glibc would keep it; but only if the peak was at least this high. */
#define TRIM_FROM_CONNS 128

/* --- end ------------------------------------------------------------------ */

static void give_memory_back(struct server *server)
{
    if (server->most_conns < TRIM_FROM_CONNS || server->allocated_conns > server->most_conns / 8)
        return;
    server->most_conns = server->allocated_conns;
    (void)malloc_trim(0);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->open_handles > 0)
        return;
    struct server *server = c->server;
    shared_text_unref(c->text);
    explicit_bzero(&c->head, sizeof(c->head)); /* a camera's password */
    free(c->output);
    free(c->rest);
    conn_free_proxy(&c->proxy);
    if (c->on_end != NULL)
        c->on_end(c);
    free(c);
    server->allocated_conns--;
    give_memory_back(server);
}

void conn_close(struct conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    TAILQ_REMOVE(&c->server->open_conns, c, link);
    text_reader_end(&c->server->text_readers, &c->reader);
    c->server->conns--;
    client_share_give(&c->server->conn_share, &c->client);
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void on_linger(uv_timer_t *timer)
{
    conn_close(timer->data);
}

void conn_close_all(struct server *server, bool answered)
{
    struct conn *next;
    for (struct conn *c = TAILQ_FIRST(&server->open_conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (answered || !c->answered)
            conn_close(c);
    }
}

/* --- answering ------------------------------------------------------------ */

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct conn *c = req->data;
    if (status != 0)
        conn_close(c); /* else the peer's end of file, or the deadline, closes it */
}

static void next_request(struct conn *c);

static void on_written(uv_write_t *req, int status)
{
    struct conn *c = req->data;
    if (status == 0 && c->keep)
        next_request(c);
    else if (status != 0 || c->half_open ||
             uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0)
        conn_close(c);
}

char *conn_output(struct conn *c)
{
    if (c->output == NULL)
        c->output = xcalloc(1, HTTP_REPLY_MAX);
    return c->output;
}

void conn_answer_with(struct conn *c, size_t len, const void *body, size_t body_len)
{
    c->answered = true;
    c->waiting = false;
    if (c->keep) {
        len = http_reply_keep(c->output, len);
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    }
    c->write.data = c->shutdown.data = c;
    uv_buf_t bufs[2] = {uv_buf_init(c->output, (unsigned)len),
                        uv_buf_init((char *)(uintptr_t)body, (unsigned)body_len)};
    uint64_t linger_ms = CONN_LINGER_MS + body_len / CONN_SLOWEST_BYTES_PER_MS;
    (void)uv_timer_start(&c->deadline, on_linger, linger_ms, 0);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, body_len > 0 ? 2 : 1, on_written) != 0)
        conn_close(c);
}

void conn_answer(struct conn *c, size_t len)
{
    conn_answer_with(c, len, NULL, 0);
}

bool conn_accept_websocket(struct conn *c)
{
    size_t len = websocket_handshake(conn_output(c), &c->head.request);
    uv_buf_t buf = uv_buf_init(c->output, (unsigned)len);
    c->accepted = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) == (int)len;
    if (!c->accepted)
        conn_close(c); /* a fresh connection has room: it is lost */
    return c->accepted;
}

/* @return the length of the answer in conn_output(). */
static size_t refuse_websocket(struct conn *c, enum http_error error, const char *camera,
                               const char *message)
{
    uint8_t told[WEBSOCKET_ERROR_MAX];
    char *out = conn_output(c);
    size_t head = c->accepted ? 0 : websocket_handshake(out, &c->head.request);
    size_t len = websocket_error(told, error, camera, message);
    assert(head + len <= HTTP_REPLY_MAX);
    memcpy(out + head, told, len);
    return head + len;
}

void conn_answer_error(struct conn *c, enum http_error error, const char *headers,
                       const char *camera, const char *message)
{
    struct log_context ctx = {.client = c->peer};
    refusal_log_write(&c->server->refusal_log, &ctx, "refused", error, message);
    c->server->refused[error]++;
    conn_answer(c, c->websocket ? refuse_websocket(c, error, camera, message)
                                : http_reply_error_with(
                                      conn_output(c), error, c->head.request.origin, headers,
                                      camera, message, c->head.request.method == REQUEST_HEAD));
}

void conn_refuse(struct conn *c, enum http_error error, const char *message)
{
    conn_answer_error(c, error, "", NULL, message);
}

int conn_detach(struct conn *c)
{
    uv_os_fd_t ours;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    if (uv_fileno((uv_handle_t *)&c->tcp, &ours) != 0)
        return -1;
    return fcntl(ours, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* --- reading -------------------------------------------------------------- */

/* Input is used at once, so all connections share one buffer. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->server->input, sizeof(c->server->input));
}

static const char *head_error_text(enum http_error error)
{
    switch (error) {
    case HTTP_ERROR_URI_TOO_LONG:
        return "the request target is longer than 8192 bytes";
    case HTTP_ERROR_HEADER_TOO_LARGE:
        return "the request head is longer than 16384 bytes";
    default:
        return "this is not an HTTP/1.x request";
    }
}

static bool may_keep(const struct conn *c)
{
    return c->port == ROUTE_PORT_SNAPSHOT && c->head.request.keep && !c->server->draining &&
           c->requests < CONN_REQUESTS_MAX;
}

/* Keep the bytes after a request until that is answered. */
static void keep_rest(struct conn *c)
{
    bool waits = c->keep && c->input_len > 0 && !uv_is_closing((uv_handle_t *)&c->tcp);
    if (waits) {
        c->rest = xcalloc(1, c->input_len);
        c->rest_len = c->input_len;
        memcpy(c->rest, c->input, c->input_len);
    }
    c->input = NULL;
    c->input_len = c->head_len = 0;
}

void conn_feed_head(struct conn *c, const char *data, size_t len)
{
    size_t used;
    int rc = http_head_feed(&c->head, data, len, &used);
    if (rc == 1 && c->requests > 0 && !conn_is_still_its_clients(c)) {
        conn_close(c);
    } else if (rc == 1) {
        (void)uv_timer_stop(&c->deadline);
        if (c->requests++ > 0)
            c->accepted_us = clock_us();
        c->keep = may_keep(c);
        c->input = data + used;
        c->input_len = len - used;
        c->head_len = used == c->head.head_bytes ? used : 0;
        conn_read_forwarded(c);
        c->on_request(c);
        keep_rest(c);
    } else if (rc < 0) {
        conn_refuse(c, c->head.error, head_error_text(c->head.error));
    }
}

static void on_head_deadline(uv_timer_t *timer);

void conn_start_head_deadline(struct conn *c)
{
    c->head_by_ms = clock_ms() + CONN_HEAD_MS;
    (void)uv_timer_start(&c->deadline, on_head_deadline, CONN_HEAD_MS, 0);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (nread == UV_EOF && c->answered && uv_stream_get_write_queue_size(stream) > 0) {
        c->half_open = true; /* RFC 9112 section 9.6: it may still read */
        (void)uv_read_stop(stream);
        return;
    }
    if (nread < 0) {
        conn_close(c);
        return;
    }
    if (nread == 0 || c->answered)
        return;
    if (c->requests > 0 && c->head.head_bytes == 0) /* it was idle */
        conn_start_head_deadline(c);
    if (c->proxy != NULL)
        conn_feed_proxy(c, buf->base, (size_t)nread);
    else if (c->on_input != NULL)
        c->on_input(c, buf->base, (size_t)nread);
    else
        conn_feed_head(c, buf->base, (size_t)nread);
}

/* If this process was stalled, the timer fires early: then read first what arrived meanwhile. */
static void on_head_deadline(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    int64_t left_ms = c->head_by_ms - clock_ms();
    if (left_ms > 0) {
        (void)uv_timer_start(timer, on_head_deadline, (uint64_t)left_ms, 0);
        return;
    }
    conn_refuse(c, HTTP_ERROR_REQUEST_TIMEOUT, "the request head did not arrive within 10 s");
}

void conn_read_on(struct conn *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp) && !c->keep &&
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        conn_close(c);
}

static void on_idle_deadline(uv_timer_t *timer)
{
    conn_close(timer->data);
}

/* Keep what has arrived of the next request; read no more. */
void conn_park(struct conn *c, const char *data, size_t len)
{
    c->answered = c->keep = false;
    c->parked = true;
    http_head_init(&c->head);
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    (void)uv_timer_stop(&c->deadline);
    if (len == 0)
        return;
    c->rest = xcalloc(1, len);
    c->rest_len = len;
    memcpy(c->rest, data, len);
}

void conn_begin_with(struct conn *c, const char *data, size_t len)
{
    if (c->server->paused) {
        conn_park(c, data, len);
        return;
    }
    c->answered = c->keep = false;
    http_head_init(&c->head);
    if (len > 0) {
        conn_start_head_deadline(c);
        conn_feed_head(c, data, len);
    } else {
        (void)uv_timer_start(&c->deadline, on_idle_deadline, CONN_IDLE_MS, 0);
    }
    conn_read_on(c);
}

void conn_hold_text(struct conn *c, struct shared_text *text)
{
    c->text = text;
    text_reader_begin(&c->server->text_readers, &c->reader, &c->asker);
}

void conn_begin(struct conn *c)
{
    char *rest = c->rest;
    size_t rest_len = c->rest_len;
    c->rest = NULL;
    c->rest_len = 0;
    conn_begin_with(c, rest, rest_len);
    if (rest != NULL)
        explicit_bzero(rest, rest_len); /* a camera's password */
    free(rest);
}

/* The answer is written.  The bytes after the request are the next one (pipelining). */
static void next_request(struct conn *c)
{
    text_reader_end(&c->server->text_readers, &c->reader);
    shared_text_unref(c->text);
    c->text = NULL;
    conn_begin(c);
}
