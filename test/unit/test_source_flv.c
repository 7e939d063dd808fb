/* worker/flv/source_flv against an HTTP server of one answer: what each outcome is called, and
 * when. */
#include "common/clock.h"
#include "worker/flv/source_flv.h"
#include "worker/media/av_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNECT_MS 3000
#define PATIENT_MS 30000 /* where a busy machine must not make a difference */
#define STALL_MS 300

/* Answers each connection with these bytes, then closes it, or holds it until it is closed. */
struct server {
    const char *answer;
    size_t len;
    bool hold;
    int listener;
    uint16_t port;
    pthread_t thread;
    char request[2048];
};

static void *serve(void *arg)
{
    struct server *s = arg;
    char rest[256];
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) != -1) {
        if (recv(fd, s->request, sizeof(s->request) - 1, 0) > 0)
            (void)send(fd, s->answer, s->len, MSG_NOSIGNAL);
        while (s->hold && recv(fd, rest, sizeof(rest), 0) > 0)
            ;
        (void)close(fd);
    }
    return NULL;
}

static void server_open(struct server *s)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&addr, &len), 0);
    s->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_close(struct server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR); /* ends accept() */
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->listener);
}

struct seen {
    int tracks;
    int packets;
    bool accept; /* what on_packet() returns */
    int refuse;  /* what on_tracks() returns */
    struct source_flv_control control;
    int stop_after; /* packets */
    bool patient;   /* connect for PATIENT_MS */
};

static int on_tracks(void *ctx, const struct media_track *video, const struct media_track *audio)
{
    struct seen *seen = ctx;
    seen->tracks++;
    return seen->refuse;
}

static void on_audio(void *ctx, const struct media_track *audio)
{
}

static void on_no_audio(void *ctx, enum ipc_no_audio why)
{
}

static bool on_packet(void *ctx, const struct media_packet *packet)
{
    struct seen *seen = ctx;
    if (++seen->packets == seen->stop_after)
        atomic_store(&seen->control.stop, true);
    return seen->accept;
}

static enum http_error run(const char *scheme, uint16_t port, struct seen *seen, char *detail,
                           int64_t *ms)
{
    char text[128];
    struct camera_url url;
    const char *reason;
    const struct media_sink sink = {.on_tracks = on_tracks,
                                    .on_audio = on_audio,
                                    .on_no_audio = on_no_audio,
                                    .on_packet = on_packet,
                                    .ctx = seen};
    (void)snprintf(text, sizeof(text), "%s://127.0.0.1:%u/app/stream", scheme, port);
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    const struct source_params params = {.url = &url, .transport = IPC_TRANSPORT_HTTP_FLV};
    const struct ipc_limits limits = {.connect_timeout_ms = seen->patient ? PATIENT_MS : CONNECT_MS,
                                      .stall_timeout_ms = STALL_MS};
    source_flv_set_limits(&seen->control, &limits);
    int64_t start = clock_ms();
    detail[0] = '\0';
    enum http_error error =
        source_flv_run(&params, &seen->control, &sink, detail, SOURCE_DETAIL_MAX);
    *ms = clock_ms() - start;
    return error;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n"
#define FLV_HEADER "FLV\1\1\0\0\0\11\0\0\0\0"
/* onMetaData without sound: it is not waited for. */
#define METADATA                                                   \
    "\22\0\0\50\0\0\0\0\0\0\0\2\0\12onMetaData\3\0\14videocodecid" \
    "\0\100\34\0\0\0\0\0\0\0\0\11\0\0\0\63"
#define CONFIG "\11\0\0\14\0\0\0\0\0\0\0\x17\0\0\0\0\1\x42\0\x1e\xff\xe0\0\0\0\0\x17"
#define FRAME(ts) "\11\0\0\13\0" ts "\0\0\0\0\x17\1\0\0\0\0\0\0\2\x65\x88\0\0\0\x16"
#define UNKNOWN "\11\0\0\2\0\0\0\0\0\0\0\x1e\0\0\0\0\15"
#define SOUND(ts) "\10\0\0\3" ts "\0\0\0\0\x72\xd5\xd5\0\0\0\16"

#define SERVER(text)                              \
    {                                             \
        .answer = (text), .len = sizeof(text) - 1 \
    }

static void test_outcomes(void **state)
{
    (void)state;
    const struct {
        struct server server;
        enum http_error error;
    } cases[] = {
        {SERVER("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
         HTTP_ERROR_CAMERA_NOT_FOUND},
        {SERVER("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
                "Content-Length: 0\r\n\r\n"),
         HTTP_ERROR_CAMERA_UNAUTHORIZED},
        {SERVER("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
         HTTP_ERROR_CAMERA_UNAUTHORIZED},
        {SERVER("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
         HTTP_ERROR_CAMERA_UNREACHABLE},
        {SERVER("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
                "Content-Length: 0\r\n\r\n"),
         HTTP_ERROR_CAMERA_UNREACHABLE},
        {SERVER(OK "<!DOCTYPE html><title>Camera</title>"), HTTP_ERROR_CAMERA_NO_VIDEO},
        {SERVER(OK FLV_HEADER UNKNOWN), HTTP_ERROR_UNSUPPORTED_CODEC},
        {SERVER(OK FLV_HEADER SOUND("\0\0\0") SOUND("\0\x10\0")), HTTP_ERROR_CAMERA_NO_VIDEO},
        {SERVER(OK FLV_HEADER CONFIG FRAME("\0\0")), HTTP_ERROR_CAMERA_UNREACHABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server server = cases[i].server;
        struct seen seen = {.accept = true};
        char detail[SOURCE_DETAIL_MAX];
        int64_t ms;
        server_open(&server);
        enum http_error error = run("http", server.port, &seen, detail, &ms);
        server_close(&server);
        if (error != cases[i].error)
            print_error("case %zu: %s: %s\n", i, http_error_code(error), detail);
        assert_int_equal(error, cases[i].error);
        assert_true(detail[0] != '\0');
        assert_true(ms < CONNECT_MS);
        assert_null(strstr(server.request, "Range:"));
        assert_non_null(strstr(server.request, "User-Agent: CAM-HTTPFLV\r\n"));
    }
}

static void test_refused(void **state)
{
    (void)state;
    const char *schemes[] = {"http", "https", "rtmp", "rtmps"};
    struct server server = SERVER("");
    server_open(&server); /* a port that is free once it is closed */
    server_close(&server);
    for (size_t i = 0; i < 4; i++) {
        struct seen seen = {.accept = true};
        char detail[SOURCE_DETAIL_MAX];
        int64_t ms;
        assert_int_equal(run(schemes[i], server.port, &seen, detail, &ms),
                         HTTP_ERROR_CAMERA_UNREACHABLE);
        assert_true(ms < CONNECT_MS);
    }
}

static void test_rtmp_hangs_up(void **state)
{
    (void)state;
    struct server server = SERVER("");
    struct seen seen = {.accept = true};
    char detail[SOURCE_DETAIL_MAX];
    int64_t ms;
    server_open(&server);
    assert_int_equal(run("rtmp", server.port, &seen, detail, &ms), HTTP_ERROR_CAMERA_NOT_FOUND);
    server_close(&server);
    assert_true(ms < CONNECT_MS);
}

/* The first deadline holds until a packet was accepted, the second from each accepted one on. */
static void test_deadlines(void **state)
{
    (void)state;
    const struct {
        struct server server;
        const char *scheme;
        bool accept;
        int64_t ms;
    } cases[] = {
        {SERVER(""), "http", true, CONNECT_MS},
        {SERVER(""), "rtmp", true, CONNECT_MS},
        {SERVER(OK), "http", true, CONNECT_MS},
        {SERVER(OK FLV_HEADER METADATA CONFIG FRAME("\0\0") FRAME("\4\0")), "http", false,
         CONNECT_MS},
        {SERVER(OK FLV_HEADER METADATA CONFIG FRAME("\0\0") FRAME("\4\0")), "http", true, STALL_MS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server server = cases[i].server;
        struct seen seen = {.accept = cases[i].accept};
        char detail[SOURCE_DETAIL_MAX];
        int64_t ms;
        server.hold = true;
        server_open(&server);
        assert_int_equal(run(cases[i].scheme, server.port, &seen, detail, &ms),
                         HTTP_ERROR_CAMERA_TIMEOUT);
        server_close(&server);
        assert_in_range(ms, cases[i].ms, cases[i].ms + 1000);
    }
}

static void test_sound_only_until_the_deadline(void **state)
{
    (void)state;
    struct server server = SERVER(OK FLV_HEADER SOUND("\0\0\0"));
    struct seen seen = {.accept = true};
    char detail[SOURCE_DETAIL_MAX];
    int64_t ms;
    server.hold = true;
    server_open(&server);
    assert_int_equal(run("http", server.port, &seen, detail, &ms), HTTP_ERROR_CAMERA_NO_VIDEO);
    server_close(&server);
}

static void test_stop(void **state)
{
    (void)state;
    struct server server = SERVER(OK FLV_HEADER METADATA CONFIG FRAME("\0\0") FRAME("\4\0"));
    struct seen seen = {.accept = true, .stop_after = 2};
    char detail[SOURCE_DETAIL_MAX];
    int64_t ms;
    server.hold = true;
    server_open(&server);
    assert_int_equal(run("http", server.port, &seen, detail, &ms), HTTP_ERROR_NONE);
    server_close(&server);
    assert_int_equal(seen.tracks, 1);
    assert_int_equal(seen.packets, 2);
    assert_true(ms < CONNECT_MS);
}

/* Sound is waited for in real time, even while nothing comes. */
static void test_wait_for_sound(void **state)
{
    (void)state;
    struct server server = SERVER(OK FLV_HEADER CONFIG FRAME("\0\0") FRAME("\4\0"));
    struct seen seen = {.accept = true, .stop_after = 2, .patient = true};
    char detail[SOURCE_DETAIL_MAX];
    int64_t ms;
    server.hold = true;
    server_open(&server);
    assert_int_equal(run("http", server.port, &seen, detail, &ms), HTTP_ERROR_NONE);
    server_close(&server);
    assert_int_equal(seen.tracks, 1);
    assert_in_range(ms, 1000, PATIENT_MS);
}

static void test_sink_refuses(void **state)
{
    (void)state;
    struct server server = SERVER(OK FLV_HEADER METADATA CONFIG FRAME("\0\0") FRAME("\4\0"));
    struct seen seen = {.refuse = -ENOTSUP};
    char detail[SOURCE_DETAIL_MAX];
    int64_t ms;
    server.hold = true;
    server_open(&server);
    assert_int_equal(run("http", server.port, &seen, detail, &ms), HTTP_ERROR_UNSUPPORTED_CODEC);
    server_close(&server);
    assert_int_equal(seen.packets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rtmp_hangs_up),  cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_stop),           cmocka_unit_test(test_sound_only_until_the_deadline),
        cmocka_unit_test(test_wait_for_sound), cmocka_unit_test(test_sink_refuses),
    };
    av_util_log_open();
    return cmocka_run_group_tests_name("source_flv", tests, NULL, NULL);
}
