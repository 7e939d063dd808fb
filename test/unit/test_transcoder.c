/* worker/transcoder: HEVC goes in; what comes out is decoded and compared. */
#include "worker/transcode/transcoder.h"

#include "test/unit/transcoded.h"

static void judge_and_free(void *ctx, struct frame *frame)
{
    judge_frame(ctx, frame);
    frame_unref(&frame);
}

static bool always(void *ctx, int64_t pts_us)
{
    return true;
}

static struct transcoder *open_for(int lines_max, struct judge *j)
{
    struct transcoder_sink sink = {.on_frame = judge_and_free, .wanted = always, .ctx = j};
    struct transcoder *t = transcoder_new(lines_max, 2000000, &sink);
    assert_non_null(t);
    return t;
}

static struct transcoder *open_transcoder(struct judge *j)
{
    return open_for(1080, j);
}

static void test_pictures_and_times(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 200, 125, 3};
    static struct encoded clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (int i = 0; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    /* All but what the decoder holds back to put it in order; one key frame in 2 s, though the
     * camera has one in 5 s. */
    assert_in_range(j.count, 195, 200);
    assert_int_equal((j.count - 1) * (int64_t)STEP_US, j.last_pts_us);
    assert_int_equal(4, j.keys);
    assert_int_equal(2000000, j.longest_key_interval_us);
    assert_true(j.worst_error < 4);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&clip);
}

static void test_key_on_request(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 30, 100, 0};
    static struct encoded clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (int i = 0; i < clip.count; i++) {
        if (i == 17)
            transcoder_request_key(t);
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
        assert_int_equal(i + 1, j.count); /* no picture is held back without a reason */
        assert_int_equal(i < 17 ? 1 : 2, j.keys);
    }
    assert_int_equal(17 * STEP_US, j.last_key_us);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&clip);
}

static void check_lines(int lines_max, int width, int height, enum AVPixelFormat format,
                        int out_width, int out_height)
{
    struct movie m = {width, height, format, 4, 4, 0};
    static struct encoded clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, out_width, out_height);
    struct transcoder *t = open_for(lines_max, &j);
    for (int i = 0; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    assert_int_equal(4, j.count);
    assert_true(j.worst_error < 4);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&clip);
}

static void check_size(int width, int height, enum AVPixelFormat format, int out_width,
                       int out_height)
{
    check_lines(1080, width, height, format, out_width, out_height);
}

/* Smaller for whoever looks at a small picture, never larger than the camera's. */
static void test_lines(void **state)
{
    check_lines(720, 2560, 1440, AV_PIX_FMT_YUV420P, 1280, 720);
    check_lines(540, 1280, 720, AV_PIX_FMT_YUV420P, 960, 540);
    check_lines(360, 1280, 720, AV_PIX_FMT_YUV420P10, 640, 360);
    check_lines(360, 720, 1280, AV_PIX_FMT_YUV420P, 360, 640);
    check_lines(360, 640, 480, AV_PIX_FMT_YUV420P, 480, 360);
    check_lines(720, 320, 192, AV_PIX_FMT_YUV420P, 320, 192);
}

static void test_sizes_and_depths(void **state)
{
    check_size(320, 192, AV_PIX_FMT_YUV420P10, 320, 192);
    check_size(2560, 1440, AV_PIX_FMT_YUV420P, 1920, 1080);
    check_size(2560, 1440, AV_PIX_FMT_YUV420P10, 1920, 1080);
    check_size(1440, 2560, AV_PIX_FMT_YUV420P, 1080, 1920);
    check_size(2048, 1536, AV_PIX_FMT_YUV420P, 1440, 1080);
    check_size(2592, 800, AV_PIX_FMT_YUV420P, 1920, 592);
}

/* The picture changes its size in the middle: a new configuration, with a key frame. */
static void test_size_changes(void **state)
{
    static const struct movie small = {320, 192, AV_PIX_FMT_YUV420P, 10, 10, 0};
    static const struct movie large = {640, 384, AV_PIX_FMT_YUV420P, 20, 20, 0};
    static struct encoded a, b;
    struct judge j;

    make_clip(&small, &a);
    make_clip(&large, &b);
    judge_open(&j, &small, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (int i = 0; i < a.count; i++)
        assert_int_equal(0, transcoder_push(t, a.frames[i]));
    assert_int_equal(10, j.count);
    j.movie = &large;
    j.width = 640;
    j.height = 384;
    for (int i = 0; i < b.count; i++)
        assert_int_equal(0, transcoder_push(t, b.frames[i]));
    assert_int_equal(20, j.count); /* those with times already used are left out */
    assert_int_equal(2, j.keys);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&a);
    encoded_free(&b);
}

/* The camera says another frame rate, nothing else changes: so does the H.264. */
static void test_frame_rate_changes(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 10, 10, 0};
    static const struct movie more = {320, 192, AV_PIX_FMT_YUV420P, 20, 10, 0};
    static struct encoded a, b;
    struct judge j;

    make_clip(&m, &a);
    make_clip(&more, &b);
    b.config->frame_rate_num = 2 * FPS;
    judge_open(&j, &more, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (int i = 0; i < a.count; i++)
        assert_int_equal(0, transcoder_push(t, a.frames[i]));
    assert_int_equal(FPS, j.config->frame_rate_num / j.config->frame_rate_den);
    assert_int_equal(1, j.keys);
    for (int i = 10; i < b.count; i++)
        assert_int_equal(0, transcoder_push(t, b.frames[i]));
    assert_int_equal(2 * FPS, j.config->frame_rate_num / j.config->frame_rate_den);
    assert_int_equal(20, j.count);
    assert_int_equal(2, j.keys);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&a);
    encoded_free(&b);
}

static void test_damage_waits_for_key(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 75, 25, 0};
    static struct encoded clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    j.skip_from_us = 10 * STEP_US;
    j.skip_to_us = 50 * STEP_US;
    struct transcoder *t = open_transcoder(&j);
    clip.frames[10]->damaged = true;
    clip.frames[25]->damaged = true; /* a damaged key frame does not help */
    for (int i = 5; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    assert_int_equal(25, j.count); /* started at 5: no key frame before 50 */
    transcoder_flush(t);
    assert_int_equal(0, transcoder_push(t, clip.frames[60]));
    assert_int_equal(25, j.count);
    transcoder_free(t);
    judge_close(&j);
    encoded_free(&clip);
}

/* x264 writes its options into the first key frame. */
static void find_options(void *ctx, struct frame *frame)
{
    const char *wanted[] = {"analyse=0x3:0x3 " /* P blocks are not divided */, "bframes=0 ",
                            "rc_lookahead=0 ", "scenecut=0 ", "crf=23.0 "};
    size_t *found = ctx;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (memmem(frame->data, frame->len, wanted[i], strlen(wanted[i])) != NULL)
            *found |= (size_t)1 << i;
    frame_unref(&frame);
}

static void test_options_of_the_encoder(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 2, 2, 0};
    static struct encoded clip;
    size_t found = 0;
    struct transcoder_sink sink = {.on_frame = find_options, .wanted = always, .ctx = &found};

    make_clip(&m, &clip);
    struct transcoder *t = transcoder_new(1080, 2000000, &sink);
    assert_non_null(t);
    assert_int_equal(0, transcoder_push(t, clip.frames[0]));
    assert_int_equal(found, 0x1f);
    transcoder_free(t);
    encoded_free(&clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_and_times),
        cmocka_unit_test(test_key_on_request),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_sizes_and_depths),
        cmocka_unit_test(test_size_changes),
        cmocka_unit_test(test_frame_rate_changes),
        cmocka_unit_test(test_damage_waits_for_key),
        cmocka_unit_test(test_options_of_the_encoder),
    };
    av_log_set_level(AV_LOG_ERROR);
    return cmocka_run_group_tests_name("transcoder", tests, NULL, NULL);
}
