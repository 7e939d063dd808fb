/* viewer_clock: what a viewer sees of the stream's time. */
#include "worker/viewers/viewer_clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FRAME_US 40000
#define HOUR_US (3600 * INT64_C(1000000))

static struct frame video_at(int64_t dts_us, int64_t pts_us)
{
    return (struct frame){.track = TRACK_VIDEO, .dts_us = dts_us, .pts_us = pts_us};
}

static struct frame audio_at(int64_t pts_us)
{
    return (struct frame){.track = TRACK_AUDIO, .dts_us = pts_us, .pts_us = pts_us};
}

static uint32_t map(struct viewer_clock *clock, struct frame f, int32_t *cts_ms)
{
    uint32_t ts_ms = UINT32_MAX;
    int32_t cts;
    assert_true(viewer_clock_map(clock, &f, &ts_ms, cts_ms != NULL ? cts_ms : &cts));
    return ts_ms;
}

static bool left_out(struct viewer_clock *clock, struct frame f)
{
    uint32_t ts_ms;
    int32_t cts_ms;
    return !viewer_clock_map(clock, &f, &ts_ms, &cts_ms);
}

static void test_starts_at_zero_whenever_it_starts(void **state)
{
    (void)state;
    struct viewer_clock clock;
    int32_t cts_ms;
    viewer_clock_start(&clock, 50 * HOUR_US);
    assert_true(left_out(&clock, audio_at(50 * HOUR_US - 1)));
    assert_int_equal(0, map(&clock, video_at(50 * HOUR_US, 50 * HOUR_US + 2 * FRAME_US), &cts_ms));
    assert_int_equal(80, cts_ms);
    assert_int_equal(21, map(&clock, audio_at(50 * HOUR_US + 21333), NULL));
    /* The first picture after the beginning is late, once: see viewer_clock.c. */
    int64_t t_us = 50 * HOUR_US + FRAME_US;
    assert_int_equal(50, map(&clock, video_at(t_us, t_us + FRAME_US), &cts_ms));
    assert_int_equal(40, cts_ms);
    t_us += FRAME_US;
    assert_int_equal(80, map(&clock, video_at(t_us, t_us), NULL));
}

static void test_rounding_does_not_add_up(void **state)
{
    (void)state;
    struct viewer_clock clock;
    viewer_clock_start(&clock, 0);
    for (int64_t i = 0; i < 100000; i++) {
        int64_t t_us = i * 1024 * 1000000 / 44100;
        assert_int_equal(t_us / 1000, map(&clock, audio_at(t_us), NULL));
    }
}

/* A viewer that joins `cached` pictures after a key frame at 0; pictures come every 40 ms. */
static struct viewer_clock join_live(int64_t cached, int64_t lead_us)
{
    struct viewer_clock clock;
    viewer_clock_start_live(&clock, 0, cached * FRAME_US, (uint64_t)cached, lead_us);
    return clock;
}

static uint32_t map_picture(struct viewer_clock *clock, int64_t n)
{
    return map(clock, video_at(n * FRAME_US, n * FRAME_US), NULL);
}

static void test_live_join_compresses_what_is_cached(void **state)
{
    (void)state;
    struct viewer_clock clock = join_live(20, 100000);
    for (int64_t i = 0; i <= 20; i++)
        assert_int_equal(i, map_picture(&clock, i));
    assert_int_equal(100000, viewer_clock_level_us(&clock));
    assert_int_equal(100 + 50, map_picture(&clock, 21)); /* late, once */
    assert_int_equal(100 + 80, map_picture(&clock, 22));
}

static void test_live_join_leaves_sound_its_pace(void **state)
{
    (void)state;
    struct viewer_clock clock = join_live(250, 100000);
    int64_t edge_us = 250 * FRAME_US;
    assert_true(left_out(&clock, audio_at(edge_us - 100001))); /* none of the past */
    assert_int_equal(0, map(&clock, audio_at(edge_us - 100000), NULL));
    assert_int_equal(80, map(&clock, audio_at(edge_us - 20000), NULL));
    assert_int_equal(120, map(&clock, audio_at(edge_us + 20000), NULL));
}

/* More pictures than the lead has milliseconds: those that come are faster until they are level. */
static void test_live_join_catches_up(void **state)
{
    (void)state;
    struct viewer_clock clock = join_live(250, 100000);
    for (int64_t i = 0; i <= 250; i++)
        assert_int_equal(i, map_picture(&clock, i));
    int64_t n = 251;
    for (; n * FRAME_US <= 250 * FRAME_US + 200000; n++) /* (250 - 100) * 4 / 3 ms */
        assert_int_equal(250 + (n - 250) * 10, map_picture(&clock, n));
    assert_int_equal(300000, viewer_clock_level_us(&clock));
    assert_int_equal(100 + (n - 250) * 40 + 10, map_picture(&clock, n)); /* late, once */
    n++;
    assert_int_equal(100 + (n - 250) * 40, map_picture(&clock, n));
    assert_int_equal(100 + (n - 250) * 40, map(&clock, audio_at(n * FRAME_US), NULL));
}

/* At 60 frames per second, and at 5: one a millisecond. */
static void test_live_join_at_any_frame_rate(void **state)
{
    (void)state;
    static const int64_t steps_us[] = {16667, 200000};
    for (int r = 0; r < 2; r++) {
        struct viewer_clock clock;
        viewer_clock_start_live(&clock, 0, 100 * steps_us[r], 100, 100000);
        for (int64_t i = 0; i <= 100; i++) {
            int32_t cts_ms;
            struct frame f = video_at(i * steps_us[r], (i + 3) * steps_us[r]);
            assert_int_equal(i, map(&clock, f, &cts_ms));
            assert_int_equal(i <= 97 ? 3 : 100 - i + (i - 97) * steps_us[r] / 1000, cts_ms);
        }
    }
}

/* Pictures closer together than a millisecond are not spread. */
static void test_live_join_never_slows_down(void **state)
{
    (void)state;
    struct viewer_clock clock;
    viewer_clock_start_live(&clock, 0, 5000, 10, 100000);
    assert_int_equal(0, map(&clock, video_at(0, 0), NULL));
    assert_int_equal(5, map(&clock, video_at(5000, 5000), NULL));
}

/* I P B B in decoding order, again and again: what is shown later has the later time. */
static void test_live_join_keeps_display_order(void **state)
{
    (void)state;
    static const int64_t pts[] = {1, 4, 2, 3};
    static const int64_t leads_us[] = {0, 20000, 100000, 300000};
    for (int l = 0; l < 4; l++) {
        struct viewer_clock clock = join_live(100, leads_us[l]);
        uint32_t shown_ms[160];
        for (int64_t i = 0; i < 160; i++) {
            int32_t cts_ms;
            int64_t shown = i / 4 * 4 + pts[i % 4];
            uint32_t dts_ms =
                map(&clock, video_at(i * FRAME_US, shown * FRAME_US + FRAME_US), &cts_ms);
            shown_ms[shown - 1] = dts_ms + (uint32_t)cts_ms;
        }
        for (int i = 1; i < 160; i++)
            assert_true(shown_ms[i] > shown_ms[i - 1]);
    }
}

static void test_sound_whose_place_is_taken(void **state)
{
    (void)state;
    struct viewer_clock clock;
    viewer_clock_start(&clock, 0);
    viewer_clock_sound_from(&clock, 400000);
    assert_true(left_out(&clock, audio_at(0)));
    assert_true(left_out(&clock, audio_at(398000)));
    assert_int_equal(400, map(&clock, audio_at(400000), NULL));
    assert_int_equal(421, map(&clock, audio_at(421333), NULL));
}

static void test_skip_closes_the_gap(void **state)
{
    (void)state;
    struct viewer_clock clock;
    viewer_clock_start(&clock, 0);
    assert_int_equal(0, map(&clock, video_at(0, 0), NULL));
    assert_int_equal(50, map(&clock, video_at(FRAME_US, FRAME_US), NULL));
    assert_int_equal(40, map(&clock, audio_at(FRAME_US), NULL));
    struct frame key = video_at(500 * FRAME_US, 500 * FRAME_US);
    viewer_clock_skip_to(&clock, &key);
    assert_int_equal(60, map(&clock, key, NULL));
    assert_true(left_out(&clock, audio_at(400 * FRAME_US))); /* from within the gap */
    assert_int_equal(100, map(&clock, audio_at(501 * FRAME_US), NULL));
    assert_int_equal(100, map(&clock, video_at(501 * FRAME_US, 501 * FRAME_US), NULL));
}

static void test_decoding_times_grow(void **state)
{
    (void)state;
    struct viewer_clock clock;
    viewer_clock_start(&clock, 0);
    assert_int_equal(0, map(&clock, video_at(0, 0), NULL));
    assert_int_equal(10, map(&clock, video_at(10, 10), NULL));
    assert_int_equal(11, map(&clock, video_at(20, 20), NULL)); /* the same millisecond */
    assert_int_equal(40, map(&clock, video_at(FRAME_US, FRAME_US), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_at_zero_whenever_it_starts),
        cmocka_unit_test(test_rounding_does_not_add_up),
        cmocka_unit_test(test_live_join_compresses_what_is_cached),
        cmocka_unit_test(test_live_join_leaves_sound_its_pace),
        cmocka_unit_test(test_live_join_catches_up),
        cmocka_unit_test(test_live_join_at_any_frame_rate),
        cmocka_unit_test(test_live_join_never_slows_down),
        cmocka_unit_test(test_live_join_keeps_display_order),
        cmocka_unit_test(test_sound_whose_place_is_taken),
        cmocka_unit_test(test_skip_closes_the_gap),
        cmocka_unit_test(test_decoding_times_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
