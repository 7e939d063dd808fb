/* worker/pictures/snapshot: how much memory it takes, and when there is none for a picture. */
#include "test/unit/snapshot_bench.h"

#include <dlfcn.h>
#include <libswscale/swscale.h>

static struct {
    int refused_from; /* width; 0: none */
    int asked;
} contexts;

/* In place of libswscale's, as if there were no memory for big pictures. */
struct SwsContext *sws_getContext(int source_width, int source_height,
                                  enum AVPixelFormat source_format, int width, int height,
                                  enum AVPixelFormat format, int flags, SwsFilter *source_filter,
                                  SwsFilter *filter, const double *param)
{
    contexts.asked++;
    return contexts.refused_from > 0 && width >= contexts.refused_from
               ? NULL
               : sws_getCachedContext(NULL, source_width, source_height, source_format, width,
                                      height, format, flags, source_filter, filter, param);
}

#define BUFFERS_MAX 32

static struct {
    const uint8_t *list[BUFFERS_MAX];
    int count;
} buffers;

static void note_buffer(const uint8_t *data)
{
    int i = 0;
    while (i < buffers.count && buffers.list[i] != data)
        i++;
    assert_in_range(i, 0, BUFFERS_MAX - 1);
    buffers.list[i] = data;
    if (i == buffers.count)
        buffers.count++;
}

/* In place of libavcodec's: which memory does it use for pictures? */
int avcodec_default_get_buffer2(AVCodecContext *avctx, AVFrame *frame, int flags)
{
    int (*real)(AVCodecContext *, AVFrame *, int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "avcodec_default_get_buffer2");
    int rc = real(avctx, frame, flags);
    if (rc >= 0)
        note_buffer(frame->data[0]);
    return rc;
}

/* A camera's worker holds two decoded pictures, the newest and the one that it refers to, also
 * after several frames were decoded at once. */
static void test_two_pictures_are_enough(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    buffers.count = 0;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    for (int i = 0; i < 10; i++) {
        push(&b, 1 + i % 4);
        struct answer *a = ask(&b, &r);
        assert_true(wait_for(&b, a, 30000));
        check_status(a, "200");
        answer_free(a);
    }
    assert_int_equal(buffers.count, 2);
    bench_close(&b);
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
    contexts.refused_from = 1;
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
    contexts.refused_from = 0;
    answer_free(a);
    bench_close(&b);
}

/* Of two sizes of one picture the smaller one can be made. */
static void test_only_one_size_without_memory(void **state)
{
    struct bench b;
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    struct answer *whole = ask(&b, &r);
    r.width = WIDTH / 2;
    struct answer *small = ask(&b, &r);
    contexts.refused_from = WIDTH;
    push(&b, 1);
    assert_true(wait_for(&b, small, 3000));
    check_status(small, "200");
    assert_true(wait_for(&b, whole, 3000));
    check_status(whole, "503");
    contexts.refused_from = 0;
    answer_free(small);
    answer_free(whole);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_pictures_are_enough),
        cmocka_unit_test(test_mjpeg_without_memory),
        cmocka_unit_test(test_only_one_size_without_memory),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_memory", tests, NULL, NULL);
}
