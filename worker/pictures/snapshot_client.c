/* See snapshot_client.h.  RFC 9110 section 13 (conditional requests), RFC 7240 (Prefer: wait), RFC
 * 2046 section 5.1 (multipart). */
#include "worker/pictures/snapshot_client.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/http/client_socket.h"
#include "worker/pictures/snapshot_headers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* A client accepts any other picture instead a little later than it accepts an older key frame. */
#define KEY_PATIENCE_MS (SNAPSHOT_PATIENCE_MS + 1000)
#define BOUNDARY "cam-httpflv-picture"

enum state {
    UNANSWERED,
    STREAMING, /* MJPEG: head answered */
    KEPT,      /* answered, waits for the next request */
    LINGERING, /* all is sent, waits for the other side to close */
    CLOSED
};

struct snapshot_client {
    struct client_socket socket;
    struct snapshot_client_env *env;
    enum state state;
    bool due; /* a picture is due to it, and none is in transit */
    struct ipc_client request;
    struct picture_form form;
    enum ipc_picture kind;
    int64_t known_us;      /* when the client's own picture was received; 0: any picture will do */
    uint64_t seq;          /* see snapshot_client_open() */
    uint64_t sent_seq;     /* MJPEG: the picture sent last */
    int64_t next_us;       /* when the picture was due; MJPEG: and the next one is, from then on */
    int64_t deadline_ms;   /* for UNANSWERED */
    int64_t kept_until_ms; /* the same request may be answered again until then */
    bool good;             /* the last answer was a picture */
    uint64_t bytes;

    /* In transit, in this order: head, picture, tail. */
    char head[HTTP_REPLY_MAX];
    size_t head_len;
    struct jpeg *jpeg; /* one reference, or NULL */
    const char *tail;
    size_t sent; /* bytes, of all three */
};

static bool is_mjpeg(const struct snapshot_client *c)
{
    return c->request.kind == IPC_CLIENT_MJPEG;
}

static size_t to_send(const struct snapshot_client *c)
{
    return c->head_len + (c->jpeg != NULL ? c->jpeg->len : 0) + strlen(c->tail) - c->sent;
}

/* --- closing -------------------------------------------------------------- */

static void on_poll_closed(uv_handle_t *handle)
{
    struct snapshot_client *c = handle->data;
    c->env->on_closed(c->env->ctx, c);
    jpeg_unref(&c->jpeg);
    free(c);
}

void snapshot_client_close(struct snapshot_client *client)
{
    struct snapshot_client *c = client;
    if (c->state == CLOSED)
        return;
    if (c->state == STREAMING) {
        struct log_context ctx = client_socket_log(&c->socket);
        log_info(&ctx, "MJPEG viewer gone: %.1f s, %llu bytes",
                 (double)(clock_ms() - c->socket.opened_ms) / 1000, (unsigned long long)c->bytes);
    }
    c->state = CLOSED;
    c->due = false;
    client_socket_close(&c->socket, on_poll_closed);
}

void snapshot_client_end(struct snapshot_client *client, const char *why)
{
    struct log_context ctx = client_socket_log(&client->socket);
    log_warnx(&ctx, "MJPEG ended: %s", why);
    snapshot_client_close(client);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* A client may have sent more than its head: a POST's body. */
static void linger(struct snapshot_client *c)
{
    c->state = LINGERING;
    client_socket_linger(&c->socket);
    client_socket_poll(&c->socket, UV_READABLE, on_poll);
}

/* --- the next request ------------------------------------------------------ */

static char *rest_of(struct snapshot_client *c)
{
    return c->request.bytes + c->request.head_bytes;
}

void snapshot_client_give_back(struct snapshot_client *client)
{
    struct snapshot_client *c = client;
    if (c->state != KEPT)
        return;
    struct ipc_return back = {.conn_id = c->request.conn_id,
                              .requests = c->request.requests,
                              .len = c->request.rest_bytes,
                              .ticket = c->request.ticket};
    memcpy(back.bytes, rest_of(c), back.len);
    c->state = CLOSED;
    int fd = client_socket_release(&c->socket, on_poll_closed);
    c->env->back->give(c->env->back->ctx, &back, &fd);
    fd_close(&fd);
}

/* Do the bytes that have come so far repeat the request that was answered? */
static bool is_same_request(struct snapshot_client *c)
{
    size_t len = c->request.rest_bytes;
    if (len > c->request.head_bytes)
        len = c->request.head_bytes;
    return memcmp(rest_of(c), c->request.bytes, len) == 0;
}

static void ask_again(struct snapshot_client *c)
{
    struct ipc_client *r = &c->request;
    r->rest_bytes -= r->head_bytes;
    memmove(rest_of(c), rest_of(c) + r->head_bytes, r->rest_bytes);
    r->requests++;
    r->accepted_us = clock_us();
    c->socket.opened_ms = c->socket.progress_ms = clock_ms();
    c->deadline_ms =
        c->socket.opened_ms + r->wait_ms + c->env->limits->connect_timeout_ms + SNAPSHOT_GRACE_MS;
    c->kind = (enum ipc_picture)r->picture;
    c->state = UNANSWERED;
    c->due = true;
    if (r->rest_bytes == 0)
        handover_set(c->socket.slot, HANDOVER_AGAIN);
    c->env->on_again(c->env->ctx, c);
    if (c->state == UNANSWERED && c->due)
        client_socket_poll(&c->socket, 0, NULL);
}

static bool may_ask_again(struct snapshot_client *c)
{
    return c->request.head_bytes > 0 && c->good && clock_ms() < c->kept_until_ms &&
           is_same_request(c);
}

/* An answer is sent.  A request that is there already (pipelining) gets its turn when the socket is
 * writable, that is, after the other clients. */
static void next_request(struct snapshot_client *c)
{
    bool whole = c->request.rest_bytes >= c->request.head_bytes;
    c->state = KEPT;
    if (c->request.rest_bytes == 0)
        handover_set(c->socket.slot, HANDOVER_KEPT);
    if (may_ask_again(c))
        client_socket_poll(&c->socket, whole ? UV_WRITABLE : UV_READABLE, on_poll);
    else
        snapshot_client_give_back(c);
}

static void on_request_bytes(struct snapshot_client *c)
{
    struct ipc_client *r = &c->request;
    size_t used = r->head_bytes + r->rest_bytes;
    handover_begin(c->socket.slot);
    if (r->rest_bytes < r->head_bytes) {
        ssize_t n = client_socket_recv(&c->socket, r->bytes + used, sizeof(r->bytes) - used);
        if (n < 0) {
            snapshot_client_close(c);
            return;
        }
        r->rest_bytes += (uint32_t)n;
    }
    if (!may_ask_again(c))
        snapshot_client_give_back(c);
    else if (r->rest_bytes >= r->head_bytes)
        ask_again(c);
}

/* --- output --------------------------------------------------------------- */

static size_t add_part(struct iovec *iov, const void *data, size_t len, size_t *skip)
{
    size_t left = *skip < len ? len - *skip : 0;
    if (left == 0) {
        *skip -= len;
        return 0;
    }
    iov->iov_base = (char *)(uintptr_t)data + *skip;
    iov->iov_len = left;
    *skip = 0;
    return 1;
}

static ssize_t send_some(struct snapshot_client *c)
{
    struct iovec iov[3];
    size_t skip = c->sent;
    size_t n = add_part(&iov[0], c->head, c->head_len, &skip);
    if (c->jpeg != NULL)
        n += add_part(&iov[n], c->jpeg->data, c->jpeg->len, &skip);
    n += add_part(&iov[n], c->tail, strlen(c->tail), &skip);
    const struct msghdr mh = {.msg_iov = iov, .msg_iovlen = n};
    return client_socket_send(&c->socket, &mh);
}

/* Another worker needs to know nothing but that the part is whole. */
static void part_sent(struct snapshot_client *c)
{
    client_socket_poll(&c->socket, 0, NULL);
    handover_set(c->socket.slot, HANDOVER_WHOLE);
}

static void all_sent(struct snapshot_client *c)
{
    c->head_len = c->sent = 0;
    c->tail = "";
    jpeg_unref(&c->jpeg);
    if (c->state == STREAMING)
        part_sent(c);
    else if (c->request.keep != 0)
        next_request(c);
    else
        linger(c);
}

static void flush(struct snapshot_client *c)
{
    handover_begin(c->socket.slot);
    while (to_send(c) > 0) {
        ssize_t n = send_some(c);
        if (n == 0) {
            client_socket_poll(&c->socket, UV_WRITABLE, on_poll);
            return;
        }
        if (n < 0) {
            snapshot_client_close(c);
            return;
        }
        c->sent += (size_t)n;
        c->bytes += (size_t)n;
    }
    all_sent(c);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct snapshot_client *c = handle->data;
    if (status < 0 || (c->state == LINGERING && !client_socket_throw_away(&c->socket)))
        snapshot_client_close(c);
    else if (c->state == KEPT)
        on_request_bytes(c);
    else if ((events & UV_WRITABLE) != 0)
        flush(c);
}

/* --- answers -------------------------------------------------------------- */

/* The head of a 200, or of a 304 without a picture. */
static void put_head(struct snapshot_client *c, int status, const char *headers)
{
    c->good = true;
    char all[1024], applied[64] = "";
    if (c->request.wait_ms > 0)
        (void)snprintf(applied, sizeof(applied), "Preference-Applied: wait=%u\r\n",
                       c->request.wait_ms / 1000);
    (void)snprintf(all, sizeof(all),
                   "%s%sCache-Control: no-cache\r\n"
                   "Access-Control-Expose-Headers: ETag, " SNAPSHOT_HEADER_NAMES "\r\n",
                   headers, applied);
    c->head_len = http_reply_head(c->head, status, c->request.origin, all);
    if (c->request.keep != 0)
        c->head_len = http_reply_keep(c->head, c->head_len);
}

static void answer_snapshot(struct snapshot_client *c, const struct snapshot_picture *p,
                            struct jpeg *jpeg)
{
    char etag[SNAPSHOT_ETAG_MAX], date[40], lines[SNAPSHOT_HEADERS_MAX], headers[900], type[96];
    snapshot_etag_format(etag, p, &c->form);
    snapshot_http_date(date, p->taken_us);
    (void)snapshot_headers(lines, p, jpeg, clock_us());
    bool unchanged = snapshot_etag_matches(c->request.if_none_match, etag);
    (void)snprintf(type, sizeof(type), "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n",
                   jpeg->len);
    (void)snprintf(headers, sizeof(headers), "%sLast-Modified: %s\r\nETag: %s\r\n%s",
                   unchanged ? "" : type, date, etag, lines);
    put_head(c, unchanged ? 304 : 200, headers);
    if (!unchanged && c->request.head == 0)
        c->jpeg = jpeg_ref(jpeg);
}

/* No newer picture came within the time that the client asked to wait. */
static void answer_unchanged(struct snapshot_client *c)
{
    char headers[IPC_HEADER_MAX + 16];
    const char *tag = c->request.if_none_match;
    (void)snprintf(headers, sizeof(headers), "ETag: %s\r\n", tag);
    put_head(c, 304, strchr(tag, ',') == NULL ? headers : "");
    c->due = false;
    flush(c);
}

/* The boundary comes right after each picture, not before the next one: browsers show a part once
 * they have seen its end. */
static void answer_mjpeg(struct snapshot_client *c, const struct snapshot_picture *p,
                         struct jpeg *jpeg)
{
    if (c->state == UNANSWERED) {
        c->head_len =
            http_reply_head(c->head, 200, c->request.origin,
                            "Content-Type: multipart/x-mixed-replace; boundary=" BOUNDARY "\r\n"
                            "Cache-Control: no-store\r\n");
        if (c->request.head != 0)
            return;
        c->state = STREAMING;
        c->head_len += (size_t)snprintf(c->head + c->head_len, 64, "--" BOUNDARY "\r\n");
    }
    char lines[SNAPSHOT_HEADERS_MAX];
    (void)snapshot_headers(lines, p, jpeg, clock_us());
    c->head_len += (size_t)snprintf(c->head + c->head_len, SNAPSHOT_HEADERS_MAX + 128,
                                    "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n%s\r\n",
                                    jpeg->len, lines);
    c->jpeg = jpeg_ref(jpeg);
    c->tail = "\r\n--" BOUNDARY "\r\n";
    c->sent_seq = p->stamp.seq;
}

void snapshot_client_answer(struct snapshot_client *client, const struct snapshot_picture *picture,
                            struct jpeg *jpeg)
{
    struct snapshot_client *c = client;
    assert(c->due);
    if (c->state == STREAMING && picture->stamp.seq == c->sent_seq) {
        c->due = false; /* the new frame is a B-frame, shown before the picture sent last */
        return;
    }
    c->due = false;
    c->socket.progress_ms = clock_ms();
    if (is_mjpeg(c)) {
        answer_mjpeg(c, picture, jpeg);
    } else {
        answer_snapshot(c, picture, jpeg);
        struct log_context ctx = client_socket_log(&c->socket);
        log_debug(&ctx, "snapshot of frame %llu after %lld ms",
                  (unsigned long long)picture->stamp.seq,
                  (long long)((clock_us() - c->request.accepted_us) / 1000));
    }
    flush(c);
}

void snapshot_client_fail(struct snapshot_client *client, enum http_error error,
                          const char *message)
{
    struct snapshot_client *c = client;
    if (c->state != UNANSWERED || c->head_len > 0)
        return;
    c->due = false;
    c->head_len = client_socket_error(c->head, &c->request, error, c->env->camera, message);
    if (c->request.keep != 0)
        c->head_len = http_reply_keep(c->head, c->head_len);
    c->good = false;
    struct log_context ctx = client_socket_log(&c->socket);
    refusal_log_write(&c->env->refusals, &ctx, "snapshot refused", error, message);
    c->socket.progress_ms = clock_ms();
    flush(c);
}

/* --- life ----------------------------------------------------------------- */

struct picture_form snapshot_client_form(const struct ipc_client *request)
{
    return (struct picture_form){
        .crop = {request->crop_x, request->crop_y, request->crop_width, request->crop_height},
        .width = request->width,
        .height = request->height,
        .quality = request->quality};
}

struct snapshot_client *snapshot_client_open(struct snapshot_client_env *env, int *fd,
                                             const struct ipc_client *request, uint64_t seq)
{
    struct snapshot_client *c = xcalloc(1, sizeof(*c));
    c->env = env;
    client_socket_open(&c->socket, env->loop, fd, request, c);
    c->request = *request;
    c->form = snapshot_client_form(request);
    c->kind = (enum ipc_picture)request->picture;
    c->known_us = request->wait_ms > 0 ? snapshot_etag_received_us(request->if_none_match) : 0;
    if (c->known_us > clock_us())
        c->known_us = 0; /* from before this machine last started */
    c->seq = seq;
    c->due = true;
    c->state = request->resumed != 0 ? STREAMING : UNANSWERED; /* another worker sent the head */
    c->sent_seq = UINT64_MAX;
    c->tail = "";
    c->kept_until_ms = clock_ms() + SNAPSHOT_KEPT_MS;
    c->deadline_ms = c->socket.opened_ms + request->wait_ms + env->limits->connect_timeout_ms +
                     SNAPSHOT_GRACE_MS;
    c->next_us = clock_us();
    return c;
}

const struct picture_form *snapshot_client_due(const struct snapshot_client *client, uint64_t *seq)
{
    *seq = client->seq;
    return client->due ? &client->form : NULL;
}

int64_t snapshot_client_due_since_us(const struct snapshot_client *client)
{
    return client->next_us;
}

enum ipc_picture snapshot_client_kind(const struct snapshot_client *client)
{
    return client->kind;
}

bool snapshot_client_knows(const struct snapshot_client *client,
                           const struct snapshot_picture *picture)
{
    return client->known_us != 0 && picture->stamp.received_us <= client->known_us;
}

bool snapshot_client_accepts_older(const struct snapshot_client *client, int64_t now_ms)
{
    return snapshot_client_is_unanswered(client) &&
           now_ms - client->socket.opened_ms >= SNAPSHOT_PATIENCE_MS;
}

bool snapshot_client_on_frame(struct snapshot_client *client, uint64_t seq, int64_t now_us)
{
    struct snapshot_client *c = client;
    if (c->state != STREAMING || c->due || to_send(c) > 0)
        return c->due;
    int64_t interval_us = 1000000 / (c->request.fps > 0 ? c->request.fps : 1);
    /* A frame that comes a little early is taken: the next would be a whole interval late. */
    if (now_us < c->next_us + interval_us - interval_us / 8)
        return false;
    int64_t on_time_us = c->next_us + interval_us;
    c->next_us = now_us - on_time_us > interval_us ? now_us : on_time_us;
    c->due = true;
    c->seq = seq;
    return true;
}

void snapshot_client_check(struct snapshot_client *client, int64_t now_ms)
{
    struct snapshot_client *c = client;
    if (c->state == CLOSED)
        return;
    bool stalled =
        to_send(c) > 0 && now_ms - c->socket.progress_ms > c->env->limits->viewer_stall_timeout_ms;
    bool lingered = c->state == LINGERING && client_socket_is_spent(&c->socket, now_ms);
    bool waits = c->state == UNANSWERED && c->due;
    if (c->state == KEPT && now_ms >= c->kept_until_ms)
        snapshot_client_give_back(c);
    else if (stalled || lingered)
        snapshot_client_close(c);
    else if (waits && c->known_us != 0 && now_ms - c->socket.opened_ms >= c->request.wait_ms)
        answer_unchanged(c);
    else if (waits && c->known_us == 0 && now_ms - c->socket.opened_ms >= KEY_PATIENCE_MS)
        c->kind = IPC_PICTURE_NEWEST; /* the key frame is damaged, or is no picture by itself */
    if (c->state == UNANSWERED && c->due && now_ms > c->deadline_ms)
        snapshot_client_fail(c, HTTP_ERROR_CAMERA_TIMEOUT,
                             "the camera sent no undamaged picture in time");
}

void snapshot_client_require(struct snapshot_client *client, uint64_t seq)
{
    client->seq = seq;
    client->next_us = clock_us();
}

const struct ipc_client *snapshot_client_request(const struct snapshot_client *client)
{
    return &client->request;
}

bool snapshot_client_is_whole(const struct snapshot_client *client)
{
    return client->socket.has_left || handover_get(client->socket.slot) != HANDOVER_WITHIN;
}

bool snapshot_client_is_kept(const struct snapshot_client *client)
{
    return client->state == KEPT;
}

bool snapshot_client_is_streaming(const struct snapshot_client *client)
{
    return client->state == STREAMING;
}

bool snapshot_client_is_mjpeg(const struct snapshot_client *client)
{
    return client->request.kind == IPC_CLIENT_MJPEG;
}

bool snapshot_client_is_unanswered(const struct snapshot_client *client)
{
    return client->state == UNANSWERED && client->due;
}

uint64_t snapshot_client_bytes(const struct snapshot_client *client)
{
    return client->bytes;
}

int64_t snapshot_client_waits_since_ms(const struct snapshot_client *client)
{
    return client->socket.opened_ms + client->request.wait_ms;
}

int64_t snapshot_client_opened_ms(const struct snapshot_client *client)
{
    return client->socket.opened_ms;
}
