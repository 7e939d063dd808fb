#include "worker/client.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/flv.h"
#include "worker/viewer_clock.h"
#include "worker/websocket.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BATCH_FRAMES 16
#define PREFIX_MAX (WEBSOCKET_HEADER_MAX + FLV_PREFIX_MAX)
/* Unsent bytes that the kernel may hold for a viewer: more would hide how far behind it is. */
#define NOTSENT_LOWAT_BYTES (128 * 1024)
/* Pongs wait in the head buffer; a viewer that asks for more than this gets no more of them. */
#define HEAD_MAX 8192
#define LABEL_MAX (IPC_PEER_MAX + 24)
/* A refused viewer has this long to read its answer and close. */
#define LINGER_MS 1000

/* The bytes around one frame's payload on the wire of one viewer. */
struct tag {
    struct frame *frame; /* Borrowed from the ring; of client.partial: one reference */
    uint8_t prefix[PREFIX_MAX];
    uint8_t prefix_len;
    uint8_t trailer[FLV_TRAILER_BYTES];
};

/* Where a viewer is in the stream; a write that the socket takes in part rolls it back. */
struct position {
    uint64_t cursor; /* ring sequence number of the next frame */
    bool wait_key;   /* leave out frames until the next key frame */
    struct viewer_clock clock;
};

struct client {
    uv_poll_t poll;
    const struct client_env *env;
    int fd;
    enum client_state state;
    bool blocked;       /* the socket is full: wait until it is writable */
    bool codec_changed; /* the next frame is in another codec: close */
    bool want_audio;
    bool websocket;
    enum flv_dialect dialect;
    struct websocket_parser parser;
    struct ipc_client *request; /* until the answer is given */
    char label[LABEL_MAX];

    struct position at;
    int64_t join_dts_us;                      /* newest frame when this viewer came */
    struct codec_config *config[TRACK_COUNT]; /* what this viewer was told.  One reference each */

    /* To be written in this order. */
    struct tag partial; /* frame the socket took in part */
    size_t partial_sent;
    uint8_t *head; /* answer, sequence headers, control frames */
    size_t head_len;
    size_t head_sent;

    int64_t opened_ms;
    int64_t progress_ms; /* the socket took something */
    int64_t linger_until_ms;
    struct client_totals totals;
};

static struct log_context log_ctx(const struct client *c)
{
    return (struct log_context){.client = c->label};
}

/* --- closing ------------------------------------------------------------ */

static void on_poll_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    c->env->on_closed(c->env->ctx, c);
    frame_unref(&c->partial.frame);
    for (int i = 0; i < TRACK_COUNT; i++)
        codec_config_unref(&c->config[i]);
    free(c->head);
    free(c->request);
    free(c);
}

static void close_now(struct client *c, const char *why)
{
    if (c->state == CLIENT_CLOSED)
        return;
    struct log_context ctx = log_ctx(c);
    log_info(&ctx, "viewer gone: %s; %.1f s, %llu bytes, %llu frames skipped", why,
             (double)(clock_ms() - c->opened_ms) / 1000, (unsigned long long)c->totals.bytes,
             (unsigned long long)c->totals.frames_skipped);
    c->state = CLIENT_CLOSED;
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    (void)shutdown(c->fd, SHUT_WR);
    fd_close(&c->fd);
}

/* --- output --------------------------------------------------------------- */

static void on_poll(uv_poll_t *handle, int status, int events);

static void append_head(struct client *c, const void *data, size_t len)
{
    uint8_t *grown = realloc(c->head, c->head_len + len);
    if (grown == NULL)
        abort(); /* a few hundred bytes, bounded by the parser's and the records' limits */
    memcpy(grown + c->head_len, data, len);
    c->head = grown;
    c->head_len += len;
}

/* Sequence headers etc. are a message of their own to a WebSocket viewer. */
static void append_message(struct client *c, const uint8_t *data, size_t len)
{
    if (c->websocket) {
        uint8_t header[WEBSOCKET_HEADER_MAX];
        size_t header_len = websocket_binary_header(header, len);
        append_head(c, header, header_len);
    }
    append_head(c, data, len);
}

static bool same_config(const struct codec_config *a, const struct codec_config *b)
{
    return a == b || (a != NULL && a->codec == b->codec && a->record_len == b->record_len &&
                      memcmp(a->record, b->record, a->record_len) == 0);
}

static void remember_config(struct client *c, struct codec_config *config)
{
    codec_config_unref(&c->config[config->track]);
    c->config[config->track] = codec_config_ref(config);
}

/*
 * A changed configuration goes right before its first frame; an unchanged one is not repeated.
 * @return true when a sequence header was appended to the head buffer.
 */
static bool announce_config(struct client *c, struct codec_config *config, uint32_t ts_ms)
{
    bool changed = !same_config(c->config[config->track], config);
    if (changed) {
        size_t size = flv_config_size(config, c->dialect);
        uint8_t *tag = xcalloc(1, size);
        append_message(c, tag, flv_config(tag, config, c->dialect, ts_ms));
        free(tag);
    }
    remember_config(c, config);
    return changed;
}

/* Too far behind: go on at the newest key frame, or wait for the next one. */
static void skip_ahead(struct client *c)
{
    uint64_t key;
    uint64_t from = c->at.cursor;
    bool ahead = frame_ring_key(c->env->ring, &key) && key > from;
    c->at.cursor = ahead ? key : frame_ring_head(c->env->ring);
    c->at.wait_key = true;
    c->totals.frames_skipped += c->at.cursor - from;
}

/* What was cached when the viewer joined does not count: it asked for it. */
static bool too_far_behind(const struct client *c, const struct frame *next)
{
    int64_t newest_us = frame_ring_newest_dts_us(c->env->ring);
    if (newest_us == INT64_MIN)
        return false;
    int64_t from_us = next->dts_us > c->join_dts_us ? next->dts_us : c->join_dts_us;
    return newest_us - from_us > (int64_t)c->env->limits->queue_max_ms * 1000;
}

static void keep_up(struct client *c)
{
    const struct frame *next = frame_ring_get(c->env->ring, c->at.cursor);
    if (c->at.cursor < frame_ring_tail(c->env->ring) || (next != NULL && too_far_behind(c, next)))
        skip_ahead(c);
}

/* No player takes another codec in mid-connection: it has to come again. */
static bool changed_codec(const struct client *c, const struct frame *f)
{
    const struct codec_config *told = c->config[f->track];
    return told != NULL && told != f->config && told->codec != f->config->codec;
}

static bool left_out(struct client *c, const struct frame *f)
{
    if (c->at.wait_key) {
        if (f->track != TRACK_VIDEO || !f->key)
            return true;
        c->at.wait_key = false;
        if (c->at.clock.last_ms[TRACK_VIDEO] == -1)
            viewer_clock_start(&c->at.clock, f->dts_us, f->dts_us);
        else
            viewer_clock_skip_to(&c->at.clock, f);
    }
    return f->track == TRACK_AUDIO && !c->want_audio;
}

static void make_tag(const struct client *c, struct frame *f, uint32_t ts_ms, int32_t cts_ms,
                     struct tag *tag)
{
    uint8_t flv[FLV_PREFIX_MAX];
    size_t flv_len = flv_frame_prefix(flv, f, c->dialect, ts_ms, cts_ms);
    assert(flv_len != 0); /* access_unit bounds a frame far below a tag's limit */
    size_t ws_len = 0;
    if (c->websocket)
        ws_len = websocket_binary_header(tag->prefix, flv_len + f->len + FLV_TRAILER_BYTES);
    memcpy(tag->prefix + ws_len, flv, flv_len);
    tag->prefix_len = (uint8_t)(ws_len + flv_len);
    tag->frame = f;
    flv_frame_trailer(tag->trailer, f, flv_len);
}

/*
 * The next frame for this viewer as a tag, if one can be written right after what is in the batch.
 * A frame with a new configuration cannot: its sequence header must go first, by way of the head
 * buffer, which has its place at the front of a batch.  It is made once nothing precedes it.
 *
 * @param first  the batch has neither head nor tag so far.
 */
static bool next_tag(struct client *c, bool first, struct tag *tag)
{
    struct frame *f;
    for (; (f = frame_ring_get(c->env->ring, c->at.cursor)) != NULL; c->at.cursor++) {
        struct position before = c->at;
        uint32_t ts_ms;
        int32_t cts_ms;
        if (changed_codec(c, f)) {
            c->codec_changed = true;
            return false;
        }
        if (left_out(c, f) || !viewer_clock_map(&c->at.clock, f, &ts_ms, &cts_ms))
            continue;
        if (f->config != c->config[f->track]) {
            if (!first || announce_config(c, f->config, ts_ms)) {
                c->at = before;
                return false;
            }
        }
        make_tag(c, f, ts_ms, cts_ms, tag);
        c->at.cursor++;
        return true;
    }
    return false;
}

static int tag_iov(struct tag *tag, struct iovec *iov)
{
    iov[0] = (struct iovec){tag->prefix, tag->prefix_len};
    iov[1] = (struct iovec){tag->frame->data, tag->frame->len};
    iov[2] = (struct iovec){tag->trailer, sizeof(tag->trailer)};
    return 3;
}

static size_t tag_len(const struct tag *tag)
{
    return tag->prefix_len + tag->frame->len + sizeof(tag->trailer);
}

/* Drop the first n bytes of an I/O vector. @return its new count. */
static int iov_skip(struct iovec *iov, int count, size_t n)
{
    int first = 0;
    while (first < count && n >= iov[first].iov_len)
        n -= iov[first++].iov_len;
    if (first < count) {
        iov[first].iov_base = (uint8_t *)iov[first].iov_base + n;
        iov[first].iov_len -= n;
    }
    memmove(iov, iov + first, (size_t)(count - first) * sizeof(*iov));
    return count - first;
}

/* What one sendmsg() is given: the partial tag, the head, then tags from the cursor on. */
struct batch {
    struct iovec iov[3 + 1 + BATCH_FRAMES * 3];
    int iov_count;
    size_t partial_bytes;
    size_t head_bytes;
    size_t bytes; /* of all */
    struct tag tags[BATCH_FRAMES];
    struct position before;              /* where the viewer is without any of the tags */
    struct position after[BATCH_FRAMES]; /* and with each of them */
    int tag_count;
};

static void batch_fill(struct client *c, struct batch *b)
{
    b->iov_count = 0;
    b->partial_bytes = 0;
    b->tag_count = 0;
    b->before = c->at;
    if (c->partial.frame != NULL) {
        b->partial_bytes = tag_len(&c->partial) - c->partial_sent;
        b->iov_count = iov_skip(b->iov, tag_iov(&c->partial, b->iov), c->partial_sent);
    }
    b->head_bytes = c->head_len - c->head_sent;
    if (b->head_bytes > 0)
        b->iov[b->iov_count++] = (struct iovec){c->head + c->head_sent, b->head_bytes};
    b->bytes = b->partial_bytes + b->head_bytes;

    while (c->state == CLIENT_STREAMING && b->tag_count < BATCH_FRAMES &&
           next_tag(c, b->head_bytes == 0 && b->tag_count == 0, &b->tags[b->tag_count])) {
        b->iov_count += tag_iov(&b->tags[b->tag_count], b->iov + b->iov_count);
        b->bytes += tag_len(&b->tags[b->tag_count]);
        b->after[b->tag_count++] = c->at;
    }
}

static void partial_sent(struct client *c, size_t n)
{
    c->partial_sent += n;
    if (c->partial.frame != NULL && c->partial_sent == tag_len(&c->partial))
        frame_unref(&c->partial.frame);
}

static void head_sent(struct client *c, size_t n)
{
    c->head_sent += n;
    if (c->head_len > 0 && c->head_sent == c->head_len) {
        free(c->head);
        c->head = NULL;
        c->head_len = c->head_sent = 0;
    }
}

/* The socket took n bytes of the batch: move the viewer to where that brought it. */
static void batch_sent(struct client *c, const struct batch *b, size_t n)
{
    size_t part = n < b->partial_bytes ? n : b->partial_bytes;
    partial_sent(c, part);
    n -= part;
    part = n < b->head_bytes ? n : b->head_bytes;
    head_sent(c, part);
    n -= part;

    c->at = b->before;
    for (int i = 0; i < b->tag_count && n > 0; i++) {
        size_t len = tag_len(&b->tags[i]);
        c->at = b->after[i];
        if (n < len) {
            c->partial = b->tags[i];
            c->partial.frame = frame_ref(c->partial.frame);
            c->partial_sent = n;
            break;
        }
        n -= len;
    }
}

static void update_poll(struct client *c)
{
    (void)uv_poll_start(&c->poll, UV_READABLE | (c->blocked ? UV_WRITABLE : 0), on_poll);
}

static void set_blocked(struct client *c, bool blocked)
{
    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    update_poll(c);
}

/* @return false when there is nothing more to write, or the socket is full, or closed. */
static bool write_batch(struct client *c)
{
    struct batch b;
    batch_fill(c, &b);
    if (b.bytes == 0)
        return c->head_len > 0; /* a sequence header was made: it leads the next batch */

    struct msghdr mh = {.msg_iov = b.iov, .msg_iovlen = (size_t)b.iov_count};
    ssize_t n;
    do
        n = sendmsg(c->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
        c->at = b.before;
        close_now(c, "connection lost");
        return false;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    batch_sent(c, &b, sent);
    c->totals.bytes += sent;
    if (sent > 0)
        c->progress_ms = clock_ms();
    set_blocked(c, sent < b.bytes);
    return !c->blocked;
}

void client_flush(struct client *client)
{
    if (client->state != CLIENT_STREAMING || client->blocked)
        return;
    keep_up(client);
    while (write_batch(client)) {
    }
    if (client->codec_changed && !client->blocked)
        client_close(client, "the camera changed its codec");
    if (client->state == CLIENT_STREAMING &&
        client->at.clock.last_ms[TRACK_VIDEO] > VIEWER_CLOCK_MAX_MS)
        client_close(client, "timestamps near 2^31 ms");
}

/* --- input ---------------------------------------------------------------- */

static void send_websocket_close(struct client *c, uint16_t code)
{
    uint8_t frame[WEBSOCKET_CLOSE_FRAME_LEN];
    size_t len = websocket_close_frame(frame, code);
    if (c->partial.frame == NULL && c->head_len == 0) /* else it would fall into a message */
        (void)send(c->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_websocket_data(struct client *c, const uint8_t *data, size_t len)
{
    struct websocket_event ev;
    while (len > 0 && c->state == CLIENT_STREAMING) {
        size_t used = websocket_parse(&c->parser, data, len, &ev);
        data += used;
        len -= used;
        if (ev.kind == WEBSOCKET_EVENT_PING && c->head_len < HEAD_MAX) {
            uint8_t pong[WEBSOCKET_PONG_FRAME_MAX];
            size_t pong_len = websocket_pong_frame(pong, ev.payload, ev.payload_len);
            append_head(c, pong, pong_len);
            client_flush(c);
        } else if (ev.kind == WEBSOCKET_EVENT_CLOSE || ev.kind == WEBSOCKET_EVENT_ERROR) {
            send_websocket_close(c, ev.code);
            close_now(c, ev.kind == WEBSOCKET_EVENT_CLOSE ? "closed by the viewer"
                                                          : "broke the WebSocket protocol");
        }
    }
}

/* Viewers have nothing to say after their request: what comes is read, so that closing does not
 * reset the connection, and thrown away. */
static void on_readable(struct client *c)
{
    uint8_t data[4096];
    ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0) {
        if (c->websocket && c->state == CLIENT_STREAMING)
            on_websocket_data(c, data, (size_t)n);
    } else if (n == 0) {
        close_now(c, "closed by the viewer");
    } else if (errno != EAGAIN && errno != EINTR) {
        close_now(c, "connection lost");
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct client *c = handle->data;
    if (status < 0) {
        close_now(c, "connection lost");
        return;
    }
    if ((events & UV_READABLE) != 0)
        on_readable(c);
    if ((events & UV_WRITABLE) != 0 && c->state == CLIENT_STREAMING) {
        set_blocked(c, false);
        client_flush(c);
    }
}

/* --- life ----------------------------------------------------------------- */

struct client *client_open(const struct client_env *env, int *fd, const struct ipc_client *request)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->env = env;
    c->fd = fd_take(fd);
    c->request = xcalloc(1, sizeof(*c->request));
    *c->request = *request;
    c->want_audio = request->audio != 0;
    c->websocket = request->websocket != 0;
    c->dialect = request->hevc == IPC_HEVC_LEGACY ? FLV_HEVC_LEGACY : FLV_HEVC_ENHANCED;
    (void)snprintf(c->label, sizeof(c->label), "%s#%llu", request->peer,
                   (unsigned long long)request->conn_id);
    c->opened_ms = c->progress_ms = clock_ms();

    int one = 1;
    int lowat = NOTSENT_LOWAT_BYTES;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    c->poll.data = c;
    if (uv_poll_init(env->loop, &c->poll, c->fd) != 0)
        abort(); /* the descriptor is a socket: the master accepted it */
    update_poll(c);
    return c;
}

/* The newest video frame's configuration, or NULL before there is a frame. */
static struct codec_config *video_config(const struct frame_ring *ring)
{
    for (uint64_t seq = frame_ring_head(ring); seq > frame_ring_tail(ring); seq--) {
        const struct frame *f = frame_ring_get(ring, seq - 1);
        if (f->track == TRACK_VIDEO)
            return f->config;
    }
    return NULL;
}

/* Where a viewer begins: at the cached key frame, or at the next one. */
static void set_start(struct client *c)
{
    const struct frame_ring *ring = c->env->ring;
    uint64_t key;
    bool cached = frame_ring_key(ring, &key);
    bool at_key = cached && key + 1 == frame_ring_head(ring);
    c->join_dts_us = frame_ring_newest_dts_us(ring);
    if (!cached || (c->request->join == IPC_JOIN_KEY && !at_key)) {
        c->at.cursor = frame_ring_head(ring);
        c->at.wait_key = true;
        viewer_clock_start(&c->at.clock, c->join_dts_us, c->join_dts_us);
    } else {
        int64_t start_us = frame_ring_get(ring, key)->dts_us;
        c->at.cursor = key;
        viewer_clock_start(&c->at.clock, start_us,
                           c->request->join == IPC_JOIN_LIVE ? c->join_dts_us : start_us);
    }
}

static int append_answer(struct client *c)
{
    char buf[HTTP_REPLY_MAX];
    int len;
    if (c->websocket)
        len = websocket_handshake(buf, c->request->websocket_key, c->request->websocket_protocol,
                                  c->request->origin);
    else
        len = (int)http_reply_head(buf, 200, c->request->origin,
                                   "Content-Type: video/x-flv\r\nCache-Control: no-store\r\n");
    if (len > 0)
        append_head(c, buf, (size_t)len);
    return len;
}

/* players.md: header, onMetaData at 0 and the configurations together, then from a key frame on. */
static void append_preamble(struct client *c, struct codec_config *video,
                            struct codec_config *audio)
{
    size_t size = FLV_HEADER_BYTES + FLV_METADATA_MAX + flv_config_size(video, c->dialect) +
                  (audio != NULL ? flv_config_size(audio, c->dialect) : 0);
    uint8_t *buf = xcalloc(1, size);
    size_t len = FLV_HEADER_BYTES;
    flv_header(buf, true, audio != NULL);
    len += flv_metadata(buf + len, video, audio, c->dialect);
    len += flv_config(buf + len, video, c->dialect, 0);
    remember_config(c, video);
    if (audio != NULL) {
        len += flv_config(buf + len, audio, c->dialect, 0);
        remember_config(c, audio);
    }
    append_message(c, buf, len);
    free(buf);
}

void client_start(struct client *client, struct codec_config *audio)
{
    struct codec_config *video = video_config(client->env->ring);
    if (client->state != CLIENT_WAITING || video == NULL)
        return;
    set_start(client);
    if (append_answer(client) < 0) {
        client_fail(client, HTTP_ERROR_BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in Base64");
        return;
    }
    append_preamble(client, video, client->want_audio ? audio : NULL);
    free(client->request);
    client->request = NULL;
    client->state = CLIENT_STREAMING;
    client_flush(client);
}

void client_fail(struct client *client, enum http_error error, const char *message)
{
    if (client->state != CLIENT_WAITING)
        return;
    char buf[HTTP_REPLY_MAX];
    size_t len = http_reply_error(buf, error, client->request->origin, client->env->camera, message,
                                  (int)client->request->head);
    (void)send(client->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL); /* an empty socket takes it */
    (void)shutdown(client->fd, SHUT_WR);
    struct log_context ctx = log_ctx(client);
    log_info(&ctx, "viewer refused: %s: %s", http_error_code(error), message);
    client->state = CLIENT_REFUSED;
    client->linger_until_ms = clock_ms() + LINGER_MS;
}

void client_close(struct client *client, const char *why)
{
    if (client->websocket && client->state == CLIENT_STREAMING)
        send_websocket_close(client, WEBSOCKET_GOING_AWAY);
    close_now(client, why);
}

void client_check(struct client *client, int64_t now_ms)
{
    if (client->state == CLIENT_REFUSED && now_ms > client->linger_until_ms)
        close_now(client, "refused");
    else if (client->state == CLIENT_STREAMING && client->blocked &&
             now_ms - client->progress_ms > client->env->limits->viewer_stall_timeout_ms)
        close_now(client, "took nothing for too long");
}

enum client_state client_get_state(const struct client *client)
{
    return client->state;
}

const struct ipc_client *client_request(const struct client *client)
{
    return client->request;
}

int64_t client_opened_ms(const struct client *client)
{
    return client->opened_ms;
}

struct client_totals client_totals(const struct client *client)
{
    return client->totals;
}
