/* worker/snapshot: who asks gets the newest picture, once made for all. */
#include "worker/pictures/snapshot.h"

#include "test/unit/snapshot_bench.h"
#include "worker/pictures/picture_feed.h"
#include "worker/pictures/snapshot_client.h"
#include "worker/pictures/snapshot_render.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>

#define FLOOD_MAX (2 * SNAPSHOT_CLIENTS_MAX) /* who waits, and who reads that too many do */

/* What the ring holds between video frames. */
static void push_audio(struct bench *b)
{
    struct codec_config *config = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, NULL, 0);
    frame_ring_push(b->ring, frame_new(config, 0));
    codec_config_unref(&config);
}

static int ask_number(struct bench *b)
{
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *a = ask(b, &r);
    assert_true(wait_for(b, a, 3000));
    check_status(a, "200");
    int number = number_of(a);
    answer_free(a);
    return number;
}

static int newest_pushed(const struct bench *b)
{
    int newest = 0;
    for (int i = 0; i < b->pushed; i++)
        newest = b->e.number[i] > newest ? b->e.number[i] : newest;
    return newest;
}

static void test_newest(void **state)
{
    static const struct {
        enum AVCodecID codec;
        int gop, b_frames;
    } cases[] = {{AV_CODEC_ID_H264, 1, 0},
                 {AV_CODEC_ID_H264, 60, 0},
                 {AV_CODEC_ID_H264, 20, 3},
                 {AV_CODEC_ID_HEVC, 20, 3}};
    for (size_t i = 0; i < 4; i++) {
        struct bench b;
        bench_open(&b, cases[i].codec, cases[i].gop, cases[i].b_frames);
        push(&b, 2);
        while (b.pushed < 50) {
            int may_be_behind = cases[i].b_frames > 0 ? 0 : 1;
            int newest = newest_pushed(&b);
            assert_in_range(ask_number(&b), newest - may_be_behind, newest);
            push(&b, 1 + b.pushed % 6);
        }
        assert_true(snapshot_get_stats(b.snapshot).decoded <= (uint64_t)b.pushed);
        bench_close(&b);
    }
}

/* A picture that is there already is given out while it is one frame behind, not two. */
static void test_reuse(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    push(&b, 5);
    assert_int_equal(ask_number(&b), 4);
    push_audio(&b);
    push(&b, 1);
    push_audio(&b);
    assert_int_equal(ask_number(&b), 4);
    assert_int_equal(snapshot_get_stats(b.snapshot).pictures, 1);
    push(&b, 1);
    assert_in_range(ask_number(&b), 5, 6); /* 5 if that was being decoded */
    bench_close(&b);

    bench_open(&b, AV_CODEC_ID_H264, 60, 3); /* one frame more may be four pictures */
    push(&b, 2);
    (void)ask_number(&b);
    while (b.pushed < 20) {
        push(&b, 1);
        assert_int_equal(ask_number(&b), newest_pushed(&b));
    }
    bench_close(&b);
}

/* However many ask: one decode of each frame, one encode of each rendition. */
static void test_shared(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    push(&b, 10);
    struct answer *a[20];
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    for (int i = 0; i < 20; i++) {
        r.width = i % 2 == 0 ? 0 : 128;
        a[i] = ask(&b, &r);
    }
    for (int i = 0; i < 20; i++) {
        assert_true(wait_for(&b, a[i], 3000));
        check_status(a[i], "200");
        if (i % 2 == 0)
            assert_int_equal(number_of(a[i]), 9);
        answer_free(a[i]);
    }
    struct snapshot_stats stats = snapshot_get_stats(b.snapshot);
    assert_int_equal(stats.decoded, 10);
    /* The first request's job may have started before the second rendition was asked for. */
    assert_int_equal(stats.pictures, 2);

    assert_int_equal(ask_number(&b), 9); /* the same frame again: nothing to do */
    stats = snapshot_get_stats(b.snapshot);
    assert_int_equal(stats.decoded, 10);
    assert_int_equal(stats.pictures, 2);
    push(&b, 5);
    assert_int_equal(ask_number(&b), 14);
    assert_int_equal(snapshot_get_stats(b.snapshot).decoded, 15);
    bench_close(&b);
}

static void test_headers(void **state)
{
    struct bench b;
    char value[64], etag[64];
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    push(&b, 3);
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *a = ask(&b, &r);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    assert_non_null(header(a, "ETag", etag, sizeof(etag)));
    assert_string_equal(header(a, "Content-Type", value, sizeof(value)), "image/jpeg");
    assert_string_equal(header(a, "Cache-Control", value, sizeof(value)), "no-cache");
    assert_non_null(header(a, "Last-Modified", value, sizeof(value)));
    assert_non_null(header(a, "X-Snapshot-Age-Ms", value, sizeof(value)));
    assert_in_range(atoi(value), 0, 3000);
    assert_non_null(header(a, "Content-Length", value, sizeof(value)));
    char length[64];
    memcpy(length, value, sizeof(length));
    answer_free(a);

    r.head = 1; /* the same head, no body */
    a = ask(&b, &r);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    assert_string_equal(header(a, "Content-Length", value, sizeof(value)), length);
    assert_string_equal(a->data + a->len - 4, "\r\n\r\n");
    answer_free(a);

    r.head = 0;
    (void)snprintf(r.if_none_match, sizeof(r.if_none_match), "W/\"x\", %s", etag);
    a = ask(&b, &r);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "304");
    assert_string_equal(header(a, "ETag", value, sizeof(value)), etag);
    assert_null(header(a, "Content-Length", value, sizeof(value)));
    answer_free(a);

    r.width = 64; /* another rendition has another tag */
    a = ask(&b, &r);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    answer_free(a);
    r.width = 0;
    push(&b, 1); /* and so has another frame */
    a = ask(&b, &r);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    answer_free(a);
    bench_close(&b);
}

/* A damaged chain: served while the last good picture is near, then wait for the key frame. */
static void test_damaged(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 20, 0);
    for (int i = 5; i < 20; i++)
        b.e.frames[i]->damaged = true;
    push(&b, 5);
    assert_int_equal(ask_number(&b), 4);
    push(&b, PICTURE_FEED_LOST_MAX);
    assert_int_equal(ask_number(&b), 4);
    push(&b, 1);
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *a = ask(&b, &r);
    assert_false(wait_for(&b, a, 100));
    push(&b, 19 - b.pushed);
    assert_false(wait_for(&b, a, 100));
    push(&b, 2); /* the rest, and the key frame */
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    assert_int_equal(number_of(a), 20);
    answer_free(a);
    bench_close(&b);
}

/* A camera with periodic intra refresh.  key: its recovery points count as key frames. */
static void bench_open_refresh(struct bench *b, bool key)
{
    struct video_spec spec = {.codec = AV_CODEC_ID_H264,
                              .format = AV_PIX_FMT_YUV420P,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .pictures = 40,
                              .gop = 20,
                              .params = "intra-refresh=1",
                              .matrix = AVCOL_SPC_UNSPECIFIED,
                              .range = AVCOL_RANGE_UNSPECIFIED,
                              .paint = encode_paint_number};
    bench_open(b, AV_CODEC_ID_H264, 20, 0);
    encoded_free(&b->e);
    encode_video(&spec, &b->e);
    b->e.frames[20]->key = key;
    b->e.frames[20]->refresh = 14; /* as x264 says for this width */
}

/* Damaged from some picture on up to the recovery point: the first whole picture after that is
 * served, none before. */
static void check_refresh(int damaged_from, bool key, bool asked_before)
{
    struct bench b;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    bench_open_refresh(&b, key);
    for (int i = damaged_from; i < 20; i++)
        b.e.frames[i]->damaged = true;
    push(&b, 5);
    if (damaged_from >= 5)
        assert_int_equal(ask_number(&b), 4);
    struct answer *early = asked_before ? ask(&b, &r) : NULL;
    if (early != NULL)
        (void)wait_for(&b, early, 100);
    push(&b, 15);
    if (early != NULL)
        (void)wait_for(&b, early, 100);
    push(&b, 1);
    struct answer *a = ask(&b, &r);
    assert_false(wait_for(&b, a, 100));
    push(&b, 34 - b.pushed);
    assert_false(wait_for(&b, a, 100));
    push(&b, 1);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "200");
    assert_int_equal(number_of(a), 34);
    answer_free(a);
    if (early != NULL)
        answer_free(early);
    bench_close(&b);
}

static void test_refresh_after_damage(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        check_refresh(i & 4 ? 10 : 0, i & 2, i & 1);
}

/* No good picture for long: the last one, with its age, for who has waited; never one too old. */
static void test_older(void **state)
{
    struct bench b;
    char value[64];
    bench_open(&b, AV_CODEC_ID_H264, 20, 0);
    for (int i = 10; i <= 20; i++)
        b.e.frames[i]->damaged = true;
    push(&b, 10);
    assert_int_equal(ask_number(&b), 9);
    push(&b, 15); /* the key frame among them is damaged */
    int64_t asked_ms = clock_ms();
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *a = ask(&b, &r);
    assert_true(wait_for(&b, a, SNAPSHOT_PATIENCE_MS + 10000));
    check_status(a, "200");
    assert_int_equal(number_of(a), 9);
    assert_true(clock_ms() - asked_ms >= SNAPSHOT_PATIENCE_MS);
    assert_non_null(header(a, "X-Snapshot-Age-Ms", value, sizeof(value)));
    assert_in_range(atoi(value), SNAPSHOT_PATIENCE_MS, SNAPSHOT_OLD_MAX_MS);
    answer_free(a);

    /* Who comes now waits as long, and gets what comes meanwhile. */
    a = ask(&b, &r);
    assert_false(wait_for(&b, a, 300));
    push(&b, 17); /* with a good key frame */
    assert_true(wait_for(&b, a, 3000));
    assert_in_range(number_of(a), 40, 41);
    answer_free(a);

    b.limits.connect_timeout_ms = SNAPSHOT_PATIENCE_MS;
    for (int i = 43; i < 60; i++)
        b.e.frames[i]->damaged = true;
    push_received(&b, 1, clock_us() - SNAPSHOT_OLD_MAX_MS * INT64_C(1000));
    push(&b, 5);
    a = ask(&b, &r);
    assert_true(wait_for(&b, a, 15000));
    check_status(a, "504");
    answer_free(a);
    bench_close(&b);
}

static void test_timeout(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 20, 0);
    b.limits.connect_timeout_ms = 0; /* only the grace time is left */
    b.e.frames[0]->damaged = true;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *nothing = ask(&b, &r);
    push(&b, 5);
    struct answer *damaged = ask(&b, &r);
    assert_int_equal(snapshot_unanswered(b.snapshot), 2);
    assert_int_equal(snapshot_requests(b.snapshot), 2);
    assert_true(wait_for(&b, nothing, 4000));
    check_status(nothing, "504");
    assert_true(wait_for(&b, damaged, 4000));
    check_status(damaged, "504");
    assert_non_null(strstr(damaged->data, "camera_timeout"));
    assert_int_equal(snapshot_unanswered(b.snapshot), 0);
    answer_free(nothing);
    answer_free(damaged);
    bench_close(&b);
}

static void test_overload(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 20, 0);
    struct answer *a[SNAPSHOT_FORMS_MAX + 1];
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    for (uint32_t i = 0; i <= SNAPSHOT_FORMS_MAX; i++) {
        r.width = 32 + i;
        a[i] = ask(&b, &r);
    }
    assert_true(wait_for(&b, a[SNAPSHOT_FORMS_MAX], 1000));
    check_status(a[SNAPSHOT_FORMS_MAX], "503");
    push(&b, 1);
    for (int i = 0; i < SNAPSHOT_FORMS_MAX; i++) {
        assert_true(wait_for(&b, a[i], 3000));
        check_status(a[i], "200");
    }
    for (int i = 0; i <= SNAPSHOT_FORMS_MAX; i++)
        answer_free(a[i]);
    bench_close(&b);
}

static void need_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < count)
        skip();
    if (limit.rlim_cur < count)
        limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Closed by the other side, not only shut down for writing? */
static bool is_closed(int fd)
{
    struct pollfd p = {.fd = fd};
    assert_return_code(poll(&p, 1, 0), errno);
    return (p.revents & POLLHUP) != 0;
}

/* Who comes when as many are being refused as may wait holds no descriptor. */
static void test_flood(void **state)
{
    struct bench b;
    int fds[FLOOD_MAX + 10];
    size_t count = sizeof(fds) / sizeof(fds[0]);
    need_descriptors(2 * count + 100);
    bench_open(&b, AV_CODEC_ID_H264, 20, 0);
    b.limits.connect_timeout_ms = 60000;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    for (size_t i = 0; i < count; i++)
        fds[i] = send_request(&b, &r);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(is_closed(fds[i]), i >= FLOOD_MAX);
    push(&b, 1);
    for (size_t i = 0; i < count; i++) {
        struct answer *a = answer_new(fds[i]);
        assert_true(wait_for(&b, a, 20000));
        if (i < FLOOD_MAX)
            check_status(a, i < SNAPSHOT_CLIENTS_MAX ? "200" : "503");
        answer_free(a);
    }
    (void)uv_run(&b.loop, UV_RUN_NOWAIT); /* it sees the last ones go */
    assert_int_equal(ask_number(&b), 0);
    bench_close(&b);
}

static void test_failures(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *a = ask(&b, &r);
    snapshot_fail_unanswered(b.snapshot, INT64_MAX, HTTP_ERROR_CAMERA_UNAUTHORIZED, "no");
    assert_true(wait_for(&b, a, 1000));
    check_status(a, "502");
    assert_non_null(strstr(a->data, "rtsp://***@camera/"));
    answer_free(a);

    /* The camera went and came back: nothing of before is served. */
    push(&b, 5);
    assert_int_equal(ask_number(&b), 4);
    frame_ring_clear(b.ring);
    snapshot_on_disconnect(b.snapshot);
    a = ask(&b, &r);
    assert_false(wait_for(&b, a, 100));
    b.pushed = 0;
    push(&b, 1);
    assert_true(wait_for(&b, a, 3000));
    assert_int_equal(number_of(a), 0);
    answer_free(a);

    push(&b, 2);
    a = ask(&b, &r);
    struct answer *other = ask(&b, &r);
    fd_close(&other->fd); /* gone before it was answered */
    free(other);
    bench_close(&b); /* with a job under way */
    take(a);
    check_status(a, "503");
    answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest),   cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_shared),   cmocka_unit_test(test_headers),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_refresh_after_damage),
        cmocka_unit_test(test_older),    cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_overload), cmocka_unit_test(test_flood),
        cmocka_unit_test(test_failures),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
