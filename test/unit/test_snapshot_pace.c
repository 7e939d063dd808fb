/* worker/pictures/snapshot_pace: when decoding ahead pays. */
#include "worker/pictures/snapshot_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GOP_US 2000000
#define FRAME_US 40000

/* Frames of two GOPs; the camera's clock starts anywhere. */
static void feed(struct snapshot_pace *pace, int64_t begin_us)
{
    for (int64_t us = 0; us < (int64_t)2 * GOP_US; us += FRAME_US)
        snapshot_pace_frame(pace, begin_us + us, us % GOP_US == 0);
}

static void test_two_requests_within_half_a_gop_are_fast(void **state)
{
    (void)state;
    struct snapshot_pace pace = {0};
    feed(&pace, -12345678);
    assert_int_equal(pace.gop_us, GOP_US);
    snapshot_pace_request(&pace, 5000000);
    assert_false(snapshot_pace_is_fast(&pace, 5000000)); /* one alone says nothing */
    snapshot_pace_request(&pace, 5000000 + GOP_US / 2 - 1);
    assert_true(snapshot_pace_is_fast(&pace, 5000000 + GOP_US / 2 - 1));
    assert_true(snapshot_pace_is_fast(&pace, 5000000 + GOP_US - 2));
    assert_false(snapshot_pace_is_fast(&pace, 5000000 + GOP_US)); /* the next one did not come */
}

static void test_two_requests_further_apart_are_not(void **state)
{
    (void)state;
    struct snapshot_pace pace = {0};
    feed(&pace, 0);
    snapshot_pace_request(&pace, 5000000);
    snapshot_pace_request(&pace, 5000000 + GOP_US / 2);
    assert_false(snapshot_pace_is_fast(&pace, 5000000 + GOP_US / 2));
}

static void test_a_gop_without_end_counts_while_it_grows(void **state)
{
    (void)state;
    struct snapshot_pace pace = {0};
    snapshot_pace_frame(&pace, 0, true);
    for (int i = 1; i <= 100; i++)
        snapshot_pace_frame(&pace, (int64_t)i * FRAME_US, false);
    assert_int_equal(pace.gop_us, 100 * FRAME_US);
    snapshot_pace_frame(&pace, 101 * FRAME_US, true);
    snapshot_pace_frame(&pace, 102 * FRAME_US, true); /* a shorter one replaces it */
    assert_int_equal(pace.gop_us, FRAME_US);
}

static void test_a_reconnect_ends_no_gop(void **state)
{
    (void)state;
    struct snapshot_pace pace = {0};
    feed(&pace, 0);
    snapshot_pace_disconnect(&pace);
    snapshot_pace_frame(&pace, INT64_C(3600000000), false);
    assert_int_equal(pace.gop_us, GOP_US);
    snapshot_pace_frame(&pace, INT64_C(3600040000), true);
    assert_int_equal(pace.gop_us, 0);
    snapshot_pace_request(&pace, 10);
    snapshot_pace_request(&pace, 11);
    assert_false(snapshot_pace_is_fast(&pace, 11)); /* unknown how long a GOP is */
}

static void test_open_requests_count_as_asking(void **state)
{
    (void)state;
    struct snapshot_pace pace = {0};
    feed(&pace, 0);
    snapshot_pace_request(&pace, 1000);
    assert_int_equal(snapshot_pace_idle_us(&pace, 9000), 8000);
    snapshot_pace_touch(&pace, 9000);
    assert_int_equal(snapshot_pace_idle_us(&pace, 9000), 0);
    assert_false(snapshot_pace_is_fast(&pace, 9000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_requests_within_half_a_gop_are_fast),
        cmocka_unit_test(test_two_requests_further_apart_are_not),
        cmocka_unit_test(test_a_gop_without_end_counts_while_it_grows),
        cmocka_unit_test(test_a_reconnect_ends_no_gop),
        cmocka_unit_test(test_open_requests_count_as_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
