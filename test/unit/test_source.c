/* worker/camera/source, RTSP and HTTP-FLV: limits that change reach a connection that is there, and
 * what gathers while nobody watches comes as soon as somebody does. */
#include "worker/camera/source.h"

#include "common/clock.h"
#include "worker/media/av_util.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS 60000
#define SHORT_MS 300
#define MIDDLE_MS 1200
#define PATIENCE_MS 20000

/* A camera with one connection: answers each thing that it is told with the next answer. */
struct camera {
    const char *scheme;
    enum ipc_transport transport;
    const char *const *answers; /* up to NULL */
    const char *media;          /* after the last answer */
    size_t media_len;
    int listener;
    uint16_t port;
    pthread_t thread;
};

static void *serve(void *arg)
{
    const struct camera *c = arg;
    char request[2048];
    int fd = accept(c->listener, NULL, NULL);
    for (size_t i = 0; c->answers[i] != NULL && recv(fd, request, sizeof(request), 0) > 0; i++) {
        (void)send(fd, c->answers[i], strlen(c->answers[i]), MSG_NOSIGNAL);
        if (c->answers[i + 1] == NULL)
            (void)send(fd, c->media, c->media_len, MSG_NOSIGNAL);
    }
    while (recv(fd, request, sizeof(request), 0) > 0)
        ;
    (void)close(fd);
    return NULL;
}

static void camera_open(struct camera *c)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    c->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(c->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(c->listener, 1), 0);
    assert_int_equal(getsockname(c->listener, (struct sockaddr *)&addr, &len), 0);
    c->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&c->thread, NULL, serve, c), 0);
}

static void camera_close(struct camera *c)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    (void)close(c->listener);
}

#define SDP                                                               \
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 " \
    "packetization-mode=1;sprop-parameter-sets=Z0LAHtoCgL/lwEQAAAMABAAAAwDKPFi6gA==,aM4PyA==\r\n"

static const char *const rtsp_answers[] = {
    "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 150\r\n\r\n" SDP,
    "RTSP/1.0 200 OK\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1\r\n\r\n",
    "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1\r\n\r\n", NULL};
#define IDR "\x65\x88\x80\x10\0"
/* IDR slices on channel 0: a picture is one when the next begins. */
static const char rtp[] =
    "$\0\0\x11\x80\xe0\0\1\0\0\0\1\0\0\0\1" IDR "$\0\0\x11\x80\xe0\0\2\0\0\x30\1\0\0\0\1" IDR;

static const char *const flv_answers[] = {"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n",
                                          NULL};
static const char flv[] =
    "FLV\1\1\0\0\0\11\0\0\0\0"
    /* AVCDecoderConfigurationRecord */
    "\11\0\0\x2d\0\0\0\0\0\0\0\x17\0\0\0\0\1\x42\xc0\x1e\xff\xe1\0\x19"
    "\x67\x42\xc0\x1e\xda\x02\x80\xbf\xe5\xc0\x44\0\0\3\0\4\0\0\3\0\xca\x3c\x58\xba\x80"
    "\1\0\4\x68\xce\x0f\xc8\0\0\0\x38"
    /* two pictures: the reader waits a while for sound */
    "\11\0\0\x0e\0\0\0\0\0\0\0\x17\1\0\0\0\0\0\0\5" IDR "\0\0\0\x19"
    "\11\0\0\x0e\0\x10\0\0\0\0\0\x17\1\0\0\0\0\0\0\5" IDR "\0\0\0\x19";

static const char *const silent[] = {"", NULL};

struct seen {
    int frames;
    int frames_then; /* when it had caught up; -1: not yet */
    enum http_error error;
    bool ended;
    bool closed;
    char detail[SOURCE_DETAIL_MAX];
};

static void on_tracks(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio)
{
    assert_int_equal(camera_audio, AV_CODEC_ID_NONE);
    (void)ctx;
    assert_null(audio);
}

static void on_frame(void *ctx, struct frame *frame)
{
    ((struct seen *)ctx)->frames++;
    frame_unref(&frame);
}

static void on_caught_up(void *ctx)
{
    struct seen *seen = ctx;
    seen->frames_then = seen->frames;
}

static void on_end(void *ctx, enum http_error error, const char *detail)
{
    struct seen *seen = ctx;
    seen->ended = true;
    seen->error = error;
    (void)snprintf(seen->detail, sizeof(seen->detail), "%s", detail);
}

static void on_closed(void *ctx)
{
    ((struct seen *)ctx)->closed = true;
}

/* Let the loop turn until *done, or for so long. */
static void turn(uv_loop_t *loop, const bool *done, int64_t ms)
{
    int64_t until = clock_ms() + ms;
    while (!*done && clock_ms() < until) {
        (void)uv_run(loop, UV_RUN_NOWAIT);
        (void)usleep(1000);
    }
}

/* Connects, waits for as many frames, changes the limits, and says after how long it ended. */
static int64_t ended_after_ms(struct camera *camera, int frames, struct ipc_limits first,
                              struct ipc_limits then)
{
    uv_loop_t loop;
    char text[64];
    struct camera_url url;
    const char *reason;
    struct seen seen = {0};
    struct ingest *ingest = ingest_new();
    struct ipc_limits limits = first;
    camera_open(camera);
    (void)snprintf(text, sizeof(text), "%s://127.0.0.1:%u/live/cam", camera->scheme, camera->port);
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    const struct source_params params = {
        .url = &url, .transport = camera->transport, .limits = &limits};
    const struct source_events events = {{on_tracks, on_frame, &seen}, on_caught_up, on_end, &seen};
    assert_int_equal(uv_loop_init(&loop), 0);
    struct source *source = source_open(&loop, &params, ingest, &events);
    int64_t since_ms = clock_ms();
    while (seen.frames < frames && !seen.ended && clock_ms() < since_ms + PATIENCE_MS)
        turn(&loop, &seen.ended, 5);
    if (seen.ended)
        print_error("%s\n", seen.detail);
    assert_true(seen.frames >= frames && !seen.ended);
    if (frames > 0)
        since_ms = clock_ms();

    turn(&loop, &seen.ended, SHORT_MS / 3);
    assert_false(seen.ended);
    limits = then;
    source_limits_changed(source);
    assert_false(seen.ended); /* no event from within */
    turn(&loop, &seen.ended, PATIENCE_MS);
    int64_t took_ms = clock_ms() - since_ms;
    assert_true(seen.ended);
    assert_int_equal(seen.error, HTTP_ERROR_CAMERA_TIMEOUT);

    source_close(source, on_closed, &seen);
    turn(&loop, &seen.closed, PATIENCE_MS);
    assert_true(seen.closed);
    camera_close(camera);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    ingest_free(&ingest);
    return took_ms;
}

static const struct camera streaming[] = {
    {"rtsp", IPC_TRANSPORT_RTSP_TCP, rtsp_answers, rtp, sizeof(rtp) - 1, -1, 0, 0},
    {"http", IPC_TRANSPORT_HTTP_FLV, flv_answers, flv, sizeof(flv) - 1, -1, 0, 0},
};
static const struct camera hanging[] = {
    {"rtsp", IPC_TRANSPORT_RTSP_TCP, silent, "", 0, -1, 0, 0},
    {"http", IPC_TRANSPORT_HTTP_FLV, silent, "", 0, -1, 0, 0},
    {"rtmp", IPC_TRANSPORT_RTMP, silent, "", 0, -1, 0, 0},
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct ipc_limits stall[] = {
    {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = SHORT_MS},
    {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = MIDDLE_MS},
    {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = LONG_MS}};
static const struct ipc_limits connecting[] = {
    {.connect_timeout_ms = SHORT_MS, .stall_timeout_ms = LONG_MS},
    {.connect_timeout_ms = MIDDLE_MS, .stall_timeout_ms = LONG_MS},
    {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = LONG_MS}};

static void check(const struct camera *cameras, size_t count, int frames,
                  const struct ipc_limits limits[3])
{
    for (size_t i = 0; i < count; i++) {
        struct camera camera = cameras[i];
        assert_true(ended_after_ms(&camera, frames, limits[2], limits[0]) < MIDDLE_MS * 5);
        camera = cameras[i];
        assert_true(ended_after_ms(&camera, frames, limits[0], limits[1]) > MIDDLE_MS - SHORT_MS);
    }
}

static void test_stall_timeout(void **state)
{
    (void)state;
    check(streaming, COUNT(streaming), 1, stall);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    check(hanging, COUNT(hanging), 0, connecting);
}

/* --- lazy reading --------------------------------------------------------- */

#define ROUNDS 8

/* A camera that sends two pictures, then one whenever it is told to. */
struct teller {
    bool rtsp; /* else HTTP */
    int listener;
    int fd;
    uint32_t sent; /* pictures since */
};

/* What the tests below share: a camera, its source, and what comes of it. */
struct rig {
    struct teller camera;
    struct camera_url url;
    struct ipc_limits limits;
    struct source_params params;
    struct ingest *ingest;
    struct seen seen;
    uv_loop_t loop;
    struct source *source;
};

static uint16_t teller_open(struct teller *t)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    t->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(t->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(t->listener, 1), 0);
    assert_int_equal(getsockname(t->listener, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin_port);
}

static void send_bytes(const struct teller *t, const char *data, size_t len)
{
    assert_int_equal(send(t->fd, data, len, MSG_NOSIGNAL), len);
}

static void *teller_answer(void *arg)
{
    struct teller *t = arg;
    char request[2048];
    t->fd = accept(t->listener, NULL, NULL);
    for (const char *const *answer = t->rtsp ? rtsp_answers : flv_answers; *answer != NULL;
         answer++) {
        assert_true(recv(t->fd, request, sizeof(request), 0) > 0);
        send_bytes(t, *answer, strlen(*answer));
    }
    if (t->rtsp)
        send_bytes(t, rtp, sizeof(rtp) - 1);
    else
        send_bytes(t, flv, sizeof(flv) - 1);
    return NULL;
}

static void send_tag(struct teller *t)
{
    static const char picture[] = "\11\0\0\x0e\0\0\0\0\0\0\0\x17\1\0\0\0\0\0\0\5" IDR "\0\0\0\x19";
    char tag[sizeof(picture) - 1];
    uint32_t ms = 4096 + 40 * t->sent;
    memcpy(tag, picture, sizeof(tag));
    tag[4] = (char)(ms >> 16);
    tag[5] = (char)(ms >> 8);
    tag[6] = (char)ms;
    send_bytes(t, tag, sizeof(tag));
}

static void send_rtp(struct teller *t)
{
    char packet[(sizeof(rtp) - 1) / 2];
    uint32_t time = 0x3001 + 3600 * t->sent;
    memcpy(packet, rtp, sizeof(packet));
    packet[7] = (char)(2 + t->sent); /* sequence number */
    packet[9] = (char)(time >> 16);
    packet[10] = (char)(time >> 8);
    packet[11] = (char)time;
    send_bytes(t, packet, sizeof(packet));
}

static void teller_send(struct teller *t)
{
    t->sent++;
    if (t->rtsp)
        send_rtp(t);
    else
        send_tag(t);
}

static void turn_until(uv_loop_t *loop, const int *value, int least)
{
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    const bool never = false;
    while (*value < least && clock_ms() < by_ms)
        turn(loop, &never, 2);
    assert_true(*value >= least);
}

static void rig_open(struct rig *r, bool rtsp)
{
    char text[64];
    const char *reason;
    pthread_t thread;
    *r = (struct rig){
        .camera = {.rtsp = rtsp},
        .limits = {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = LONG_MS},
        .seen = {.frames_then = -1},
    };
    uint16_t port = teller_open(&r->camera);
    (void)snprintf(text, sizeof(text), "%s://127.0.0.1:%u/live/cam", rtsp ? "rtsp" : "http", port);
    assert_int_equal(url_parse(&r->url, text, strlen(text), &reason), 0);
    r->params = (struct source_params){
        .url = &r->url,
        .transport = rtsp ? IPC_TRANSPORT_RTSP_TCP : IPC_TRANSPORT_HTTP_FLV,
        .limits = &r->limits,
    };
    r->ingest = ingest_new();
    assert_int_equal(pthread_create(&thread, NULL, teller_answer, &r->camera), 0);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    const struct source_events events = {
        {on_tracks, on_frame, &r->seen}, on_caught_up, on_end, &r->seen};
    r->source = source_open(&r->loop, &r->params, r->ingest, &events);
    turn_until(&r->loop, &r->seen.frames, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void rig_close(struct rig *r)
{
    assert_false(r->seen.ended);
    source_close(r->source, on_closed, &r->seen);
    turn(&r->loop, &r->seen.closed, PATIENCE_MS);
    assert_true(r->seen.closed);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    ingest_free(&r->ingest);
    (void)close(r->camera.fd);
    (void)close(r->camera.listener);
}

/* All pictures sent before somebody asks have come when the source says so. */
static void test_what_gathered_comes_first(void **state)
{
    const bool never = false;
    struct rig r;
    int gathered = 0;
    (void)state;
    rig_open(&r, false);
    assert_false(source_set_lazy(r.source, false));
    int before = r.seen.frames;
    for (int sent = 1; sent <= ROUNDS || gathered == 0; sent++) {
        assert_false(source_set_lazy(r.source, true));
        turn(&r.loop, &never, 120);
        teller_send(&r.camera);
        (void)usleep(10000);
        r.seen.frames_then = -1;
        if (!source_set_lazy(r.source, false))
            continue; /* it was reading */
        (void)usleep(20000);
        (void)source_set_lazy(r.source, false); /* another request, before the loop has its turn */
        turn_until(&r.loop, &r.seen.frames_then, before + sent);
        gathered++;
    }
    rig_close(&r);
}

/* Say again and again that nobody watches, until so many frames have come. */
static void look_until(struct rig *r, int frames)
{
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    while (r->seen.frames < frames) {
        assert_true(clock_ms() < by_ms);
        assert_false(source_set_lazy(r->source, true));
        (void)usleep(1000);
    }
}

/* While nobody watches, the loop is not woken up for a picture.  It looks once a second. */
static void test_a_look_brings_what_has_come(void **state)
{
    const bool never = false;
    struct rig r;
    (void)state;
    rig_open(&r, false);
    int before = r.seen.frames;
    assert_false(source_set_lazy(r.source, true));
    turn(&r.loop, &never, 20);
    teller_send(&r.camera);
    turn(&r.loop, &never, 800); /* longer than the reading thread waits */
    assert_int_equal(r.seen.frames, before);
    look_until(&r, before + 1);
    teller_send(&r.camera);
    (void)source_set_lazy(r.source, false);
    turn_until(&r.loop, &r.seen.frames, before + 2); /* now it is woken up */
    rig_close(&r);
}

/* An RTSP camera is read by the look itself. */
static void test_a_look_reads(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, true);
    int before = r.seen.frames;
    assert_false(source_set_lazy(r.source, true));
    for (int sent = 1; sent <= ROUNDS; sent++) {
        teller_send(&r.camera);
        look_until(&r, before + sent);
    }
    assert_false(source_set_lazy(r.source, false));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stall_timeout),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_what_gathered_comes_first),
        cmocka_unit_test(test_a_look_brings_what_has_come),
        cmocka_unit_test(test_a_look_reads),
    };
    av_util_log_open();
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
