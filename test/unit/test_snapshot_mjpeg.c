/* worker/snapshot: MJPEG, pictures without end. */
#include "test/unit/snapshot_bench.h"
#include "worker/pictures/snapshot_render.h"

/* How large pictures seem to be (-Wl,--wrap in the Makefile). */
static uint64_t times_as_large = 1;

uint64_t __real_picture_form_pixels(const struct picture_form *form, int width, int height);
uint64_t __wrap_picture_form_pixels(const struct picture_form *form, int width, int height);

uint64_t __wrap_picture_form_pixels(const struct picture_form *form, int width, int height)
{
    return times_as_large * __real_picture_form_pixels(form, width, height);
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

#define GREEDY 24

/* An MJPEG client of a size of its own, which has got its first picture. */
static struct answer *watch(struct bench *b, uint32_t width)
{
    struct ipc_client r = request_of(IPC_CLIENT_MJPEG);
    r.client = 1;
    r.fps = 1;
    r.width = width;
    struct answer *a = NULL;
    do { /* refused while too many of its others are due again, on a slow machine */
        if (a != NULL)
            answer_free(a);
        a = ask(b, &r);
        push(b, 1);
        while (a->len == 0)
            (void)wait_for(b, a, 5);
    } while (strncmp(a->data, "HTTP/1.1 200 ", 13) != 0);
    return a;
}

static int count_grown(struct answer *const answers[GREEDY], const size_t before[GREEDY])
{
    int grown = 0;
    for (int i = 0; i < GREEDY; i++) {
        take(answers[i]);
        grown += answers[i]->len > before[i];
    }
    return grown;
}

/* One client wants pictures of 24 sizes, which are all due; then another one asks for one.
 * @param ahead  how many of the 24 may be made before that. */
static void check_turns(int ahead)
{
    struct bench b;
    struct answer *greedy[GREEDY];
    size_t before[GREEDY];
    bench_open(&b, AV_CODEC_ID_H264, 60, 0);
    for (uint32_t i = 0; i < GREEDY; i++)
        greedy[i] = watch(&b, 32 + i);
    (void)usleep(1100000); /* the next picture is due to each of them */
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    for (int i = 0; i < GREEDY; i++) {
        take(greedy[i]);
        before[i] = greedy[i]->len;
    }
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    r.client = 2;
    r.width = 100;
    push(&b, 1);
    struct answer *modest = ask(&b, &r);
    assert_true(wait_for(&b, modest, 5000));
    check_status(modest, "200");
    assert_in_range(count_grown(greedy, before), 0, ahead);
    for (int i = 0; i < 6000 && count_grown(greedy, before) < GREEDY; i++) { /* nobody starves */
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
        (void)usleep(5000);
    }
    assert_int_equal(count_grown(greedy, before), GREEDY);
    answer_free(modest);
    for (int i = 0; i < GREEDY; i++)
        answer_free(greedy[i]);
    bench_close(&b);
}

/* Another one's is not made after all of those. */
static void test_clients_take_turns(void **state)
{
    check_turns(GREEDY - SNAPSHOT_FORMS_MAX);
}

/* One at a time is made of a camera whose pictures are large: they take turns from job to job. */
static void test_clients_take_turns_for_large_pictures(void **state)
{
    times_as_large = SNAPSHOT_JOB_PIXELS_MAX;
    check_turns(SNAPSHOT_FORMS_MAX / 2);
    times_as_large = 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mjpeg),
        cmocka_unit_test(test_clients_take_turns),
        cmocka_unit_test(test_clients_take_turns_for_large_pictures),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_mjpeg", tests, NULL, NULL);
}
