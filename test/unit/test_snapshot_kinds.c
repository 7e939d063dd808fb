/* worker/pictures/snapshot: picture=key, waiting for a newer picture, crop. */
#include "worker/pictures/snapshot.h"

#include "test/unit/snapshot_bench.h"
#include "worker/pictures/snapshot_client.h"

#define GOP 20

static struct answer *ask_and_wait(struct bench *b, const struct ipc_client *r, const char *status)
{
    struct answer *a = ask(b, r);
    assert_true(wait_for(b, a, 3000));
    check_status(a, status);
    return a;
}

static void test_key_frames_alone(void **state)
{
    (void)state;
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (int i = 0; i < 4; i++) { /* without and with reordering */
        struct bench b;
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        r.picture = IPC_PICTURE_KEY;
        bench_open(&b, codecs[i / 2], GOP, i % 2 * 3);
        push(&b, GOP - 4);
        struct answer *a = ask_and_wait(&b, &r, "200");
        assert_int_equal(number_of(a), 0);
        answer_free(a);
        answer_free(ask_and_wait(&b, &r, "200"));
        struct snapshot_stats stats = snapshot_get_stats(b.snapshot);
        assert_int_equal(stats.decoded, 1);
        assert_int_equal(stats.pictures, 1); /* the second one got what was there */
        push(&b, GOP);
        int key = b.pushed - 1;
        while (!b.e.frames[key]->key)
            key--;
        a = ask_and_wait(&b, &r, "200");
        assert_int_equal(number_of(a), b.e.number[key]);
        assert_int_equal(snapshot_get_stats(b.snapshot).decoded, 2);
        answer_free(a);
        bench_close(&b);
    }
}

static void test_both_kinds_at_once(void **state)
{
    (void)state;
    struct bench b;
    struct answer *a[10];
    bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
    push(&b, 10);
    for (int i = 0; i < 10; i++) {
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        r.picture = i % 2 == 0 ? IPC_PICTURE_KEY : IPC_PICTURE_NEWEST;
        a[i] = ask(&b, &r);
    }
    for (int i = 0; i < 10; i++) {
        assert_true(wait_for(&b, a[i], 3000));
        assert_int_equal(number_of(a[i]), i % 2 == 0 ? 0 : 9);
        answer_free(a[i]);
    }
    assert_int_equal(snapshot_get_stats(b.snapshot).pictures, 2);
    bench_close(&b);
}

/* The key frame before it comes instead; late, if it is too old to begin a stream with. */
static void test_damaged_key_frame(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct bench b;
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        r.picture = IPC_PICTURE_KEY;
        bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
        push(&b, 5);
        answer_free(ask_and_wait(&b, &r, "200"));
        b.e.frames[GOP]->damaged = true;
        push(&b, GOP - 5);
        push_received(&b, 1, clock_us() + (late ? FRAME_RING_WHOLE_KEY_US : 0));
        int64_t asked_ms = clock_ms();
        struct answer *a = ask(&b, &r);
        assert_true(wait_for(&b, a, SNAPSHOT_PATIENCE_MS + 10000));
        check_status(a, "200");
        assert_true(!late || clock_ms() - asked_ms >= SNAPSHOT_PATIENCE_MS);
        assert_int_equal(number_of(a), 0);
        answer_free(a);
        bench_close(&b);
    }
}

static void copy_etag(const struct answer *a, struct ipc_client *r)
{
    assert_non_null(header(a, "ETag", r->if_none_match, sizeof(r->if_none_match)));
}

static void test_each_picture_once(void **state)
{
    (void)state;
    for (int picture = 0; picture < IPC_PICTURE_COUNT; picture++) {
        struct bench b;
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        r.picture = (uint32_t)picture;
        bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
        push(&b, 3);
        struct answer *a = ask_and_wait(&b, &r, "200");
        copy_etag(a, &r);
        answer_free(a);

        r.wait_ms = 30000;
        a = ask(&b, &r);
        assert_false(wait_for(&b, a, 300));
        push(&b, picture == IPC_PICTURE_KEY ? GOP : 1); /* a new one */
        assert_true(wait_for(&b, a, 3000));
        check_status(a, "200");
        assert_int_equal(number_of(a), picture == IPC_PICTURE_KEY ? GOP : 3);
        struct ipc_client old = r;
        copy_etag(a, &r);
        answer_free(a);

        answer_free(ask_and_wait(&b, &old, "200")); /* there is a newer one already */

        r.wait_ms = 500; /* and now there is none */
        int64_t asked_ms = clock_ms();
        a = ask(&b, &r);
        assert_true(wait_for(&b, a, 5000));
        check_status(a, "304");
        assert_true(clock_ms() - asked_ms >= 500);
        answer_free(a);
        bench_close(&b);
    }
}

/* A tag of another server, or of a time before this machine was started, asks for any picture. */
static void test_unknown_tags_do_not_wait(void **state)
{
    (void)state;
    static const char *const tags[] = {"\"x\"", "\"fffffffffffff-1-0x0q85\""};
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
    push(&b, 3);
    for (size_t i = 0; i < 2; i++) {
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        r.wait_ms = 30000;
        (void)snprintf(r.if_none_match, sizeof(r.if_none_match), "%s", tags[i]);
        answer_free(ask_and_wait(&b, &r, "200"));
    }
    bench_close(&b);
}

/* Beyond the time for connecting, too: the client has said how long it waits. */
static void test_waiting_is_no_timeout(void **state)
{
    (void)state;
    struct bench b;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
    push(&b, 3);
    struct answer *a = ask_and_wait(&b, &r, "200");
    copy_etag(a, &r);
    answer_free(a);
    b.limits.connect_timeout_ms = 0;
    r.wait_ms = 2500;
    a = ask(&b, &r);
    snapshot_fail_unanswered(b.snapshot, clock_ms() + 1, HTTP_ERROR_CAMERA_TIMEOUT, "late");
    assert_true(wait_for(&b, a, 8000));
    check_status(a, "304");
    answer_free(a);
    bench_close(&b);
}

static void test_crop(void **state)
{
    (void)state;
    struct bench b;
    char value[64];
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    bench_open(&b, AV_CODEC_ID_H264, GOP, 0);
    push(&b, 3);
    r.crop_x = 16, r.crop_y = 20, r.crop_width = 64, r.crop_height = 48, r.width = 32;
    struct answer *a = ask_and_wait(&b, &r, "200");
    assert_non_null(header(a, "X-Snapshot-Size", value, sizeof(value)));
    assert_string_equal(value, "32x24");
    assert_non_null(header(a, "X-Snapshot-Source-Size", value, sizeof(value)));
    assert_string_equal(value, "256x144");
    answer_free(a);

    r.crop_x = WIDTH - 63; /* one pixel too far, beside one that fits */
    struct ipc_client whole = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *good = ask(&b, &whole);
    a = ask_and_wait(&b, &r, "400");
    assert_non_null(strstr(a->data, "bad_parameter"));
    assert_non_null(strstr(a->data, "256x144"));
    assert_true(wait_for(&b, good, 3000));
    check_status(good, "200");
    answer_free(a);
    answer_free(good);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_frames_alone),
        cmocka_unit_test(test_both_kinds_at_once),
        cmocka_unit_test(test_damaged_key_frame),
        cmocka_unit_test(test_each_picture_once),
        cmocka_unit_test(test_unknown_tags_do_not_wait),
        cmocka_unit_test(test_waiting_is_no_timeout),
        cmocka_unit_test(test_crop),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_kinds", tests, NULL, NULL);
}
