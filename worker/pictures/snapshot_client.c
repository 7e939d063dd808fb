/* See snapshot_client.h.  RFC 9110 (conditional requests, dates), RFC 2046 section 5.1 (multipart).
 */
#include "worker/pictures/snapshot_client.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/http/client_socket.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define BOUNDARY "cam-httpflv-picture"
#define ETAG_MAX 80
#define DATE_MAX 40

enum state {
    UNANSWERED,
    STREAMING, /* MJPEG: head answered */
    LINGERING, /* all is sent: wait for the other side to close */
    CLOSED
};

struct snapshot_client {
    struct client_socket socket;
    struct snapshot_client_env *env;
    enum state state;
    bool due; /* it is to get a picture, and none is in transit */
    struct ipc_client request;
    struct picture_form form;
    uint64_t seq;        /* see snapshot_client_open() */
    uint64_t sent_seq;   /* MJPEG: the picture sent last */
    int64_t next_us;     /* MJPEG: when the next picture is due */
    int64_t deadline_ms; /* of UNANSWERED */
    uint64_t bytes;

    /* In transit, in this order: head, picture, tail. */
    char head[HTTP_REPLY_MAX];
    size_t head_len;
    struct jpeg *jpeg; /* one reference, or NULL */
    const char *tail;
    size_t sent; /* of all three */
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

static void all_sent(struct snapshot_client *c)
{
    c->head_len = c->sent = 0;
    c->tail = "";
    jpeg_unref(&c->jpeg);
    if (c->state == STREAMING)
        client_socket_poll(&c->socket, 0, NULL);
    else
        linger(c);
}

static void flush(struct snapshot_client *c)
{
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
    else if ((events & UV_WRITABLE) != 0)
        flush(c);
}

/* --- answers -------------------------------------------------------------- */

static void format_etag(char *etag, const struct snapshot_client *c,
                        const struct snapshot_picture *p)
{
    /* received_us tells the same ring number of two workers apart */
    (void)snprintf(etag, ETAG_MAX, "\"%llx-%llx-%ux%uq%u\"", (unsigned long long)p->received_us,
                   (unsigned long long)p->seq, c->form.width, c->form.height, c->form.quality);
}

/* RFC 9110 section 5.6.7 */
static void format_date(char *date, int64_t age_us)
{
    struct tm tm;
    time_t t = time(NULL) - (time_t)(age_us / 1000000);
    (void)gmtime_r(&t, &tm);
    (void)strftime(date, DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* RFC 9110 section 13.1.2: a list of entity tags, or "*".  Ours are unique with their quotes. */
static bool none_match_hits(const char *header, const char *etag)
{
    return strcmp(header, "*") == 0 || strstr(header, etag) != NULL;
}

static void answer_snapshot(struct snapshot_client *c, const struct snapshot_picture *p,
                            struct jpeg *jpeg)
{
    char etag[ETAG_MAX], date[DATE_MAX], headers[512], type[96] = "";
    int64_t age_us = clock_us() - p->received_us;
    format_etag(etag, c, p);
    format_date(date, age_us);
    bool unchanged = none_match_hits(c->request.if_none_match, etag);
    if (!unchanged)
        (void)snprintf(type, sizeof(type), "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n",
                       jpeg->len);
    (void)snprintf(headers, sizeof(headers),
                   "%sLast-Modified: %s\r\nETag: %s\r\nX-Snapshot-Age-Ms: %lld\r\n"
                   "Cache-Control: no-cache\r\n"
                   "Access-Control-Expose-Headers: ETag, X-Snapshot-Age-Ms\r\n",
                   type, date, etag, (long long)(age_us / 1000));
    c->head_len = http_reply_head(c->head, unchanged ? 304 : 200, c->request.origin, headers);
    if (!unchanged && c->request.head == 0)
        c->jpeg = jpeg_ref(jpeg);
}

/* The boundary comes right after each picture, not before the next one: browsers show a part when
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
    c->head_len += (size_t)snprintf(c->head + c->head_len, 256,
                                    "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n"
                                    "X-Snapshot-Age-Ms: %lld\r\n\r\n",
                                    jpeg->len, (long long)((clock_us() - p->received_us) / 1000));
    c->jpeg = jpeg_ref(jpeg);
    c->tail = "\r\n--" BOUNDARY "\r\n";
    c->sent_seq = p->seq;
}

void snapshot_client_answer(struct snapshot_client *client, const struct snapshot_picture *picture,
                            struct jpeg *jpeg)
{
    struct snapshot_client *c = client;
    assert(c->due);
    if (c->state == STREAMING && picture->seq == c->sent_seq) {
        c->due = false; /* a B-frame came: shown before the picture sent last */
        return;
    }
    c->due = false;
    c->socket.progress_ms = clock_ms();
    if (is_mjpeg(c)) {
        answer_mjpeg(c, picture, jpeg);
    } else {
        answer_snapshot(c, picture, jpeg);
        struct log_context ctx = client_socket_log(&c->socket);
        log_debug(&ctx, "snapshot of frame %llu after %lld ms", (unsigned long long)picture->seq,
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
    c->head_len = http_reply_error(c->head, error, c->request.origin, c->env->camera, message,
                                   (int)c->request.head);
    struct log_context ctx = client_socket_log(&c->socket);
    refusal_log_write(&c->env->refusals, &ctx, "snapshot refused", error, message);
    c->socket.progress_ms = clock_ms();
    flush(c);
}

/* --- life ----------------------------------------------------------------- */

struct snapshot_client *snapshot_client_open(struct snapshot_client_env *env, int *fd,
                                             const struct ipc_client *request, uint64_t seq)
{
    struct snapshot_client *c = xcalloc(1, sizeof(*c));
    c->env = env;
    client_socket_open(&c->socket, env->loop, fd, request, c);
    c->request = *request;
    c->form = (struct picture_form){request->width, request->height, request->quality};
    c->seq = seq;
    c->due = true;
    c->tail = "";
    c->deadline_ms = c->socket.opened_ms + env->limits->connect_timeout_ms + SNAPSHOT_GRACE_MS;
    c->next_us = clock_us();
    return c;
}

const struct picture_form *snapshot_client_due(const struct snapshot_client *client, uint64_t *seq)
{
    *seq = client->seq;
    return client->due ? &client->form : NULL;
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
    if (stalled || lingered)
        snapshot_client_close(c);
    else if (c->state == UNANSWERED && c->due && now_ms > c->deadline_ms)
        snapshot_client_fail(c, HTTP_ERROR_CAMERA_TIMEOUT,
                             "the camera sent no undamaged picture in time");
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

int64_t snapshot_client_opened_ms(const struct snapshot_client *client)
{
    return client->socket.opened_ms;
}
