/* worker/snapshot: MJPEG, pictures without end. */
#include "test/unit/snapshot_bench.h"

#include <libswscale/swscale.h>

/* Parts of a multipart answer so far; *last is the newest picture's number. */
static int count_parts(const struct answer *a, int *last)
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

static struct {
    bool refuse;
    int asked;
} contexts;

/* In place of libswscale's, as if there were no memory. */
struct SwsContext *sws_getContext(int source_width, int source_height,
                                  enum AVPixelFormat source_format, int width, int height,
                                  enum AVPixelFormat format, int flags, SwsFilter *source_filter,
                                  SwsFilter *filter, const double *param)
{
    contexts.asked++;
    return contexts.refuse
               ? NULL
               : sws_getCachedContext(NULL, source_width, source_height, source_format, width,
                                      height, format, flags, source_filter, filter, param);
}

/* No memory for a picture: the MJPEG client is closed instead of tried again and again. */
static void test_mjpeg_without_memory(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    struct ipc_client r = request_of(IPC_CLIENT_MJPEG);
    struct answer *a = ask(&b, &r);
    int last = -1;
    push(&b, 1);
    for (int i = 0; i < 1000 && count_parts(a, &last) == 0; i++)
        assert_false(wait_for(&b, a, 10));
    assert_int_equal(last, 0);

    frame_ring_clear(b.ring);
    snapshot_on_disconnect(b.snapshot); /* what was set up for the pictures before goes */
    contexts.refuse = true;
    contexts.asked = 0;
    b.pushed = 0;
    for (int i = 0; i < 50 && snapshot_streaming(b.snapshot) > 0; i++) {
        push(&b, 1);
        (void)wait_for(&b, a, 40);
    }
    assert_true(wait_for(&b, a, 3000));
    assert_int_equal(contexts.asked, 1);
    answer_free(a);

    struct ipc_client once = request_of(IPC_CLIENT_SNAPSHOT);
    a = ask(&b, &once);
    assert_true(wait_for(&b, a, 3000));
    check_status(a, "503");
    contexts.refuse = false;
    answer_free(a);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mjpeg),
        cmocka_unit_test(test_mjpeg_without_memory),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_mjpeg", tests, NULL, NULL);
}
