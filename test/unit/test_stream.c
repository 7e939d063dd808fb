/*
 * worker/camera/stream: requests that are held while a source that was lazy catches up, and when a
 * camera is left.  The source is a rig, the outputs are real.
 */
#include "worker/camera/stream.h"

#include "common/clock.h"
#include "common/fd.h"
#include "worker/camera/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000 /* against hangs */
#define PICTURE_US INT64_C(40000)
#define URL "rtmp://camera/live/door"

/* What a client's connection brought. */
struct answer {
    int fd;
    size_t len;
    char data[8192];
};

struct source {
    struct source_events events;
    bool lazy;
    bool gathers;     /* media wait while it is lazy */
    bool catching_up; /* they have not all come */
    void (*closed)(void *ctx);
    void *ctx;
};

static struct rig {
    uv_loop_t loop;
    struct source source;
    struct stream *stream;
    enum ipc_camera_state state;
    int64_t dts_us;
    bool idle; /* the stream has said that nobody has been here */
    bool closed;
} rig;

/* --- the source ------------------------------------------------------------ */

struct source *__wrap_source_open(uv_loop_t *loop, const struct source_params *params,
                                  struct ingest *ingest, const struct source_events *events);
void __wrap_source_limits_changed(struct source *source);
void __wrap_source_close(struct source *source, void (*closed)(void *ctx), void *ctx);
bool __wrap_source_set_lazy(struct source *source, bool lazy);
void __wrap_source_ask_key_frame(struct source *source);
bool __wrap_source_awaits_picture(const struct source *source);
int64_t __wrap_source_overdue_ms(const struct source *source);
struct source_loss __wrap_source_get_loss(struct source *source);
uint64_t __wrap_source_frames_refused(const struct source *source);

struct source *__wrap_source_open(uv_loop_t *loop, const struct source_params *params,
                                  struct ingest *ingest, const struct source_events *events)
{
    (void)loop;
    (void)params;
    (void)ingest;
    rig.source = (struct source){.events = *events, .gathers = true};
    return &rig.source;
}

void __wrap_source_limits_changed(struct source *source)
{
    (void)source;
}

void __wrap_source_close(struct source *source, void (*closed)(void *ctx), void *ctx)
{
    source->closed = closed;
    source->ctx = ctx;
}

bool __wrap_source_set_lazy(struct source *source, bool lazy)
{
    source->catching_up = !lazy && (source->catching_up || (source->lazy && source->gathers));
    source->lazy = lazy;
    return source->catching_up;
}

void __wrap_source_ask_key_frame(struct source *source)
{
    (void)source;
}

bool __wrap_source_awaits_picture(const struct source *source)
{
    (void)source;
    return false;
}

int64_t __wrap_source_overdue_ms(const struct source *source)
{
    (void)source;
    return 0;
}

struct source_loss __wrap_source_get_loss(struct source *source)
{
    (void)source;
    return (struct source_loss){0};
}

uint64_t __wrap_source_frames_refused(const struct source *source)
{
    (void)source;
    return 0;
}

static void send_picture(void)
{
    static const uint8_t record[] = {1, 100, 0, 30, 0xFF, 0xE0, 0};
    struct codec_config *config =
        codec_config_new(TRACK_VIDEO, AV_CODEC_ID_H264, record, sizeof(record));
    config->width = 320;
    config->height = 240;
    struct frame *frame = frame_new(config, 16);
    codec_config_unref(&config);
    memset(frame->data, 0, frame->len);
    frame->key = true;
    frame->dts_us = frame->pts_us = rig.dts_us += PICTURE_US;
    frame->received_us = clock_us();
    rig.source.events.output.on_frame(rig.source.events.output.ctx, frame);
}

static void say_caught_up(void)
{
    rig.source.catching_up = false;
    rig.source.events.on_caught_up(rig.source.events.ctx);
}

/* --- the stream ------------------------------------------------------------ */

static void on_state(void *ctx, const struct ipc_state *state)
{
    ((struct rig *)ctx)->state = (enum ipc_camera_state)state->state;
}

static void on_idle(void *ctx)
{
    ((struct rig *)ctx)->idle = true;
}

static void on_yielded(void *ctx)
{
    (void)ctx;
}

static void on_return(void *ctx, const struct ipc_return *connection, int *fd)
{
    (void)ctx;
    (void)connection;
    (void)fd;
}

static void on_closed(void *ctx)
{
    ((struct rig *)ctx)->closed = true;
}

static void turn(void)
{
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    (void)usleep(1000);
}

static struct ipc_settings settings(uint32_t always_on, uint32_t idle_timeout_ms)
{
    return (struct ipc_settings){.always_on = always_on,
                                 .limits = {.connect_timeout_ms = PATIENCE_MS,
                                            .stall_timeout_ms = PATIENCE_MS,
                                            .idle_timeout_ms = idle_timeout_ms,
                                            .gop_max_bytes = 1 << 20,
                                            .queue_max_ms = 1000,
                                            .viewer_stall_timeout_ms = PATIENCE_MS}};
}

/* The camera streams, and nobody watches: the source is lazy. */
static int setup(void **state)
{
    const struct stream_events events = {on_state, on_idle, on_return, on_yielded, &rig};
    struct ipc_assign *assign = calloc(1, sizeof(*assign));
    (void)state;
    rig = (struct rig){.closed = false};
    *assign = (struct ipc_assign){
        .settings = settings(1, PATIENCE_MS), .transport = IPC_TRANSPORT_RTMP, .url = URL};
    if (uv_loop_init(&rig.loop) != 0)
        return -1;
    rig.loop.data = NULL;
    int rc = stream_open(&rig.loop, assign, &events, &rig.stream);
    free(assign);
    if (rc != 0)
        return rc;
    rig.source.events.output.on_tracks(rig.source.events.output.ctx, AV_CODEC_ID_NONE, NULL);
    send_picture();
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    while (!rig.source.lazy && clock_ms() < by_ms)
        turn();
    return rig.state == IPC_CAMERA_STREAMING && rig.source.lazy ? 0 : -1;
}

static void close_source(void)
{
    void (*closed)(void *ctx) = rig.source.closed;
    rig.source.closed = NULL;
    if (closed != NULL)
        closed(rig.source.ctx);
}

static int teardown(void **state)
{
    (void)state;
    close_source();
    if (rig.stream != NULL)
        stream_close(rig.stream, on_closed, &rig);
    close_source();
    return uv_run(&rig.loop, UV_RUN_DEFAULT) == 0 && rig.closed && uv_loop_close(&rig.loop) == 0
               ? 0
               : -1;
}

static uint32_t viewers(void)
{
    struct ipc_stats stats;
    stream_get_stats(rig.stream, &stats);
    return stats.viewers;
}

/* --- clients ---------------------------------------------------------------- */

static void ask(struct answer *a, enum ipc_client_kind kind)
{
    int ends[2];
    static struct ipc_client request;
    request = (struct ipc_client){
        .kind = kind, .allow_h265 = 1, .quality = 80, .accepted_us = clock_us(), .peer = "[::1]:1"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    *a = (struct answer){.fd = ends[0]};
    stream_add_client(rig.stream, &ends[1], &request);
    assert_int_equal(ends[1], -1);
}

/* What has come up to now. */
static void take(struct answer *a)
{
    ssize_t n = read(a->fd, a->data + a->len, sizeof(a->data) - 1 - a->len);
    a->len += n > 0 ? (size_t)n : 0;
    a->data[a->len] = '\0';
}

static void assert_unanswered(struct answer *a)
{
    for (int i = 0; i < 20; i++)
        turn();
    take(a);
    assert_int_equal(a->len, 0);
}

static void assert_answered(struct answer *a, const char *status)
{
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    for (take(a); a->len == 0 && clock_ms() < by_ms; take(a))
        turn();
    if (strncmp(a->data, status, strlen(status)) != 0)
        fail_msg("%s wanted: %.200s", status, a->data);
}

/* --- tests ------------------------------------------------------------------ */

/* A stream begins when what has gathered has come, and counts as a viewer from then on. */
static void test_streams_wait(void **state)
{
    struct answer a, b;
    (void)state;
    ask(&a, IPC_CLIENT_STREAM);
    ask(&b, IPC_CLIENT_STREAM); /* the source is not lazy any more, but has not caught up yet */
    assert_false(rig.source.lazy);
    assert_unanswered(&a);
    assert_int_equal(viewers(), 0);
    send_picture(); /* has gathered */
    assert_unanswered(&a);
    say_caught_up();
    assert_answered(&a, "HTTP/1.1 200 ");
    assert_answered(&b, "HTTP/1.1 200 ");
    assert_int_equal(viewers(), 2);
    fd_close(&a.fd);
    fd_close(&b.fd);
}

/* The source never says that it has caught up.  Others who ask do not make anybody wait longer. */
static void test_no_one_is_forgotten(void **state)
{
    struct answer a, others[64];
    size_t count = 0;
    (void)state;
    ask(&a, IPC_CLIENT_STREAM);
    int64_t by_ms = clock_ms() + PATIENCE_MS;
    for (take(&a); a.len == 0 && clock_ms() < by_ms; take(&a)) {
        if (count < 64)
            ask(&others[count++], IPC_CLIENT_STREAM);
        for (int i = 0; i < 20; i++)
            turn();
    }
    assert_answered(&a, "HTTP/1.1 200 ");
    assert_in_range(count, 1, 63); /* so many waits of 20 ms and more are over a second */
    while (count > 0)
        fd_close(&others[--count].fd);
}

/* The source ends, and so does the waiting. */
static void test_source_ends(void **state)
{
    struct answer stream, picture;
    (void)state;
    ask(&stream, IPC_CLIENT_STREAM);
    ask(&picture, IPC_CLIENT_SNAPSHOT);
    assert_unanswered(&picture);
    rig.source.events.on_end(rig.source.events.ctx, HTTP_ERROR_CAMERA_UNREACHABLE, "it has ended");
    assert_answered(&picture, "HTTP/1.1 502 ");
    fd_close(&stream.fd);
    fd_close(&picture.fd);
}

/* The server stops. */
static void test_close(void **state)
{
    struct answer picture;
    (void)state;
    ask(&picture, IPC_CLIENT_SNAPSHOT);
    stream_close(rig.stream, on_closed, &rig);
    rig.stream = NULL;
    assert_answered(&picture, "HTTP/1.1 503 ");
    fd_close(&picture.fd);
}

/* Nothing has gathered: nobody waits. */
static void test_nothing_gathered(void **state)
{
    struct answer a;
    (void)state;
    rig.source.gathers = false;
    ask(&a, IPC_CLIENT_STREAM);
    take(&a);
    assert_answered(&a, "HTTP/1.1 200 ");
    assert_int_equal(viewers(), 1);
    fd_close(&a.fd);
}

/* With no idle time at all, a camera is left when the last viewer has gone, and not before. */
static void test_no_idle_time(void **state)
{
    struct answer a;
    const struct ipc_settings none = settings(0, 0);
    (void)state;
    ask(&a, IPC_CLIENT_STREAM);
    stream_set_settings(rig.stream, &none);
    say_caught_up();
    assert_answered(&a, "HTTP/1.1 200 ");
    for (int64_t by_ms = clock_ms() + 1500; clock_ms() < by_ms; turn())
        ;
    assert_int_equal(rig.state, IPC_CAMERA_STREAMING);
    assert_false(rig.idle);
    fd_close(&a.fd);
    for (int64_t by_ms = clock_ms() + PATIENCE_MS; !rig.idle && clock_ms() < by_ms; turn())
        ;
    assert_true(rig.idle);
    assert_int_equal(rig.state, IPC_CAMERA_IDLE);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_streams_wait), CASE(test_no_one_is_forgotten), CASE(test_source_ends),
        CASE(test_close),        CASE(test_nothing_gathered),    CASE(test_no_idle_time),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
