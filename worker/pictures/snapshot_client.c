/* See snapshot_client.h.  RFC 9110 (conditional requests, dates), RFC 2046 section 5.1 (multipart).
 */
#include "worker/pictures/snapshot_client.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/refusal_log.h"
#include "common/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BOUNDARY "cam-httpflv-picture"
#define ETAG_MAX 80
#define DATE_MAX 40
#define LABEL_MAX (IPC_PEER_MAX + 24)
/* How long an answered client may take to close, and how much it may still send (a POST's body). */
#define LINGER_MS 1000
#define LINGER_BYTES (1 << 20)

enum state {
    WAITING,   /* nothing answered yet */
    STREAMING, /* MJPEG: head answered */
    LINGERING, /* all is sent: wait for the other side to close */
    CLOSED
};

struct snapshot_client {
    uv_poll_t poll;
    const struct snapshot_client_env *env;
    int fd;
    enum state state;
    bool wants; /* a picture is due and none is in transit */
    struct ipc_client request;
    struct rendition rendition;
    uint64_t seq;      /* see snapshot_client_open() */
    uint64_t sent_seq; /* MJPEG: the picture sent last */
    int64_t next_us;   /* MJPEG: when the next picture is due */
    int64_t opened_ms;
    int64_t deadline_ms; /* of WAITING and LINGERING */
    int64_t progress_ms; /* the socket took something */
    size_t lingered;     /* bytes read and thrown away */
    uint64_t bytes;
    char label[LABEL_MAX];

    /* In transit, in this order: head, picture, tail. */
    char head[HTTP_REPLY_MAX];
    size_t head_len;
    struct jpeg *jpeg; /* one reference, or NULL */
    const char *tail;
    size_t sent; /* of all three */
};

static struct log_context log_ctx(const struct snapshot_client *c)
{
    return (struct log_context){.client = c->label};
}

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
        struct log_context ctx = log_ctx(c);
        log_info(&ctx, "MJPEG viewer gone: %.1f s, %llu bytes",
                 (double)(clock_ms() - c->opened_ms) / 1000, (unsigned long long)c->bytes);
    }
    c->state = CLOSED;
    c->wants = false;
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    fd_close(&c->fd);
}

void snapshot_client_end(struct snapshot_client *client, const char *why)
{
    struct log_context ctx = log_ctx(client);
    log_warnx(&ctx, "MJPEG ended: %s", why);
    snapshot_client_close(client);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* A client that sends more than its head (a POST's body) would have its answer torn by a reset if
 * the socket were closed with bytes unread. */
static void linger(struct snapshot_client *c)
{
    c->state = LINGERING;
    c->deadline_ms = clock_ms() + LINGER_MS;
    (void)shutdown(c->fd, SHUT_WR);
    (void)uv_poll_start(&c->poll, UV_READABLE, on_poll);
}

static void on_readable(struct snapshot_client *c)
{
    char buf[4096];
    ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n > 0)
        c->lingered += (size_t)n;
    bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (!again && (n <= 0 || c->lingered > LINGER_BYTES))
        snapshot_client_close(c);
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
    ssize_t sent;
    do
        sent = sendmsg(c->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent;
}

static void all_sent(struct snapshot_client *c)
{
    c->head_len = c->sent = 0;
    c->tail = "";
    jpeg_unref(&c->jpeg);
    if (c->state == STREAMING)
        (void)uv_poll_stop(&c->poll);
    else
        linger(c);
}

static void flush(struct snapshot_client *c)
{
    while (to_send(c) > 0) {
        ssize_t n = send_some(c);
        if (n < 0 && errno == EAGAIN) {
            (void)uv_poll_start(&c->poll, UV_WRITABLE, on_poll);
            return;
        }
        if (n < 0) {
            snapshot_client_close(c);
            return;
        }
        c->sent += (size_t)n;
        c->bytes += (size_t)n;
        c->progress_ms = clock_ms();
    }
    all_sent(c);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct snapshot_client *c = handle->data;
    if (status < 0)
        snapshot_client_close(c);
    else if (c->state == LINGERING)
        on_readable(c);
    else if ((events & UV_WRITABLE) != 0)
        flush(c);
}

/* --- answers -------------------------------------------------------------- */

static void format_etag(char *etag, const struct snapshot_client *c,
                        const struct snapshot_picture *p)
{
    /* received_us tells the same ring number of two workers apart */
    (void)snprintf(etag, ETAG_MAX, "\"%llx-%llx-%ux%uq%u\"", (unsigned long long)p->received_us,
                   (unsigned long long)p->seq, c->rendition.width, c->rendition.height,
                   c->rendition.quality);
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
    if (c->state == WAITING) {
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
    assert(c->wants);
    if (c->state == STREAMING && picture->seq == c->sent_seq) {
        c->wants = false; /* a B-frame came: shown before the picture sent last */
        return;
    }
    c->wants = false;
    c->progress_ms = clock_ms();
    if (is_mjpeg(c)) {
        answer_mjpeg(c, picture, jpeg);
    } else {
        answer_snapshot(c, picture, jpeg);
        struct log_context ctx = log_ctx(c);
        log_debug(&ctx, "snapshot of frame %llu after %lld ms", (unsigned long long)picture->seq,
                  (long long)((clock_us() - c->request.accepted_us) / 1000));
    }
    flush(c);
}

void snapshot_client_fail(struct snapshot_client *client, enum http_error error,
                          const char *message)
{
    struct snapshot_client *c = client;
    if (c->state != WAITING || c->head_len > 0)
        return;
    c->wants = false;
    c->head_len = http_reply_error(c->head, error, c->request.origin, c->env->camera, message,
                                   (int)c->request.head);
    struct log_context ctx = log_ctx(c);
    static struct refusal_log log; /* of this process, that is, of this camera */
    refusal_log_write(&log, &ctx, "snapshot refused", error, message);
    c->progress_ms = clock_ms();
    flush(c);
}

/* --- life ----------------------------------------------------------------- */

struct snapshot_client *snapshot_client_open(const struct snapshot_client_env *env, int *fd,
                                             const struct ipc_client *request, uint64_t seq)
{
    struct snapshot_client *c = xcalloc(1, sizeof(*c));
    c->env = env;
    c->fd = fd_take(fd);
    c->request = *request;
    c->rendition = (struct rendition){request->width, request->height, request->quality};
    c->seq = seq;
    c->wants = true;
    c->tail = "";
    c->opened_ms = c->progress_ms = clock_ms();
    c->deadline_ms = c->opened_ms + env->limits->connect_timeout_ms + SNAPSHOT_GRACE_MS;
    c->next_us = clock_us();
    (void)snprintf(c->label, sizeof(c->label), "%s#%llu", request->peer,
                   (unsigned long long)request->conn_id);
    int one = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->poll.data = c;
    if (uv_poll_init(env->loop, &c->poll, c->fd) != 0)
        abort(); /* the descriptor is a socket: the master accepted it */
    return c;
}

const struct rendition *snapshot_client_waits(const struct snapshot_client *client, uint64_t *seq)
{
    *seq = client->seq;
    return client->wants ? &client->rendition : NULL;
}

bool snapshot_client_takes_older(const struct snapshot_client *client, int64_t now_ms)
{
    return snapshot_client_is_waiting(client) && now_ms - client->opened_ms >= SNAPSHOT_PATIENCE_MS;
}

bool snapshot_client_on_frame(struct snapshot_client *client, uint64_t seq, int64_t now_us)
{
    struct snapshot_client *c = client;
    if (c->state != STREAMING || c->wants || to_send(c) > 0)
        return c->wants;
    int64_t interval_us = 1000000 / (c->request.fps > 0 ? c->request.fps : 1);
    /* A frame that comes a little early is taken: the next would be a whole interval late. */
    if (now_us < c->next_us + interval_us - interval_us / 8)
        return false;
    int64_t on_time_us = c->next_us + interval_us;
    c->next_us = now_us - on_time_us > interval_us ? now_us : on_time_us;
    c->wants = true;
    c->seq = seq;
    return true;
}

void snapshot_client_check(struct snapshot_client *client, int64_t now_ms)
{
    struct snapshot_client *c = client;
    if (c->state == CLOSED)
        return;
    bool stalled =
        to_send(c) > 0 && now_ms - c->progress_ms > c->env->limits->viewer_stall_timeout_ms;
    bool lingered = c->state == LINGERING && now_ms > c->deadline_ms;
    if (stalled || lingered)
        snapshot_client_close(c);
    else if (c->state == WAITING && c->wants && now_ms > c->deadline_ms)
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

bool snapshot_client_is_waiting(const struct snapshot_client *client)
{
    return client->state == WAITING && client->wants;
}

uint64_t snapshot_client_bytes(const struct snapshot_client *client)
{
    return client->bytes;
}

int64_t snapshot_client_opened_ms(const struct snapshot_client *client)
{
    return client->opened_ms;
}
