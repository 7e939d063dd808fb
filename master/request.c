#include "master/request.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/xalloc.h"
#include "master/access.h"
#include "master/api.h"
#include "master/conf_camera.h"
#include "master/manage.h"
#include "master/metrics.h"
#include "master/pages.h"
#include "master/route.h"
#include "master/server_shared.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUB_RETRY_US INT64_C(60000000)   /* for how long stream=auto avoids one that failed */
#define SIGNATURE_S (INT64_C(24) * 3600) /* for how long a signature of /api/signature is good */

/* --- answers without a body of their own ---------------------------------- */

static void answer_healthz(struct conn *c)
{
    if (c->server->draining) {
        conn_refuse(c, HTTP_ERROR_DRAINING, "the server is stopping");
        return;
    }
    const char *trouble = camera_table_health(c->server->cameras);
    if (trouble != NULL) {
        conn_refuse(c, HTTP_ERROR_OVERLOADED, trouble);
        return;
    }
    static const char body[] = "ok\n";
    char headers[96];
    bool head = c->head.request.method == REQUEST_HEAD;
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n",
                   sizeof(body) - 1);
    size_t len = http_reply_head(conn_output(c), 200, c->head.request.origin, headers);
    if (!head) {
        memcpy(conn_output(c) + len, body, sizeof(body) - 1);
        len += sizeof(body) - 1;
    }
    conn_answer(c, len);
}

static void answer_page(struct conn *c)
{
    struct pages_ports ports = {c->server->ports[ROUTE_PORT_STREAM],
                                c->server->ports[ROUTE_PORT_SNAPSHOT]};
    const unsigned char *body;
    size_t body_len;
    size_t len = pages_reply(conn_output(c), &c->head.request, &ports, &body, &body_len);
    conn_answer_with(c, len, body, body_len);
}

/* HEAD of a stream needs no camera: the headers are always the same. */
static void answer_stream_head(struct conn *c)
{
    conn_answer(c, http_reply_head(conn_output(c), 200, c->head.request.origin,
                                   "Content-Type: video/x-flv\r\nCache-Control: no-store\r\n"));
}

/* --- texts ---------------------------------------------------------------- */

/* @param text  Moved. */
static void answer_text(struct conn *c, const char *type, struct shared_text *text)
{
    const struct http_request *request = &c->head.request;
    char headers[192];
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: %s\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n", type,
                   text->len);
    conn_hold_text(c, text);
    size_t len = http_reply_head(conn_output(c), 200, request->origin, headers);
    conn_answer_with(c, len, text->text, request->method == REQUEST_HEAD ? 0 : text->len);
}

static void evict(struct text_reader *reader)
{
    conn_evict((struct conn *)(void *)((char *)reader - offsetof(struct conn, reader)));
}

/* Before a text of this length is made, for this client. */
static void make_room_for_text(struct server *server, const struct client_key *asker, size_t len)
{
    size_t most = len < SERVER_MAX_TEXT_BYTES ? SERVER_MAX_TEXT_BYTES - len : 0;
    text_readers_make_room(&server->text_readers, asker, &server->text_bytes, most, evict);
}

/* @param text  Moved; NULL: out of memory. @return NULL: refused for that. */
static struct shared_text *share(struct conn *c, char *text)
{
    if (text != NULL)
        return shared_text_new(text, &c->server->text_bytes);
    conn_refuse(c, HTTP_ERROR_OVERLOADED, "out of memory");
    return NULL;
}

static void answer_json(struct conn *c, char *json)
{
    struct shared_text *text = share(c, json);
    if (text != NULL)
        answer_text(c, "application/json", text);
}

static char *make_streams(const struct server *server)
{
    return api_streams(server->conf, camera_table_set(server->cameras));
}

static char *make_cameras(const struct server *server)
{
    return api_cameras(server->conf, camera_table_set(server->cameras));
}

/* The processor time of this thread alone. */
static int64_t processor_time_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void answer_cached(struct conn *c, struct text_cache *cache, const char *type,
                          char *(*make)(const struct server *server))
{
    struct shared_text *text = text_cache_get(cache, clock_us());
    if (text == NULL) {
        make_room_for_text(c->server, &c->asker, cache->last_len);
        int64_t began_us = processor_time_us();
        text = share(c, make(c->server));
        if (text == NULL)
            return;
        text_cache_put(cache, text, processor_time_us() - began_us, clock_us());
    }
    answer_text(c, type, text);
}

static void answer_metrics(struct conn *c)
{
    answer_cached(c, &c->server->metrics, "text/plain; version=0.0.4; charset=utf-8", metrics_text);
}

/* The camera that a request is about, in the configuration. @return NULL: it is not there. */
static const struct conf_camera *configured(const struct server *server, const struct route *r)
{
    char key[IPC_URL_MAX];
    (void)url_format(&r->url, key);
    const struct conf_camera *c =
        r->camera_name[0] != '\0'
            ? conf_find_camera(server->conf, r->camera_name)
            : camera_set_configured(camera_table_set(server->cameras), key, r->transport);
    explicit_bzero(key, sizeof(key));
    return c;
}

/* Answer with all streams, or with that of the camera that the query names. */
static void answer_streams(struct conn *c, const struct route *r)
{
    const struct camera_table *table = c->server->cameras;
    if (r->camera_label[0] == '\0')
        answer_cached(c, &c->server->streams, "application/json", make_streams);
    else
        answer_json(c, api_streams_of(c->server->conf, r->camera_label, configured(c->server, r),
                                      camera_table_find(table, &r->url, r->transport)));
}

/* A signature for the camera that the query names, for links that are given to others. */
static void answer_signature(struct conn *c, const struct route *r)
{
    char expires[24], signature[ACCESS_SIGNATURE_MAX];
    int64_t until_s = (int64_t)time(NULL) + SIGNATURE_S;
    (void)snprintf(expires, sizeof(expires), "%lld", (long long)until_s);
    bool has_key = access_sign_camera(c->server->conf, &c->head.request, expires, signature);
    answer_json(c, api_signature(r->camera_label, until_s, has_key ? signature : NULL));
}

/* The ID in the path of a request about one stream. */
static const char *stream_id(const struct conn *c)
{
    return c->head.request.path + strlen(ROUTE_API_STREAM_PREFIX);
}

static void answer_no_stream(struct conn *c)
{
    conn_refuse(c, HTTP_ERROR_NOT_FOUND, "there is no stream with this ID");
}

static void answer_one_stream(struct conn *c)
{
    const struct conf *conf = c->server->conf;
    const struct camera *cam = camera_table_find_id(c->server->cameras, stream_id(c));
    const struct conf_camera *named = conf_find_camera(conf, stream_id(c));
    if (cam != NULL)
        answer_json(c, api_stream(conf, cam));
    else if (named != NULL)
        answer_json(c, api_stream_unwatched(conf, named));
    else
        answer_no_stream(c);
}

/* --- cameras -------------------------------------------------------------- */

/* Give the worker what it needs to keep the connection.  From the request's head, it recognises the
 * same request when that comes again; it does not get the head when each request must be counted
 * here.  It also gets the bytes after the request; if those are too many, the connection ends with
 * this answer. */
static void hand_bytes_over(const struct conn *c, struct ipc_client *client)
{
    size_t rest = c->input_len;
    bool counted = c->server->conf->server.max_requests_per_minute > 0;
    size_t head = counted || c->head_len + rest > sizeof(client->bytes) ? 0 : c->head_len;
    if (rest > sizeof(client->bytes))
        return;
    client->keep = 1;
    client->requests = c->requests;
    client->head_bytes = (uint32_t)head;
    client->rest_bytes = (uint32_t)rest;
    memcpy(client->bytes, c->input - head, head + rest);
}

/* stream=auto: has the sub-stream failed lately?  After a while, somebody tries it again. */
static void prefer_what_works(const struct server *server, struct route *r)
{
    const struct conf_camera *sub =
        r->may_be_main ? conf_find_camera(server->conf, r->camera_name) : NULL;
    const struct camera *cam =
        sub != NULL ? camera_set_find(camera_table_set(server->cameras), sub->key, r->transport)
                    : NULL;
    if (cam != NULL && cam->health.failed_us != 0 &&
        clock_us() - cam->health.failed_us < SUB_RETRY_US)
        route_set_camera(r, conf_camera_main(server->conf, sub));
}

/* The worker gets a duplicate of the descriptor; closing ours leaves the connection to it. */
static void hand_over(struct conn *c, struct route *r)
{
    const char *message = "no descriptor left";
    if (c->websocket && !conn_accept_websocket(c))
        return;
    prefer_what_works(c->server, r);
    r->client.conn_id = c->id;
    r->client.accepted_us = c->accepted_us;
    r->client.client = client_key_hash(&c->asker, 0);
    (void)snprintf(r->client.peer, sizeof(r->client.peer), "%s", c->peer);
    if (r->kind == ROUTE_SNAPSHOT && c->keep)
        hand_bytes_over(c, &r->client);

    const struct camera_request request = {&r->url,  r->transport,   &c->asker,
                                           &c->from, r->camera_name, &r->client};
    enum http_error error = HTTP_ERROR_OVERLOADED;
    int fd = conn_detach(c);
    if (fd != -1)
        error = camera_table_dispatch(c->server->cameras, &request, &fd, &message);
    fd_close(&fd);
    if (error == HTTP_ERROR_NONE) {
        conn_close(c);
        return;
    }
    conn_answer_error(c, error, "", r->camera_label, message);
    conn_read_on(c);
}

/* @param starts  it starts a camera. */
static void answer_change(struct conn *c, const char *id, bool starts,
                          int (*change)(struct camera_table *table, const char *id))
{
    const char *message;
    if (!access_allows_change(c->server->conf, &c->head.request, &message)) {
        conn_refuse(c, HTTP_ERROR_ORIGIN_NOT_ALLOWED, message);
        return;
    }
    if (starts && !camera_table_may_restart(c->server->cameras, &c->asker, &message)) {
        conn_refuse(c, HTTP_ERROR_OVERLOADED, message);
        return;
    }
    int rc = change(c->server->cameras, id);
    if (rc == 0 && starts)
        camera_table_restarted(c->server->cameras, &c->asker);
    if (rc == 0)
        server_expire_texts(c->server);
    if (rc == -ENOENT)
        answer_no_stream(c);
    else if (rc == -EACCES)
        conn_refuse(c, HTTP_ERROR_CAMERA_UNAUTHORIZED,
                    "the camera has rejected its password several times; it is asked again after "
                    "one to five minutes, because cameras lock accounts");
    else if (rc != 0)
        conn_refuse(c, HTTP_ERROR_OVERLOADED,
                    "thousands of requests wait for this stream's worker; try again in a moment");
    else
        conn_answer(c, http_reply_head(conn_output(c), 204, c->head.request.origin, ""));
}

static void answer_restart(struct conn *c)
{
    char id[IPC_CAMERA_ID_MAX];
    size_t len = strlen(stream_id(c)) - strlen(ROUTE_API_RESTART_SUFFIX);
    if (len >= sizeof(id)) {
        answer_no_stream(c);
        return;
    }
    memcpy(id, stream_id(c), len);
    id[len] = '\0';
    answer_change(c, id, true, camera_table_restart);
}

/* --- admission ------------------------------------------------------------ */

/* The page's files hold no secrets; the requests that they make need the token. */
static bool is_public(enum route_kind kind)
{
    return kind == ROUTE_PAGE || kind == ROUTE_HEALTHZ || kind == ROUTE_PREFLIGHT;
}

/* An error tells only what is wrong with the request that was signed. */
static enum access_by opened_by(enum route_kind kind)
{
    return route_needs_camera(kind) || kind == ROUTE_ERROR ? ACCESS_BY_SIGNATURE : ACCESS_BY_TOKEN;
}

/* May the request be answered?  If not, it has been refused. */
static bool admit(struct conn *c, const struct route *r)
{
    const struct conf *conf = c->server->conf;
    const char *message;
    if (is_public(r->kind))
        return true;
    if (!rate_limit_pass(&c->server->rate_limit, &c->asker, conf->server.max_requests_per_minute,
                         clock_ms())) {
        conn_refuse(c, HTTP_ERROR_OVERLOADED,
                    "more requests per minute than [server] max_requests_per_minute allows");
        return false;
    }
    if (!access_allows(conf, &c->head.request, opened_by(r->kind), (int64_t)time(NULL), &message)) {
        conn_answer_error(c, HTTP_ERROR_UNAUTHORIZED, "WWW-Authenticate: Bearer\r\n", NULL,
                          message);
        return false;
    }
    if (route_needs_camera(r->kind) && c->server->draining) {
        conn_answer_error(c, HTTP_ERROR_DRAINING, "", r->camera_label, "the server is stopping");
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
        conn_answer_error(c, r->error, r->headers,
                          r->camera_label[0] != '\0' ? r->camera_label : NULL, r->message);
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
        conn_answer(c, http_reply_head(conn_output(c), 204, request->origin, r->headers));
        break;
    case ROUTE_HEALTHZ:
        answer_healthz(c);
        break;
    case ROUTE_PAGE:
        answer_page(c);
        break;
    case ROUTE_API_SAVE:
        manage_save(c);
        break;
    case ROUTE_API_REMOVE:
        manage_remove(c);
        break;
    case ROUTE_API_CAMERAS:
        answer_cached(c, &c->server->list, "application/json", make_cameras);
        break;
    case ROUTE_API_STREAMS:
        answer_streams(c, r);
        break;
    case ROUTE_API_STREAM:
        answer_one_stream(c);
        break;
    case ROUTE_API_SIGNATURE:
        answer_signature(c, r);
        break;
    case ROUTE_METRICS:
        answer_metrics(c);
        break;
    case ROUTE_API_STOP:
        answer_change(c, stream_id(c), false, camera_table_stop);
        break;
    case ROUTE_API_RESTART:
        answer_restart(c);
        break;
    }
}

void request_answer(struct conn *c)
{
    struct route *r = xcalloc(1, sizeof(*r));
    (void)route_request(c->server->conf, c->port, &c->head.request, r);
    c->websocket = r->client.websocket != 0;
    if (admit(c, r))
        answer_request(c, r);
    explicit_bzero(r, sizeof(*r)); /* a camera's password */
    free(r);
}
