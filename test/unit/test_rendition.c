/* worker/rendition: the transcoder in a thread of its own, with more to do than it can. */
#include "worker/transcode/rendition.h"

#include "common/clock.h"
#include "test/unit/transcoded.h"

struct viewer {
    struct judge judge;
    struct rendition *rendition;
    int64_t wait_pts_us; /* stop the loop once this picture has come */
    int64_t watched_pts_us;
    bool seen; /* the picture that is watched for has come */
    bool closed;
    uv_loop_t loop;
    uv_timer_t deadline;
};

static void on_emit(void *ctx, struct frame *frame)
{
    struct viewer *v = ctx;
    v->seen = v->seen || frame->pts_us == v->watched_pts_us;
    judge_frame(&v->judge, frame);
    if (frame->pts_us >= v->wait_pts_us)
        uv_stop(&v->loop);
}

static void on_closed(void *ctx)
{
    ((struct viewer *)ctx)->closed = true;
}

static void on_deadline(uv_timer_t *timer)
{
    fail_msg("%s", "nothing came within the deadline");
}

static void viewer_open(struct viewer *v, const struct movie *m)
{
    memset(v, 0, sizeof(*v));
    judge_open(&v->judge, m, m->width, m->height);
    assert_int_equal(0, uv_loop_init(&v->loop));
    assert_int_equal(0, uv_timer_init(&v->loop, &v->deadline));
    assert_int_equal(0,
                     rendition_open(&v->loop, AV_CODEC_ID_HEVC, 1080, on_emit, v, &v->rendition));
}

static void viewer_wait(struct viewer *v, int64_t pts_us)
{
    v->wait_pts_us = pts_us;
    assert_int_equal(0, uv_timer_start(&v->deadline, on_deadline, 60000, 0));
    while (v->judge.last_pts_us < pts_us)
        (void)uv_run(&v->loop, UV_RUN_ONCE);
}

static void viewer_close(struct viewer *v)
{
    unsigned count = v->judge.count;
    int64_t begin_us = clock_us();
    rendition_close(&v->rendition, on_closed, v);
    assert_null(v->rendition);
    assert_true(clock_us() - begin_us < 30000000); /* it does not wait for the thread */
    assert_false(v->closed);
    uv_close((uv_handle_t *)&v->deadline, NULL);
    while (uv_run(&v->loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_true(v->closed);
    assert_int_equal(count, v->judge.count);
    assert_int_equal(0, uv_loop_close(&v->loop));
    judge_close(&v->judge);
}

/* A whole GOP at once, as after a join: the newest picture soon, the old ones never. */
static void test_backlog_is_skipped(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 240, 250, 0};
    static struct encoded clip;
    static struct viewer v;
    struct rendition_stats stats;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    for (int i = 0; i < 200; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 199 * STEP_US);
    rendition_get_stats(v.rendition, &stats);
    assert_int_equal(200, stats.frames_in);
    assert_int_equal(0, stats.frames_dropped);
    assert_int_equal(200, stats.frames_out + stats.frames_late);
    /* The first ones may have been taken before the rest was there. */
    assert_true(stats.frames_late > 100);
    for (int i = 200; i < 240; i++) {
        if (i == 210)
            rendition_request_key(v.rendition);
        rendition_push(v.rendition, clip.frames[i]);
        viewer_wait(&v, i * (int64_t)STEP_US);
        if (i == 210)
            assert_int_equal(210 * STEP_US, v.judge.last_key_us);
    }
    viewer_close(&v);
    encoded_free(&clip);
}

/* As many as the rendition holds until the loop takes them (OUT_MAX). */
#define HELD 64

static uint64_t frames_out(const struct viewer *v)
{
    struct rendition_stats stats;
    rendition_get_stats(v->rendition, &stats);
    return stats.frames_out;
}

static int64_t processor_us(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* Until the thread has waited for longer than it may leave out pictures. */
static void starve(void)
{
    for (int i = 0; i < 50; i++) {
        int64_t before_us = processor_us();
        (void)usleep(RENDITION_STARVED_US + 100000);
        if (processor_us() - before_us < 1000)
            return;
    }
    fail_msg("%s", "the thread does not come to rest");
}

/* It comes so late to its pictures that each is far behind: one of them is shown, rather than none
 * up to the newest. */
static void test_late_pictures_are_better_than_none(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 120, 250, 0};
    static struct encoded clip;
    static struct viewer v;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    for (int i = 0; i < HELD; i++) {
        rendition_push(v.rendition, clip.frames[i]);
        for (int ms = 0; ms < 60000 && frames_out(&v) < (uint64_t)i + 1; ms++)
            (void)usleep(1000);
    }
    rendition_push(v.rendition, clip.frames[HELD]); /* there is no room for this one */
    starve();
    for (int i = HELD + 1; i < m.frame_count; i++)
        rendition_push(v.rendition, clip.frames[i]);
    v.watched_pts_us = (HELD + 1) * (int64_t)STEP_US;
    viewer_wait(&v, (m.frame_count - 1) * (int64_t)STEP_US);
    assert_true(v.seen);
    viewer_close(&v);
    encoded_free(&clip);
}

/* More than can be decoded: the queue is bounded, and it goes on at a key frame. */
static void test_overload_is_bounded(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 700, 50, 0};
    static struct encoded clip;
    static struct viewer v;
    struct rendition_stats stats;
    unsigned refs = 0;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    /* Far more than the thread can decode meanwhile, and no key frame to go on from. */
    for (int round = 0; round < 60; round++) {
        for (int i = round == 0 ? 0 : 1; i < 50; i++)
            rendition_push(v.rendition, clip.frames[i]);
    }
    rendition_get_stats(v.rendition, &stats);
    assert_true(stats.frames_dropped > RENDITION_QUEUE_FRAMES);
    for (int i = 0; i < clip.count; i++)
        refs += atomic_load(&clip.frames[i]->refs) - 1;
    assert_true(refs <= RENDITION_QUEUE_FRAMES + 1);

    /* Nothing before the next key frame is queued; that one clears the way. */
    v.judge.skip_from_us = 51 * STEP_US;
    v.judge.skip_to_us = 650 * STEP_US;
    for (int i = 51; i < 700; i++) {
        if (i % 50 != 0 || i == 650)
            rendition_push(v.rendition, clip.frames[i]);
    }
    viewer_wait(&v, 699 * STEP_US);
    viewer_close(&v);
    encoded_free(&clip);
}

/* Damage: what depends on it is not even queued. */
static void test_damage_is_not_queued(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 60, 25, 0};
    static struct encoded clip;
    static struct viewer v;
    struct rendition_stats before, stats;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    clip.frames[28]->damaged = true;
    v.judge.skip_from_us = 28 * STEP_US;
    v.judge.skip_to_us = 50 * STEP_US;
    for (int i = 0; i < 28; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 27 * STEP_US);
    rendition_get_stats(v.rendition, &before);
    for (int i = 28; i < clip.count; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 59 * STEP_US);
    rendition_get_stats(v.rendition, &stats);
    assert_true(clip.frames[50]->key);
    assert_int_equal(50 - 28, stats.frames_dropped - before.frames_dropped);
    viewer_close(&v);
    encoded_free(&clip);
}

static void test_close_at_any_time(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 100, 25, 0};
    static struct encoded clip;
    static struct viewer v;

    make_clip(&m, &clip);
    for (int pushed = 0; pushed <= 100; pushed += 20) {
        viewer_open(&v, &m);
        for (int i = 0; i < pushed; i++)
            rendition_push(v.rendition, clip.frames[i]);
        viewer_close(&v);
    }
    struct rendition *none = NULL;
    rendition_close(&none, NULL, NULL);
    encoded_free(&clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog_is_skipped),
        cmocka_unit_test(test_late_pictures_are_better_than_none),
        cmocka_unit_test(test_overload_is_bounded),
        cmocka_unit_test(test_damage_is_not_queued),
        cmocka_unit_test(test_close_at_any_time),
    };
    av_log_set_level(AV_LOG_ERROR);
    return cmocka_run_group_tests_name("rendition", tests, NULL, NULL);
}
