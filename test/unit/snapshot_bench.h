/*
 * Test help: a snapshot module on a loop of its own, fed with frames by the test, and those who ask
 * it for pictures over socket pairs.
 */
#ifndef TEST_UNIT_SNAPSHOT_BENCH_H
#define TEST_UNIT_SNAPSHOT_BENCH_H

#include "common/clock.h"
#include "common/fd.h"
#include "test/unit/encode_video.h"
#include "worker/pictures/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WIDTH 256
#define HEIGHT 144
#define ANSWER_MAX (1 << 20)

struct bench {
    uv_loop_t loop;
    struct ipc_limits limits;
    struct frame_ring *ring;
    struct snapshot *snapshot;
    struct client_return back; /* takes what comes back */
    int returned_fd;           /* -1: none yet */
    struct ipc_return returned;
    struct encoded e;
    int pushed;
    bool closed;
};

/* What came over a socket. */
struct answer {
    int fd;
    size_t len;
    bool ended;
    char data[ANSWER_MAX];
};

static inline void bench_return(void *ctx, const struct ipc_return *connection, int *fd)
{
    struct bench *b = ctx;
    assert_int_equal(b->returned_fd, -1);
    b->returned = *connection;
    b->returned_fd = fd_take(fd);
}

static inline void bench_open(struct bench *b, enum AVCodecID codec, int gop, int b_frames)
{
    memset(b, 0, sizeof(*b));
    struct video_spec spec = {.codec = codec,
                              .format = AV_PIX_FMT_YUV420P,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .pictures = 60,
                              .gop = gop,
                              .b_frames = b_frames,
                              .params = b_frames > 0 ? "b-adapt=0" : NULL,
                              .matrix = AVCOL_SPC_UNSPECIFIED,
                              .range = AVCOL_RANGE_UNSPECIFIED,
                              .paint = encode_paint_number};
    encode_video(&spec, &b->e);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->returned_fd = -1;
    b->back = (struct client_return){bench_return, b};
    b->limits = (struct ipc_limits){.connect_timeout_ms = 5000, .viewer_stall_timeout_ms = 5000};
    b->ring = frame_ring_new(1 << 24, 0);
    b->snapshot = snapshot_new(&b->loop, b->ring, &b->limits, "rtsp://***@camera/", &b->back);
}

static inline void on_closed(void *ctx)
{
    ((struct bench *)ctx)->closed = true;
}

static inline void bench_close(struct bench *b)
{
    snapshot_close(b->snapshot, on_closed, b);
    while (uv_run(&b->loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    frame_ring_free(&b->ring);
    encoded_free(&b->e);
}

static inline void push_received(struct bench *b, int count, int64_t received_us)
{
    for (int i = 0; i < count; i++) {
        struct frame *f = frame_ref(b->e.frames[b->pushed++]);
        f->received_us = received_us;
        frame_ring_push(b->ring, f);
        snapshot_on_frame(b->snapshot);
    }
}

static inline void push(struct bench *b, int count)
{
    push_received(b, count, clock_us());
}

static inline struct ipc_client request_of(uint32_t kind)
{
    return (struct ipc_client){
        .kind = kind, .quality = 90, .fps = 5, .accepted_us = clock_us(), .peer = "[::1]:1"};
}

/* @return the socket that the answer comes over.  Caller owns. */
static inline int send_request(struct bench *b, const struct ipc_client *request)
{
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
    snapshot_add(b->snapshot, &sv[1], request);
    assert_int_equal(sv[1], -1);
    return sv[0];
}

/* fd is Moved. */
static inline struct answer *answer_new(int fd)
{
    struct answer *a = calloc(1, sizeof(*a));
    a->fd = fd;
    return a;
}

static inline struct answer *ask(struct bench *b, const struct ipc_client *request)
{
    return answer_new(send_request(b, request));
}

static inline void take(struct answer *a)
{
    while (!a->ended && a->len < sizeof(a->data) - 1) {
        ssize_t n = read(a->fd, a->data + a->len, sizeof(a->data) - 1 - a->len);
        if (n < 0)
            return;
        a->ended = n == 0;
        a->len += (size_t)n;
    }
}

/* Run the loop until the answer is complete; false after the time. */
static inline bool wait_for(struct bench *b, struct answer *a, int ms)
{
    int64_t end_ms = clock_ms() + ms;
    while (!a->ended && clock_ms() < end_ms) {
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
        take(a);
        (void)usleep(500);
    }
    return a->ended;
}

static inline void answer_free(struct answer *a)
{
    fd_close(&a->fd);
    free(a);
}

/* The number in a JPEG of encode_paint_number(). */
static inline int read_number(const char *data, size_t len, int width, int height)
{
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *dec = avcodec_alloc_context3(codec);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    assert_int_equal(avcodec_open2(dec, codec, NULL), 0);
    assert_int_equal(av_new_packet(pkt, (int)len), 0);
    memcpy(pkt->data, data, len);
    assert_int_equal(avcodec_send_packet(dec, pkt), 0);
    assert_int_equal(avcodec_receive_frame(dec, f), 0);
    assert_int_equal(f->width, width);
    assert_int_equal(f->height, height);
    int luma = f->data[0][height / 2 * f->linesize[0] + width / 2];
    double number = ((luma * 219.0 / 255 + 16) - 20) / 3; /* JPEG is full range */
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&dec);
    return (int)(number + 0.5);
}

static inline void check_status(const struct answer *a, const char *status)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
    if (strncmp(a->data, line, strlen(line)) != 0)
        fail_msg("%.400s", a->data);
}

/* Parts of a multipart answer so far; *last is the newest picture's number. */
static inline int count_parts(const struct answer *a, int *last)
{
    int parts = 0;
    const char *p = a->data;
    while ((p = memmem(p, a->len - (size_t)(p - a->data), "Content-Length: ", 16)) != NULL) {
        size_t len = (size_t)atoi(p + 16);
        const char *body = strstr(p, "\r\n\r\n");
        if (body == NULL || (size_t)(body + 4 - a->data) + len > a->len)
            break;
        *last = read_number(body + 4, len, WIDTH, HEIGHT);
        p = body + 4 + len;
        parts++;
    }
    return parts;
}

static inline char *header(const struct answer *a, const char *name, char *value, size_t size)
{
    char line[64];
    (void)snprintf(line, sizeof(line), "\r\n%s: ", name);
    const char *p = strstr(a->data, line);
    if (p == NULL)
        return NULL;
    p += strlen(line);
    (void)snprintf(value, size, "%.*s", (int)strcspn(p, "\r"), p);
    return value;
}

static inline int number_of(const struct answer *a)
{
    const char *body = strstr(a->data, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    return read_number(body, a->len - (size_t)(body - a->data), WIDTH, HEIGHT);
}

#endif /* TEST_UNIT_SNAPSHOT_BENCH_H */
