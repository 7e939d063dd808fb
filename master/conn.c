#include "master/conn.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/websocket_close.h"
#include "common/xalloc.h"
#include "master/conn_private.h"
#include "master/forwarded.h"
#include "master/proxy_header.h"
#include "master/server_shared.h"
#include "master/websocket_handshake.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
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

static void free_proxy(struct conn_proxy **proxy)
{
    if (*proxy != NULL)
        explicit_bzero(*proxy, sizeof(**proxy)); /* a camera's password */
    free(*proxy);
    *proxy = NULL;
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
    free_proxy(&c->proxy);
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

/* The connection itself is the client, until a header says otherwise. */
static void set_asker(struct conn *c)
{
    address_format(&c->from.any, c->peer);
    c->asker = client_key_of(&c->from.any);
}

/* A trusted proxy names the client in a header of each request; without it, the proxy is the
 * client. */
static void read_forwarded(struct conn *c)
{
    char address[IPC_PEER_MAX];
    if (!c->proxied)
        return;
    set_asker(c);
    if (forwarded_client(c->server->conf->server.trusted_proxies, c->head.request.forwarded_for,
                         address, sizeof(address)) &&
        client_key_parse(address, &c->asker))
        (void)snprintf(c->peer, sizeof(c->peer), "%s", address);
}

static union address peer_of(const struct conn *c)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    union address from = {.any.sa_family = AF_UNIX};
    int len = sizeof(peer);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len) == 0 &&
        peer.ss_family != AF_UNIX)
        memcpy(&from, &peer, sizeof(from));
    return from;
}

static bool is_listed(const union address *from, const char *proxies)
{
    char text[IPC_PEER_MAX], address[IPC_PEER_MAX];
    address_format(&from->any, text);
    address_without_port(text, address);
    return forwarded_trusts(proxies, address);
}

/* A worker that had the connection may have connected its socket to somebody else since, who would
 * pass for the client.  It cannot undo that. */
static bool is_still_with_its_client(const struct conn *c)
{
    static struct log_limit limit;
    unsigned suppressed;
    char now[IPC_PEER_MAX], before[IPC_PEER_MAX];
    union address peer = peer_of(c);
    address_format(&peer.any, now);
    address_format(&c->from.any, before);
    if (strcmp(now, before) == 0 || is_listed(&peer, c->server->conf->server.proxy_protocol))
        return true;
    if (log_limit_pass(&limit, 1, 1000, &suppressed))
        log_warnx(&(struct log_context){.client = c->peer},
                  "its connection leads to somebody else now: it is closed (%u more)", suppressed);
    return false;
}

static void feed_head(struct conn *c, const char *data, size_t len)
{
    size_t used;
    int rc = http_head_feed(&c->head, data, len, &used);
    if (rc == 1 && c->requests > 0 && !is_still_with_its_client(c)) {
        conn_close(c);
    } else if (rc == 1) {
        (void)uv_timer_stop(&c->deadline);
        if (c->requests++ > 0)
            c->accepted_us = clock_us();
        c->keep = may_keep(c);
        c->input = data + used;
        c->input_len = len - used;
        c->head_len = used == c->head.head_bytes ? used : 0;
        read_forwarded(c);
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

static void keep_share(struct server *server, const struct client_key *client);

/* From now on the connection counts as that client's, as if that had just connected.  It has its
 * place already, so only that client's others may have to go. */
static void change_from(struct conn *c, const union address *from)
{
    struct server *server = c->server;
    TAILQ_REMOVE(&server->open_conns, c, link);
    client_share_give(&server->conn_share, &c->client);
    conn_set_from(c, from);
    keep_share(server, &c->client);
    TAILQ_INSERT_TAIL(&server->open_conns, c, link);
    client_share_take(&server->conn_share, &c->client);
}

static void feed_proxy(struct conn *c, const char *data, size_t len)
{
    struct proxy_header header;
    struct conn_proxy *proxy = c->proxy;
    memcpy(proxy->bytes + proxy->len, data, len); /* incomplete, it is shorter than the maximum */
    proxy->len += len;
    int used = proxy_header_read(proxy->bytes, proxy->len, &header);
    if (used == 0)
        return;
    c->proxy = NULL;
    if (used > 0 && header.has_client)
        change_from(c, &header.client);
    if (used < 0)
        conn_refuse(c, HTTP_ERROR_BAD_REQUEST,
                    "[server] proxy_protocol: connections of this proxy have to begin with a PROXY "
                    "header, version 1 or 2, of at most 1024 bytes");
    else if (proxy->len > (size_t)used)
        feed_head(c, proxy->bytes + used, proxy->len - (size_t)used);
    free_proxy(&proxy);
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
        feed_proxy(c, buf->base, (size_t)nread);
    else if (c->on_input != NULL)
        c->on_input(c, buf->base, (size_t)nread);
    else
        feed_head(c, buf->base, (size_t)nread);
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

/* Begin the next request with bytes that have already arrived. */
static void begin(struct conn *c, const char *data, size_t len)
{
    if (c->server->paused) {
        conn_park(c, data, len);
        return;
    }
    c->answered = c->keep = false;
    http_head_init(&c->head);
    if (len > 0) {
        conn_start_head_deadline(c);
        feed_head(c, data, len);
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
    begin(c, rest, rest_len);
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

/* --- accepting ------------------------------------------------------------ */

void conn_set_from(struct conn *c, const union address *from)
{
    c->from = *from;
    set_asker(c);
    c->proxied = is_listed(&c->from, c->server->conf->server.trusted_proxies);
    c->client = c->asker;
    if (c->proxied)
        c->client = (struct client_key){0};
}

/* Whoever is behind such a proxy counts, not the proxy. */
void conn_await_proxy_header(struct conn *c)
{
    if (!is_listed(&c->from, c->server->conf->server.proxy_protocol))
        return;
    c->proxy = xcalloc(1, sizeof(*c->proxy));
    c->client = (struct client_key){0};
}

/* The oldest connection of this client, or of all clients if NULL; preferably one whose request has
 * not arrived. */
static struct conn *find_oldest(const struct server *server, const struct client_key *client)
{
    struct conn *answered = NULL;
    struct conn *c;
    TAILQ_FOREACH (c, &server->open_conns, link) {
        if (client != NULL && !client_key_equal(&c->client, client))
            continue;
        if (!c->answered)
            return c;
        if (answered == NULL)
            answered = c;
    }
    return answered;
}

void conn_evict(struct conn *c)
{
    if (c == NULL)
        return;
    c->server->evicted_conns++;
    conn_close(c);
    shared_text_unref(c->text); /* nothing is written after the close */
    c->text = NULL;
}

/* Before it gets one more connection: a client that has its share loses its oldest one. */
static void keep_share(struct server *server, const struct client_key *client)
{
    if (!client_share_allows(&server->conn_share, client, server->max_conns,
                             server->conf->server.client_share, CLIENT_SHARE_FLOOR))
        conn_evict(find_oldest(server, client));
}

static void make_room(struct server *server, const struct client_key *client)
{
    if (server->conns >= server->max_conns)
        conn_evict(find_oldest(server, NULL));
    else
        keep_share(server, client);
}

struct conn *conn_new(struct server *server, enum route_port port, uint64_t id,
                      void (*on_request)(struct conn *conn))
{
    struct conn *c = xcalloc(1, sizeof(*c));
    c->server = server;
    c->port = port;
    c->on_request = on_request;
    c->id = id;
    c->accepted_us = clock_us();
    c->open_handles = 2;
    (void)uv_tcp_init(server->loop, &c->tcp);
    (void)uv_timer_init(server->loop, &c->deadline);
    c->tcp.data = c->deadline.data = c;
    http_head_init(&c->head);
    return c;
}

/* Add a connection to the server's list.  @param rc  0: it has its socket. @return false: closed
 * again. */
bool conn_join(struct conn *c, int rc)
{
    struct server *server = c->server;
    make_room(server, &c->client);
    TAILQ_INSERT_TAIL(&server->open_conns, c, link);
    client_share_take(&server->conn_share, &c->client);
    server->conns++;
    if (++server->allocated_conns > server->most_conns)
        server->most_conns = server->allocated_conns;
    if (rc != 0)
        conn_close(c);
    return rc == 0;
}

void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening,
                 void (*on_request)(struct conn *conn))
{
    struct conn *c = conn_new(server, port, ++server->next_conn_id, on_request);
    int rc = uv_accept(listening, (uv_stream_t *)&c->tcp);
    union address from = peer_of(c);
    conn_set_from(c, &from);
    conn_await_proxy_header(c);
    if (!conn_join(c, rc))
        return;
    (void)uv_tcp_nodelay(&c->tcp, 1);
    conn_start_head_deadline(c);
    conn_read_on(c);
}

/* A worker may have been taken over.  What it returns must be a TCP connection, so that it gains
 * nothing over a connection to the port. */
static bool is_tcp(int fd)
{
    int type = 0, protocol = 0;
    socklen_t len = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

void conn_adopt(struct server *server, const struct ipc_return *connection,
                const union address *from, int *fd, void (*on_request)(struct conn *conn))
{
    if (server->draining || !is_tcp(*fd))
        return; /* closed by the caller */
    struct conn *c = conn_new(server, ROUTE_PORT_SNAPSHOT, connection->conn_id, on_request);
    int rc = uv_tcp_open(&c->tcp, *fd);
    if (rc == 0)
        *fd = -1;
    c->requests = connection->requests > 0 ? connection->requests : 1; /* the worker says */
    conn_set_from(c, from);
    if (conn_join(c, rc))
        begin(c, connection->bytes, connection->len);
}
