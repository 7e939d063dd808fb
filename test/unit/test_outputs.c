/* worker/viewers/outputs and fanout: viewers who wait while the camera's codec is not what it
 * was, and who move from one output to another. */
#include "worker/viewers/outputs.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/transcode_mode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PICTURE_US INT64_C(40000)

struct bench {
    uv_loop_t loop;
    struct ipc_limits limits;
    int64_t dts_us;
    bool closed;
};

/* What a viewer's connection brought. */
struct answer {
    int fd;
    size_t len;
    char data[8192];
};

static void bench_open(struct bench *b)
{
    *b = (struct bench){.limits = {.gop_max_bytes = 1 << 20,
                                   .queue_max_ms = 1000,
                                   .viewer_stall_timeout_ms = 60000}};
    assert_int_equal(uv_loop_init(&b->loop), 0);
}

static void on_closed(void *ctx)
{
    ((struct bench *)ctx)->closed = true;
}

static void bench_close(struct bench *b)
{
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

static struct frame *new_frame(struct bench *b, enum track track, enum AVCodecID codec)
{
    static const uint8_t record[] = {1, 100, 0, 30, 0xFF, 0xE0, 0};
    struct codec_config *config = codec_config_new(track, codec, record, sizeof(record));
    config->width = 320;
    config->height = 240;
    config->sample_rate = 48000;
    config->channels = 1;
    struct frame *f = frame_new(config, 16);
    codec_config_unref(&config);
    f->key = true;
    f->dts_us = f->pts_us = b->dts_us;
    f->received_us = clock_us();
    memset(f->data, 0, f->len);
    if (track == TRACK_VIDEO)
        b->dts_us += PICTURE_US;
    return f;
}

/* A viewer's request. @return the socket that the server has; the viewer's is in *a. */
static int viewer(struct ipc_client *request, struct answer *a, enum ipc_av1 av1)
{
    int sv[2];
    *request = (struct ipc_client){.kind = IPC_CLIENT_STREAM,
                                   .audio = 1,
                                   .allow_h265 = 1,
                                   .av1 = av1,
                                   .accepted_us = clock_us(),
                                   .peer = "[::1]:1"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
    *a = (struct answer){.fd = sv[0]};
    return sv[1];
}

/* What has come up to now, NUL-terminated. */
static void take(struct answer *a)
{
    ssize_t n = read(a->fd, a->data + a->len, sizeof(a->data) - 1 - a->len);
    a->len += n > 0 ? (size_t)n : 0;
    a->data[a->len] = '\0';
}

/* --- the codec changes ---------------------------------------------------- */

static struct outputs *open_outputs(struct bench *b)
{
    static const struct client_return back;
    struct outputs *o = outputs_new(&b->loop, &b->limits, "rtsp://***@camera/", &back);
    outputs_set_tracks(o, NULL);
    return o;
}

static void add_viewer(struct outputs *o, struct answer *a, enum ipc_av1 av1)
{
    static struct ipc_client request;
    int fd = viewer(&request, a, av1);
    outputs_add_client(o, &fd, &request);
}

/* The video tag's first byte after the answer's head, FLV header and onMetaData. */
static unsigned first_video_byte(const struct answer *a)
{
    const uint8_t *p = memmem(a->data, a->len, "FLV\1", 4);
    const uint8_t *end = (const uint8_t *)a->data + a->len;
    assert_non_null(p);
    p += 13;
    while (end - p > 15 && p[0] != 9)
        p += 15 + (p[1] << 16 | p[2] << 8 | p[3]);
    assert_true(end - p > 15);
    return p[11];
}

/* Whoever waits when the codec changes within a connection begins with pictures of the new one. */
static void test_waiting_across_a_change(void **state)
{
    static const struct {
        const char *codec;
        enum AVCodecID before, after;
        enum ipc_av1 av1;
        unsigned first;
    } cases[] = {
        {"X-Video-Codec: H.264", AV_CODEC_ID_VP9, AV_CODEC_ID_H264, IPC_AV1_H264, 0x17},
        {"X-Video-Codec: H.265", AV_CODEC_ID_VP8, AV_CODEC_ID_HEVC, IPC_AV1_H264, 0x90},
        {"X-Video-Codec: H.264", AV_CODEC_ID_FLV1, AV_CODEC_ID_H264, IPC_AV1_H264, 0x17},
        {"X-Video-Codec: H.264", AV_CODEC_ID_AV1, AV_CODEC_ID_H264, IPC_AV1_H264, 0x17},
        {"X-Video-Codec: AV1", AV_CODEC_ID_VP9, AV_CODEC_ID_AV1, IPC_AV1_ENHANCED, 0x90},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;
        struct answer a;
        bench_open(&b);
        struct outputs *o = open_outputs(&b);
        for (int n = 0; n < 3; n++)
            outputs_push(o, new_frame(&b, TRACK_VIDEO, cases[i].before));
        add_viewer(o, &a, cases[i].av1);
        take(&a);
        assert_int_equal(a.len, 0); /* it waits for the transcoder, which needs one frame more */
        outputs_push(o, new_frame(&b, TRACK_VIDEO, cases[i].after));
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
        take(&a);
        if (strstr(a.data, cases[i].codec) == NULL)
            fail_msg("case %zu: %.300s", i, a.data);
        assert_int_equal(first_video_byte(&a), cases[i].first);
        outputs_close(o, on_closed, &b);
        bench_close(&b);
        fd_close(&a.fd);
    }
}

/* The refusal names what is accepted. */
static void test_refusals(void **state)
{
    static const struct {
        enum AVCodecID codec;
        const char *text;
    } cases[] = {
        {AV_CODEC_ID_AV1, "only av1=enhanced is accepted"},
        {AV_CODEC_ID_VP9, "only snapshots of it are available"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;
        struct answer a;
        bench_open(&b);
        b.limits.transcode = TRANSCODE_NEVER;
        struct outputs *o = open_outputs(&b);
        add_viewer(o, &a, IPC_AV1_H264);
        outputs_push(o, new_frame(&b, TRACK_VIDEO, cases[i].codec));
        take(&a);
        if (strstr(a.data, cases[i].text) == NULL)
            fail_msg("%s", a.data);
        outputs_close(o, on_closed, &b);
        bench_close(&b);
        fd_close(&a.fd);
    }
}

/* --- fan-outs ------------------------------------------------------------- */

static struct fanout *open_fanout(struct bench *b)
{
    return fanout_new(&b->loop, &b->limits, "rtsp://***@camera/");
}

static void add_to(struct fanout *f, struct answer *a)
{
    static struct ipc_client request;
    int fd = viewer(&request, a, IPC_AV1_H264);
    fanout_add(f, &fd, &request);
}

/* Whatever a ring holds: a viewer who would get it is refused, the worker goes on. */
static void test_codec_that_flv_lacks(void **state)
{
    struct bench b;
    struct answer a;
    bench_open(&b);
    struct fanout *f = open_fanout(&b);
    fanout_set_tracks(f, NULL);
    add_to(f, &a);
    fanout_push(f, new_frame(&b, TRACK_VIDEO, AV_CODEC_ID_VP9));
    take(&a);
    assert_non_null(strstr(a.data, "FLV carries H.264, HEVC and AV1"));
    fanout_close(f, on_closed, &b);
    bench_close(&b);
    fd_close(&a.fd);
}

static bool all(void *ctx, const struct client *client)
{
    return ctx != NULL && client != NULL;
}

/* Sound is held for many viewers: not any more when they have moved to another fan-out. */
static void test_moved_viewers_count_no_more(void **state)
{
    struct bench b;
    struct bench other = {.closed = false};
    struct answer *many = calloc(FANOUT_FEW + 1, sizeof(*many));
    struct answer a;
    bench_open(&b);
    struct fanout *from = open_fanout(&b);
    struct fanout *to = open_fanout(&b);
    struct frame *sound = new_frame(&b, TRACK_AUDIO, AV_CODEC_ID_AAC);
    for (size_t i = 0; i <= FANOUT_FEW; i++)
        add_to(from, &many[i]);
    fanout_move(from, to, all, &b);
    assert_int_equal(fanout_waiting(to), FANOUT_FEW + 1);
    fanout_set_tracks(from, sound->config);
    add_to(from, &a);
    fanout_push(from, new_frame(&b, TRACK_VIDEO, AV_CODEC_ID_H264));
    for (int n = 0; n < 10; n++)
        (void)uv_run(&b.loop, UV_RUN_NOWAIT); /* the beginning goes out in parts */
    take(&a);
    size_t before = a.len;
    assert_true(before > 0);
    sound->dts_us = sound->pts_us = b.dts_us + 10 * PICTURE_US;
    fanout_push(from, sound);
    take(&a);
    assert_true(a.len > before);
    fanout_close(from, on_closed, &b);
    fanout_close(to, on_closed, &other);
    bench_close(&b);
    assert_true(other.closed);
    fd_close(&a.fd);
    for (size_t i = 0; i <= FANOUT_FEW; i++)
        fd_close(&many[i].fd);
    free(many);
}

/* A picture of a camera that has just been connected. */
struct beginning {
    bool key;
    bool damaged;
    int at_ms;   /* when it comes */
    bool begins; /* the viewer who has waited for it gets an answer */
};

static void push_beginning(struct fanout *f, struct bench *b, const struct beginning *p,
                           int64_t connected_us)
{
    struct frame *frame = new_frame(b, TRACK_VIDEO, AV_CODEC_ID_H264);
    frame->key = p->key;
    frame->damaged = p->damaged;
    frame->received_us = connected_us + p->at_ms * INT64_C(1000);
    fanout_push(f, frame);
}

static void check_beginning(struct fanout *f, struct bench *b, const struct beginning *pictures)
{
    struct answer a;
    int64_t connected_us = clock_us();
    add_to(f, &a);
    for (int i = 0; i < 4; i++) {
        /* Once a second: nobody has waited for so long. */
        fanout_fail_waiting(f, clock_ms() - 1000, HTTP_ERROR_CAMERA_TIMEOUT, "no picture in time");
        push_beginning(f, b, &pictures[i], connected_us);
        take(&a);
        if (pictures[i].begins != (a.len > 0))
            fail_msg("picture %d at %d ms: %zu bytes", i, pictures[i].at_ms, a.len);
    }
    fd_close(&a.fd);
}

/* A whole key frame is waited for, but not for long; and again when the camera comes back. */
static void test_damaged_first_key_frame(void **state)
{
    static const struct beginning cases[][4] = {
        {{true, false, 0, true},
         {false, true, 40, true},
         {true, true, 80, true},
         {false, true, 120, true}},
        {{true, true, 0, false},
         {false, true, 40, false},
         {true, false, 1000, true},
         {false, false, 1040, true}},
        {{true, true, 0, false},
         {false, true, 2460, false},
         {false, true, 2500, true},
         {true, false, 8000, true}},
        {{true, true, 0, false},
         {true, true, 500, false},
         {true, true, 1000, false},
         {true, false, 1500, true}},
        {{false, true, 0, false},
         {false, true, 40, false},
         {true, false, 80, true},
         {false, false, 120, true}},
    };
    struct bench b;
    bench_open(&b);
    struct fanout *f = open_fanout(&b);
    fanout_set_tracks(f, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_beginning(f, &b, cases[i]);
        fanout_disconnected(f);
    }
    fanout_close(f, on_closed, &b);
    bench_close(&b);
}

/* How many tags of that type came since the last call; sequence headers do not count. */
static int take_tags(struct bench *b, struct answer *a, unsigned type)
{
    int count = 0;
    size_t at = 0;
    a->len = 0;
    for (int i = 0; i < 10; i++) /* a write each */
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
    take(a);
    while (at + 15 <= a->len) {
        const uint8_t *p = (const uint8_t *)a->data + at;
        count += p[0] == type && p[12] == 1;
        at += 15 + (size_t)(p[1] << 16 | p[2] << 8 | p[3]);
    }
    assert_int_equal(at, a->len);
    return count;
}

static int take_pictures(struct bench *b, struct answer *a)
{
    return take_tags(b, a, 9);
}

/* Who plays on while the camera reconnects waits for a whole key frame, too. */
static void test_damaged_first_key_frame_of_the_next_connection(void **state)
{
    static const struct {
        struct beginning pictures[4];
        int counts[4]; /* of pictures that the viewer gets then */
    } cases[] = {
        {{{true, true, 0, 0},
          {false, true, 40, 0},
          {true, false, 1000, 0},
          {false, false, 1040, 0}},
         {0, 0, 1, 1}},
        {{{true, true, 0, 0}, {false, true, 40, 0}, {false, true, 2500, 0}, {true, false, 3000, 0}},
         {0, 0, 3, 1}},
        {{{true, false, 0, 0}, {false, true, 40, 0}, {true, true, 80, 0}, {true, false, 120, 0}},
         {1, 1, 1, 1}},
    };
    static const struct beginning first = {true, false, 0, true};
    struct bench b;
    struct answer a;
    bench_open(&b);
    struct fanout *f = open_fanout(&b);
    fanout_set_tracks(f, NULL);
    add_to(f, &a);
    push_beginning(f, &b, &first, clock_us());
    take(&a);
    assert_true(a.len > 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t connected_us = clock_us();
        fanout_disconnected(f);
        for (int k = 0; k < 4; k++) {
            push_beginning(f, &b, &cases[i].pictures[k], connected_us);
            if (take_pictures(&b, &a) != cases[i].counts[k])
                fail_msg("case %zu, picture %d: %zu bytes", i, k, a.len);
        }
    }
    fanout_close(f, on_closed, &b);
    bench_close(&b);
    fd_close(&a.fd);
}

/* Whoever plays gets the sound of that time, however short the lag that is allowed. */
static void test_sound_while_a_whole_key_frame_is_waited_for(void **state)
{
    static const struct beginning pictures[] = {
        {true, false, 0, 0}, {true, true, 0, 0}, {true, false, 2400, 0}};
    struct bench b;
    struct answer a;
    bench_open(&b);
    struct fanout *f = open_fanout(&b);
    struct frame *sound = new_frame(&b, TRACK_AUDIO, AV_CODEC_ID_AAC);
    fanout_set_tracks(f, sound->config);
    frame_unref(&sound);
    add_to(f, &a);
    push_beginning(f, &b, &pictures[0], clock_us());
    for (int i = 0; i < 10; i++)
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    take(&a);
    assert_true(a.len > 0);
    fanout_disconnected(f);
    int64_t connected_us = clock_us();
    b.dts_us += 4000 * INT64_C(1000);
    push_beginning(f, &b, &pictures[1], connected_us);
    for (int ms = 20; ms < 2400; ms += 20) {
        sound = new_frame(&b, TRACK_AUDIO, AV_CODEC_ID_AAC);
        sound->received_us = connected_us + ms * INT64_C(1000);
        sound->dts_us = sound->pts_us = b.dts_us + ms * INT64_C(1000);
        fanout_push(f, sound);
    }
    assert_int_equal(take_tags(&b, &a, 8), 0);
    push_beginning(f, &b, &pictures[2], connected_us);
    int sounds = 0;
    for (int n; (n = take_tags(&b, &a, 8)) > 0;)
        sounds += n;
    assert_int_equal(sounds, 119);
    assert_int_equal(fanout_stats(f).frames_skipped, 0);
    fanout_close(f, on_closed, &b);
    bench_close(&b);
    fd_close(&a.fd);
}

/* Whoever wants H.264 of an H.264 camera and comes meanwhile begins with what was held, too. */
static void test_another_output_while_a_whole_key_frame_is_waited_for(void **state)
{
    static const struct beginning pictures[] = {
        {true, true, 0, 0}, {false, true, 40, 0}, {false, true, 2500, 0}};
    static struct ipc_client request;
    struct bench b;
    struct answer a;
    bench_open(&b);
    struct outputs *o = open_outputs(&b);
    int64_t connected_us = clock_us();
    for (int i = 0; i < 3; i++) {
        struct frame *frame = new_frame(&b, TRACK_VIDEO, AV_CODEC_ID_H264);
        frame->key = pictures[i].key;
        frame->damaged = true;
        frame->received_us = connected_us + pictures[i].at_ms * INT64_C(1000);
        outputs_push(o, frame);
        if (i == 1) {
            int fd = viewer(&request, &a, IPC_AV1_H264);
            request.allow_h265 = 0;
            outputs_add_client(o, &fd, &request);
        }
    }
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    take(&a);
    assert_int_equal(first_video_byte(&a), 0x17);
    outputs_close(o, on_closed, &b);
    bench_close(&b);
    fd_close(&a.fd);
}

/* Until the viewer has an answer. */
static void wait_for_answer(struct bench *b, struct answer *a)
{
    for (int i = 0; i < 3000 && a->len == 0; i++) {
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
        take(a);
        (void)usleep(10000);
    }
}

/* The camera's first picture is damaged, and it sends one every ten seconds; or the viewer's time
 * is over: it begins all the same.  Nobody begins once the camera is lost. */
static void test_damaged_first_key_frame_alone(void **state)
{
    static const struct {
        int ago_ms;
        int64_t opened_before_ms; /* 0: no deadline; it counts from now */
        const char *answer;
    } cases[] = {{1600, 0, "X-Video-Codec: H.264"},
                 {0, 1000, "X-Video-Codec: H.264"},
                 {0, INT64_MAX, "504 "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const struct beginning picture = {true, true, 0, false};
        struct bench b;
        struct answer a;
        bench_open(&b);
        struct fanout *f = open_fanout(&b);
        fanout_set_tracks(f, NULL);
        add_to(f, &a);
        push_beginning(f, &b, &picture, clock_us() - cases[i].ago_ms * INT64_C(1000));
        take(&a);
        assert_int_equal(a.len, 0);
        int64_t before_ms = cases[i].opened_before_ms;
        if (before_ms != 0)
            fanout_fail_waiting(f, before_ms == INT64_MAX ? before_ms : clock_ms() + before_ms,
                                HTTP_ERROR_CAMERA_TIMEOUT, "no picture in time");
        wait_for_answer(&b, &a);
        if (strstr(a.data, cases[i].answer) == NULL)
            fail_msg("case %zu: %.300s", i, a.data);
        fanout_close(f, on_closed, &b);
        bench_close(&b);
        fd_close(&a.fd);
    }
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_across_a_change),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_codec_that_flv_lacks),
        cmocka_unit_test(test_moved_viewers_count_no_more),
        cmocka_unit_test(test_damaged_first_key_frame),
        cmocka_unit_test(test_damaged_first_key_frame_alone),
        cmocka_unit_test(test_damaged_first_key_frame_of_the_next_connection),
        cmocka_unit_test(test_sound_while_a_whole_key_frame_is_waited_for),
        cmocka_unit_test(test_another_output_while_a_whole_key_frame_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
