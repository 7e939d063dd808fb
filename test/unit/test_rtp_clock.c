#include "worker/rtp/rtp_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint32_t rates[TRACK_COUNT] = {[TRACK_VIDEO] = 90000, [TRACK_AUDIO] = 8000};

static uint64_t ntp(double seconds)
{
    return (uint64_t)(seconds * 4294967296.0);
}

static double seconds(int64_t pts, enum track track)
{
    return (double)pts / rates[track];
}

#define assert_near(a, b) assert_true((a) - (b) < 0.001 && (b) - (a) < 0.001)

static void test_starts_at_zero_and_wraps(void **state)
{
    struct rtp_clock c;
    rtp_clock_init(&c, rates);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 0xFFFFF000u, 0), 0);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 0x00000E10u, 40000), 0x1E10);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 0x00000000u, 40000), 0x1000); /* B-frame */
    int64_t pts = 0x1000;
    for (uint32_t i = 1; i < 20; i++) /* four times round */
        assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, i * 0x40000000u, 0), pts += 0x40000000);
}

/* Without anything better, what arrives together belongs together. */
static void test_by_arrival(void **state)
{
    struct rtp_clock c;
    rtp_clock_init(&c, rates);
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 777, 1000000);
    assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 5555, 1250000), TRACK_AUDIO), 0.25);
}

static void test_by_rtp_info(void **state)
{
    struct rtp_clock c;
    rtp_clock_init(&c, rates);
    rtp_clock_rtptime(&c, TRACK_VIDEO, 1000);
    rtp_clock_rtptime(&c, TRACK_AUDIO, 2000);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 1000, 1000000), 0);
    /* 0.5 s after the common moment, though it came at once. */
    assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 6000, 1000000), TRACK_AUDIO), 0.5);
}

static void test_bogus_rtp_info(void **state)
{
    struct rtp_clock c;
    rtp_clock_init(&c, rates);
    rtp_clock_rtptime(&c, TRACK_VIDEO, 0);
    rtp_clock_rtptime(&c, TRACK_AUDIO, 0);
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 0x70000000, 1000000);
    assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 5, 1100000), TRACK_AUDIO), 0.1);
}

static void test_by_early_reports(void **state)
{
    struct rtp_clock c;
    int64_t pts, wall;
    rtp_clock_init(&c, rates);
    assert_false(rtp_clock_report(&c, TRACK_VIDEO, ntp(100.0), 90000, &pts, &wall));
    assert_false(rtp_clock_report(&c, TRACK_AUDIO, ntp(100.2), 8000, &pts, &wall));
    rtp_clock_rtptime(&c, TRACK_VIDEO, 90000); /* these say something else: reports win */
    rtp_clock_rtptime(&c, TRACK_AUDIO, 8000);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 90000, 1000000), 0);
    assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 8000, 1000000), TRACK_AUDIO), 0.2);
}

/* Wall clocks that count whole seconds tell less than the arrival. */
static void test_whole_seconds(void **state)
{
    struct rtp_clock c;
    int64_t pts, wall;
    rtp_clock_init(&c, rates);
    assert_false(rtp_clock_report(&c, TRACK_VIDEO, ntp(100.0), 90000, &pts, &wall));
    assert_false(rtp_clock_report(&c, TRACK_AUDIO, ntp(101.0), 8000, &pts, &wall));
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 90000, 1000000);
    assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 8000, 1000000), TRACK_AUDIO), 0);
}

/* Wall times keep their fractions of a second, by which the timeline knows what they count. */
static void test_fractions(void **state)
{
    struct rtp_clock c;
    int64_t pts, wall;
    rtp_clock_init(&c, rates);
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 500, 0);
    assert_true(rtp_clock_report(&c, TRACK_VIDEO, ntp(100.3), 90500, &pts, &wall));
    assert_int_equal(wall, 300000);
    assert_true(rtp_clock_report(&c, TRACK_VIDEO, ntp(105.0), 90500, &pts, &wall));
    assert_int_equal(wall, 5000000);
}

/* Reports that come later move nothing here: the output clock is told. */
static void test_late_reports(void **state)
{
    struct rtp_clock c;
    int64_t pts, wall;
    rtp_clock_init(&c, rates);
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 500, 0);
    (void)rtp_clock_pts(&c, TRACK_AUDIO, 700, 250000);
    assert_true(rtp_clock_report(&c, TRACK_VIDEO, ntp(100.0), 90500, &pts, &wall));
    assert_int_equal(pts, 90000);
    assert_int_equal(wall, 0);
    assert_true(rtp_clock_report(&c, TRACK_AUDIO, ntp(99.9), 8700, &pts, &wall));
    assert_near(seconds(pts, TRACK_AUDIO), 1.25); /* on the base of its packets */
    assert_near((double)wall / 1e6, -0.1);
    for (uint32_t i = 1; i <= 50; i++)
        assert_near(seconds(rtp_clock_pts(&c, TRACK_AUDIO, 700 + 160 * i, 0), TRACK_AUDIO),
                    0.25 + 0.02 * i);
    assert_false(rtp_clock_report(&c, TRACK_AUDIO, 0, 8700, &pts, &wall)); /* no clock */
}

/* The first packets' relation is not taken from reports that cannot be right. */
static void test_impossible_reports(void **state)
{
    struct rtp_clock c;
    int64_t pts, wall;
    rtp_clock_init(&c, rates);
    assert_false(rtp_clock_report(&c, TRACK_VIDEO, ntp(1000000.0), 0, &pts, &wall));
    assert_false(rtp_clock_report(&c, TRACK_AUDIO, ntp(5.0), 0, &pts, &wall)); /* its own clock */
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 0, 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(rtp_clock_pts(&c, TRACK_AUDIO, 160 * i, 0), 160 * i);
}

static void test_jumps_pass(void **state)
{
    struct rtp_clock c;
    rtp_clock_init(&c, rates);
    (void)rtp_clock_pts(&c, TRACK_VIDEO, 0, 0);
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 324000000, 0), 324000000); /* an hour */
    assert_int_equal(rtp_clock_pts(&c, TRACK_VIDEO, 3600, 0), 3600);
}

/* The camera's clock is believed while it is near ours. */
static void test_captured(void **state)
{
    (void)state;
    const int64_t now_us = INT64_C(1795782896000000);
    const double now_ntp = 1795782896.0 + 2208988800.0;
    struct rtp_clock c;
    int64_t at, wall;
    rtp_clock_init(&c, rates);
    int64_t pts = rtp_clock_pts(&c, TRACK_VIDEO, 5000, 777);
    assert_int_equal(rtp_clock_captured_us(&c, pts, now_us), 0); /* no report yet */
    (void)rtp_clock_report(&c, TRACK_VIDEO, ntp(now_ntp - 0.5), 5000, &at, &wall);
    assert_in_range(rtp_clock_captured_us(&c, pts, now_us), now_us - 500001, now_us - 499999);
    pts = rtp_clock_pts(&c, TRACK_VIDEO, 5000 + 90000, 777);
    assert_in_range(rtp_clock_captured_us(&c, pts, now_us + 1000000), now_us + 499999,
                    now_us + 500001);
    /* another time zone */
    (void)rtp_clock_report(&c, TRACK_VIDEO, ntp(now_ntp - 3600), 95000, &at, &wall);
    assert_int_equal(rtp_clock_captured_us(&c, pts, now_us), 0);
    /* the future */
    (void)rtp_clock_report(&c, TRACK_VIDEO, ntp(now_ntp + 2), 95000, &at, &wall);
    assert_int_equal(rtp_clock_captured_us(&c, pts, now_us), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_at_zero_and_wraps),
        cmocka_unit_test(test_by_arrival),
        cmocka_unit_test(test_by_rtp_info),
        cmocka_unit_test(test_bogus_rtp_info),
        cmocka_unit_test(test_by_early_reports),
        cmocka_unit_test(test_whole_seconds),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_late_reports),
        cmocka_unit_test(test_impossible_reports),
        cmocka_unit_test(test_captured),
        cmocka_unit_test(test_jumps_pass),
    };
    return cmocka_run_group_tests_name("rtp_clock", tests, NULL, NULL);
}
