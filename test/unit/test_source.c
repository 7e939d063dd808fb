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

/* An HTTP camera that sends two pictures, then one whenever it is told to. */
struct teller {
    int listener;
    int fd;
    uint32_t ms;
};

static void teller_open(struct teller *t, uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    *t = (struct teller){.listener = socket(AF_INET, SOCK_STREAM, 0), .ms = 4096};
    assert_int_equal(bind(t->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(t->listener, 1), 0);
    assert_int_equal(getsockname(t->listener, (struct sockaddr *)&addr, &len), 0);
    *port = ntohs(addr.sin_port);
}

static void teller_answer(struct teller *t)
{
    char request[2048];
    t->fd = accept(t->listener, NULL, NULL);
    assert_true(recv(t->fd, request, sizeof(request), 0) > 0);
    assert_true(send(t->fd, flv_answers[0], strlen(flv_answers[0]), MSG_NOSIGNAL) > 0);
    assert_true(send(t->fd, flv, sizeof(flv) - 1, MSG_NOSIGNAL) > 0);
}

static void teller_send(struct teller *t)
{
    static const char picture[] = "\11\0\0\x0e\0\0\0\0\0\0\0\x17\1\0\0\0\0\0\0\5" IDR "\0\0\0\x19";
    char tag[sizeof(picture) - 1];
    memcpy(tag, picture, sizeof(tag));
    t->ms += 40;
    tag[4] = (char)(t->ms >> 16);
    tag[5] = (char)(t->ms >> 8);
    tag[6] = (char)t->ms;
    assert_int_equal(send(t->fd, tag, sizeof(tag), MSG_NOSIGNAL), sizeof(tag));
}

static void turn_until(uv_loop_t *loop, const int *value, int least)
{
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    const bool never = false;
    while (*value < least && clock_ms() < by_ms)
        turn(loop, &never, 2);
    assert_true(*value >= least);
}

/* All pictures sent before somebody asks have come when the source says so. */
static void test_what_gathered_comes_first(void **state)
{
    const struct ipc_limits limits = {.connect_timeout_ms = LONG_MS, .stall_timeout_ms = LONG_MS};
    const bool never = false;
    struct seen seen = {.frames_then = -1};
    struct ingest *ingest = ingest_new();
    struct camera_url url;
    struct teller camera;
    uv_loop_t loop;
    char text[64];
    const char *reason;
    uint16_t port;
    int gathered = 0;
    (void)state;
    teller_open(&camera, &port);
    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/live/cam", port);
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    const struct source_params params = {
        .url = &url, .transport = IPC_TRANSPORT_HTTP_FLV, .limits = &limits};
    const struct source_events events = {{on_tracks, on_frame, &seen}, on_caught_up, on_end, &seen};
    assert_int_equal(uv_loop_init(&loop), 0);
    struct source *source = source_open(&loop, &params, ingest, &events);
    teller_answer(&camera);
    turn_until(&loop, &seen.frames, 1);
    assert_false(source_set_lazy(source, false));
    int before = seen.frames;
    for (int sent = 1; sent <= ROUNDS || gathered == 0; sent++) {
        assert_false(source_set_lazy(source, true));
        turn(&loop, &never, 120);
        teller_send(&camera);
        (void)usleep(10000);
        seen.frames_then = -1;
        if (!source_set_lazy(source, false))
            continue; /* it was reading */
        (void)usleep(20000);
        (void)source_set_lazy(source, false); /* another request, before the loop has its turn */
        turn_until(&loop, &seen.frames_then, before + sent);
        gathered++;
    }
    assert_false(seen.ended);
    source_close(source, on_closed, &seen);
    turn(&loop, &seen.closed, PATIENCE_MS);
    assert_true(seen.closed);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    ingest_free(&ingest);
    (void)close(camera.fd);
    (void)close(camera.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stall_timeout),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_what_gathered_comes_first),
    };
    av_util_log_open();
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
