#include "master/conn.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/access.h"
#include "master/address.h"
#include "master/api.h"
#include "master/http_head.h"
#include "master/metrics.h"
#include "master/pages.h"
#include "master/route.h"
#include "master/server_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READ_BYTES 4096

struct conn {
    LIST_ENTRY(conn) link; /* of the server's */
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct server *server;
    enum route_port port;
    uint64_t id;
    int64_t accepted_us;
    char peer[IPC_PEER_MAX];
    struct http_head head;
    bool answered;  /* an answer is being written: input is thrown away */
    bool half_open; /* the peer has sent all it will: closed when the answer is written */
    int open_handles;
    char input[READ_BYTES];
    char output[HTTP_REPLY_MAX];
    char *text; /* a body made for this answer, or NULL */
    size_t text_bytes;
};

/* --- end ------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    if (--c->open_handles > 0)
        return;
    LIST_REMOVE(c, link);
    c->server->conns--;
    c->server->text_bytes -= c->text_bytes;
    free(c->text);
    free(c);
}

static void conn_close(struct conn *c)
{
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->deadline, on_handle_closed);
}

static void on_linger(uv_timer_t *timer)
{
    conn_close(timer->data);
}

/* --- answering ------------------------------------------------------------ */

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct conn *c = req->data;
    if (status != 0)
        conn_close(c); /* else the peer's end of file, or the deadline, closes it */
}

static void on_written(uv_write_t *req, int status)
{
    struct conn *c = req->data;
    if (status != 0 || c->half_open ||
        uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0)
        conn_close(c);
}

/* What stands in c->output, and a body behind it that lives as long as the connection. */
static void answer_with(struct conn *c, size_t len, const void *body, size_t body_len)
{
    c->answered = true;
    c->write.data = c->shutdown.data = c;
    uv_buf_t bufs[2] = {uv_buf_init(c->output, (unsigned)len),
                        uv_buf_init((char *)(uintptr_t)body, (unsigned)body_len)};
    uint64_t linger_ms = CONN_LINGER_MS + body_len / CONN_SLOWEST_BYTES_PER_MS;
    (void)uv_timer_start(&c->deadline, on_linger, linger_ms, 0);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, body_len > 0 ? 2 : 1, on_written) != 0)
        conn_close(c);
}

static void answer(struct conn *c, size_t len)
{
    answer_with(c, len, NULL, 0);
}

static void answer_error(struct conn *c, enum http_error error, const char *headers,
                         const char *camera, const char *message)
{
    struct log_context ctx = {.client = c->peer};
    refusal_log_write(&c->server->refusal_log, &ctx, "refused", error, message);
    c->server->refused[error]++;
    answer(c, http_reply_error_with(c->output, error, c->head.request.origin, headers, camera,
                                    message, c->head.request.method == REQUEST_HEAD));
}

static void answer_healthz(struct conn *c)
{
    if (c->server->draining) {
        answer_error(c, HTTP_ERROR_DRAINING, "", NULL, "the server is stopping");
        return;
    }
    static const char body[] = "ok\n";
    char headers[96];
    bool head = c->head.request.method == REQUEST_HEAD;
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n",
                   sizeof(body) - 1);
    size_t len = http_reply_head(c->output, 200, c->head.request.origin, headers);
    if (!head) {
        memcpy(c->output + len, body, sizeof(body) - 1);
        len += sizeof(body) - 1;
    }
    answer(c, len);
}

static void answer_page(struct conn *c)
{
    struct pages_ports ports = {c->server->ports[ROUTE_PORT_STREAM],
                                c->server->ports[ROUTE_PORT_SNAPSHOT]};
    const unsigned char *body;
    size_t body_len;
    size_t len = pages_reply(c->output, &c->head.request, &ports, &body, &body_len);
    answer_with(c, len, body, body_len);
}

/* c->text, NULL if there was no memory for it. */
static void answer_text(struct conn *c, const char *type)
{
    const struct http_request *request = &c->head.request;
    char headers[192];
    if (c->text == NULL) {
        answer_error(c, HTTP_ERROR_OVERLOADED, "", NULL, "out of memory");
        return;
    }
    size_t body_len = strlen(c->text);
    size_t others = c->server->text_bytes;
    if (others > 0 && others + body_len > SERVER_MAX_TEXT_BYTES) {
        answer_error(c, HTTP_ERROR_OVERLOADED, "", NULL, "too many answers are being taken");
        return;
    }
    c->text_bytes = body_len;
    c->server->text_bytes = others + body_len;
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: %s\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n", type,
                   body_len);
    size_t len = http_reply_head(c->output, 200, request->origin, headers);
    answer_with(c, len, c->text, request->method == REQUEST_HEAD ? 0 : body_len);
}

static void answer_json(struct conn *c, char *text)
{
    c->text = text;
    answer_text(c, "application/json");
}

/* All, or those of the camera that the query names. */
static void answer_streams(struct conn *c, const struct route *r)
{
    const struct camera_table *table = c->server->cameras;
    const struct camera_list cameras = camera_table_list(table);
    if (r->camera_label[0] == '\0')
        answer_json(c, api_streams(&cameras));
    else
        answer_json(
            c, api_streams_of(r->camera_label, camera_table_find(table, &r->url, r->transport)));
}

/* The ID in the path of a request about one stream. */
static const char *stream_id(const struct conn *c)
{
    return c->head.request.path + strlen(ROUTE_API_STREAM_PREFIX);
}

static void answer_no_stream(struct conn *c)
{
    answer_error(c, HTTP_ERROR_NOT_FOUND, "", NULL, "there is no stream with this ID");
}

static void answer_one_stream(struct conn *c)
{
    const struct camera *cam = camera_table_find_id(c->server->cameras, stream_id(c));
    if (cam == NULL)
        answer_no_stream(c);
    else
        answer_json(c, api_stream(cam));
}

static void answer_metrics(struct conn *c)
{
    c->text = metrics_text(c->server);
    answer_text(c, "text/plain; version=0.0.4; charset=utf-8");
}

/* HEAD asks what a stream would be like, which needs no camera. */
static void answer_stream_head(struct conn *c)
{
    answer(c, http_reply_head(c->output, 200, c->head.request.origin,
                              "Content-Type: video/x-flv\r\nCache-Control: no-store\r\n"));
}

static void read_on(struct conn *c);

/* --- handing over --------------------------------------------------------- */

/* The worker gets a duplicate; closing our handle then leaves the connection to it. */
static void hand_over(struct conn *c, struct route *r)
{
    const char *message = "";
    r->client.conn_id = c->id;
    r->client.accepted_us = c->accepted_us;
    (void)snprintf(r->client.peer, sizeof(r->client.peer), "%s", c->peer);

    enum http_error error = HTTP_ERROR_OVERLOADED;
    uv_os_fd_t ours;
    int fd = -1;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    if (uv_fileno((uv_handle_t *)&c->tcp, &ours) == 0)
        fd = fcntl(ours, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd == -1)
        message = "no descriptor left";
    else
        error = camera_table_handover(c->server->cameras, &r->url, r->transport, &r->client, &fd,
                                      &message);
    fd_close(&fd);
    if (error == HTTP_ERROR_NONE) {
        conn_close(c);
        return;
    }
    answer_error(c, error, "", r->camera_label, message);
    read_on(c);
}

static void answer_stop(struct conn *c)
{
    const char *message;
    if (!access_allows_change(c->server->conf, &c->head.request, &message)) {
        answer_error(c, HTTP_ERROR_ORIGIN_NOT_ALLOWED, "", NULL, message);
        return;
    }
    int rc = camera_table_stop(c->server->cameras, stream_id(c));
    if (rc == -ENOENT)
        answer_no_stream(c);
    else if (rc != 0)
        answer_error(c, HTTP_ERROR_OVERLOADED, "", NULL,
                     "thousands of requests wait for this stream's worker; try again in a moment");
    else
        answer(c, http_reply_head(c->output, 204, c->head.request.origin, ""));
}

/* --- admission ------------------------------------------------------------ */

/* Is the client within its requests per minute? */
static bool within_rate(struct conn *c)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &len) != 0)
        return true; /* gone already */
    return rate_limit_pass(&c->server->rate_limit, (const struct sockaddr *)&addr,
                           c->server->conf->server.max_requests_per_minute, clock_ms());
}

/* The page's files hold nothing; what they ask for needs the token again. */
static bool is_public(enum route_kind kind)
{
    return kind == ROUTE_PAGE || kind == ROUTE_HEALTHZ || kind == ROUTE_PREFLIGHT;
}

/* May the request be answered?  If not, it has been refused. */
static bool admit(struct conn *c, const struct route *r)
{
    const char *message;
    if (is_public(r->kind))
        return true;
    if (!within_rate(c)) {
        answer_error(c, HTTP_ERROR_OVERLOADED, "", NULL,
                     "more requests per minute than [server] max_requests_per_minute allows");
        return false;
    }
    if (!access_allows(c->server->conf, &c->head.request, (int64_t)time(NULL), &message)) {
        answer_error(c, HTTP_ERROR_UNAUTHORIZED, "WWW-Authenticate: Bearer\r\n", NULL, message);
        return false;
    }
    if (route_needs_camera(r->kind) && c->server->draining) {
        answer_error(c, HTTP_ERROR_DRAINING, "", r->camera_label, "the server is stopping");
        return false;
    }
    return true;
}

/* --- requests ------------------------------------------------------------- */

/* No default: a kind without a branch does not compile. */
static void answer_request(struct conn *c, struct route *r)
{
    const struct http_request *request = &c->head.request;
    switch (r->kind) {
    case ROUTE_ERROR:
        answer_error(c, r->error, r->headers, r->camera_label[0] != '\0' ? r->camera_label : NULL,
                     r->message);
        break;
    case ROUTE_STREAM:
        if (request->method == REQUEST_HEAD)
            answer_stream_head(c);
        else
            hand_over(c, r);
        break;
    case ROUTE_SNAPSHOT:
    case ROUTE_MJPEG:
        hand_over(c, r);
        break;
    case ROUTE_PREFLIGHT:
        answer(c, http_reply_head(c->output, 204, request->origin, r->headers));
        break;
    case ROUTE_HEALTHZ:
        answer_healthz(c);
        break;
    case ROUTE_PAGE:
        answer_page(c);
        break;
    case ROUTE_API_CAMERAS:
        answer_json(c, api_cameras(c->server->conf));
        break;
    case ROUTE_API_STREAMS:
        answer_streams(c, r);
        break;
    case ROUTE_API_STREAM:
        answer_one_stream(c);
        break;
    case ROUTE_METRICS:
        answer_metrics(c);
        break;
    case ROUTE_API_STOP:
        answer_stop(c);
        break;
    }
}

static void on_request(struct conn *c)
{
    struct route *r = xcalloc(1, sizeof(*r));
    (void)route_request(c->server->conf, c->port, &c->head.request, r);
    if (admit(c, r))
        answer_request(c, r);
    free(r);
}

/* --- reading -------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct conn *c = handle->data;
    *buf = uv_buf_init(c->input, sizeof(c->input));
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

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct conn *c = stream->data;
    if (nread == UV_EOF && c->answered && uv_stream_get_write_queue_size(stream) > 0) {
        c->half_open = true; /* RFC 9112 section 9.6: it may well still read */
        (void)uv_read_stop(stream);
        return;
    }
    if (nread < 0) {
        conn_close(c);
        return;
    }
    if (nread == 0 || c->answered)
        return;
    int rc = http_head_feed(&c->head, buf->base, (size_t)nread, NULL);
    if (rc == 1) {
        (void)uv_timer_stop(&c->deadline);
        on_request(c);
    } else if (rc < 0) {
        answer_error(c, c->head.error, "", NULL, head_error_text(c->head.error));
    }
}

static void on_head_deadline(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    answer_error(c, HTTP_ERROR_REQUEST_TIMEOUT, "", NULL,
                 "the request head did not arrive within 10 s");
}

/* To the end, also what is not wanted: closing with bytes unread resets the connection. */
static void read_on(struct conn *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp) &&
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        conn_close(c);
}

static void set_peer(struct conn *c)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &len) == 0)
        address_format((const struct sockaddr *)&addr, c->peer);
}

void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening)
{
    struct conn *c = xcalloc(1, sizeof(*c));
    c->server = server;
    c->port = port;
    c->id = ++server->next_conn_id;
    c->accepted_us = clock_us();
    c->open_handles = 2;
    LIST_INSERT_HEAD(&server->open_conns, c, link);
    server->conns++;
    (void)uv_tcp_init(server->loop, &c->tcp);
    (void)uv_timer_init(server->loop, &c->deadline);
    c->tcp.data = c->deadline.data = c;
    http_head_init(&c->head);
    if (uv_accept(listening, (uv_stream_t *)&c->tcp) != 0) {
        conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    set_peer(c);
    if (server->conns > SERVER_MAX_CONNS + SERVER_MAX_REFUSALS) {
        conn_close(c);
        return;
    }
    if (server->conns > SERVER_MAX_CONNS)
        answer_error(c, HTTP_ERROR_OVERLOADED, "", NULL, "too many requests are waiting");
    else
        (void)uv_timer_start(&c->deadline, on_head_deadline, CONN_HEAD_MS, 0);
    read_on(c);
}

void conn_close_all(struct server *server, bool answered)
{
    struct conn *c;
    LIST_FOREACH(c, &server->open_conns, link)
    {
        if (answered || !c->answered)
            conn_close(c); /* leaves the list later */
    }
}
