/* worker/snapshot: MJPEG, pictures without end. */
#include "test/unit/snapshot_bench.h"

static void test_mjpeg(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    struct ipc_client r = request_of(IPC_CLIENT_MJPEG);
    r.fps = 20;
    struct answer *a = ask(&b, &r);
    int last = -1;
    int64_t start_ms = clock_ms();
    while (b.pushed < 25) { /* 50 frames per second */
        push(&b, 1);
        assert_false(wait_for(&b, a, 20));
    }
    int64_t took_ms = clock_ms() - start_ms;
    assert_false(wait_for(&b, a, 50));
    check_status(a, "200");
    assert_int_equal(snapshot_streaming(b.snapshot), 1);
    int parts = count_parts(a, &last);
    assert_in_range(parts, 4, took_ms * 20 / 1000 + 2);
    assert_in_range(last, 20, 24);

    fd_close(&a->fd); /* noticed at the next picture */
    for (int i = 0; i < 20 && snapshot_streaming(b.snapshot) > 0; i++) {
        push(&b, 1);
        (void)usleep(20000);
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(snapshot_streaming(b.snapshot), 0);
    free(a);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mjpeg),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_mjpeg", tests, NULL, NULL);
}
