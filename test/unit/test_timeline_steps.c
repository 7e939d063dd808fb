/*
 * The output clock packet by packet: where it starts, decode times, what a reconnect becomes.  The
 * defects of whole streams are in test_timeline.c.
 */
#include "worker/video/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define S INT64_C(1000000)
#define MS INT64_C(1000)
#define FRAME (40 * MS)
#define PACKET (20 * MS)
#define ARRIVAL (5000 * S)

static struct timeline_in video_at(int64_t pts_us, int64_t received_us)
{
    return (struct timeline_in){.track = TRACK_VIDEO,
                                .pts_us = pts_us,
                                .dts_us = TIMELINE_NONE,
                                .duration_us = FRAME,
                                .received_us = received_us};
}

static struct timeline_in audio_at(int64_t pts_us, int64_t received_us)
{
    struct timeline_in in = video_at(pts_us, received_us);
    in.track = TRACK_AUDIO;
    in.duration_us = PACKET;
    return in;
}

static struct timeline_out map(struct timeline *timeline, struct timeline_in in)
{
    struct timeline_out out;
    timeline_map(timeline, &in, &out);
    return out;
}

static void test_starts_at_arrival(void **state)
{
    struct timeline timeline;
    timeline_init(&timeline);
    struct timeline_out out = map(&timeline, video_at(777, ARRIVAL));
    assert_int_equal(out.pts_us, ARRIVAL);
    assert_int_equal(out.dts_us, ARRIVAL);
    assert_false(out.jumped);
    /* The second track keeps the camera's relation although it comes late. */
    out = map(&timeline, audio_at(777 + 15 * MS, ARRIVAL + 300 * MS));
    assert_int_equal(out.pts_us, ARRIVAL + 15 * MS);
}

/* Decode times: what libavformat makes of I0 P3 B1 B2 P6 B4 B5 with one frame of reordering. */
static void test_decode_times(void **state)
{
    static const int shown[] = {0, 3, 1, 2, 6, 4, 5, 9, 7, 8};
    struct timeline timeline;
    timeline_init(&timeline);
    for (int i = 0; i < 10; i++) {
        struct timeline_in in = video_at(shown[i] * FRAME, ARRIVAL + i * FRAME);
        in.reorder_frames = 1;
        struct timeline_out out = map(&timeline, in);
        assert_int_equal(out.dts_us, ARRIVAL + (i - 1) * FRAME);
        assert_int_equal(out.pts_us, ARRIVAL + shown[i] * FRAME);
    }
}

/* Reordering by two (a pyramid), and parameter sets that change it in mid-stream. */
static void test_reorder_changes(void **state)
{
    static const int shown[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};
    struct timeline timeline;
    timeline_init(&timeline);
    map(&timeline, video_at(-FRAME, ARRIVAL - FRAME));
    int64_t last = ARRIVAL - FRAME;
    for (int i = 0; i < 9; i++) {
        struct timeline_in in = video_at(shown[i] * FRAME, ARRIVAL + i * FRAME);
        in.reorder_frames = 2;
        struct timeline_out out = map(&timeline, in);
        assert_int_equal(out.pts_us, ARRIVAL + shown[i] * FRAME);
        assert_true(out.dts_us > last);
        if (i >= 3)
            assert_int_equal(out.dts_us, ARRIVAL + (i - 2) * FRAME);
        last = out.dts_us;
    }
}

/* An encoder of constant delay begins to put others before a frame, and does so only where that
 * pays.  Then the frame comes early for its stamp, which is no step of the camera's clock. */
static void check_reordering_begins(int64_t frame_us, int between, int declared)
{
    struct timeline timeline;
    timeline_init(&timeline);
    for (int i = 0; i < 1200; i++) {
        bool alone = i < 300 || i / (4 * (between + 1)) % 3 == 0;
        int ahead = alone ? 0 : i % (between + 1) == 0 ? between : -1;
        struct timeline_in in = video_at((i + ahead) * frame_us, ARRIVAL + i * frame_us);
        in.duration_us = frame_us;
        in.reorder_frames = declared;
        int64_t off_us = map(&timeline, in).pts_us - in.pts_us;
        struct timeline_in sound = audio_at(i * frame_us, ARRIVAL + i * frame_us);
        sound.duration_us = frame_us;
        off_us -= map(&timeline, sound).pts_us - sound.pts_us;
        if ((declared > 0 || i > 400) && llabs(off_us) > 70 * MS)
            fail_msg("%d between, %d declared: frame %d is %lld ms off its sound", between,
                     declared, i, (long long)(off_us / MS));
    }
    assert_true(timeline.jumps <= (declared > 0 ? 0 : 4));
}

static void test_reordering_begins(void **state)
{
    for (int declared = 0; declared <= 2; declared++) {
        check_reordering_begins(40 * MS, 2, declared);
        check_reordering_begins(40 * MS, 3, declared);
        check_reordering_begins(66667, 2, declared);
    }
}

/* After an outage: away_us without packets, another base, and the relation of the new session. */
static void check_reconnect(int64_t away_us, int64_t step_us)
{
    struct timeline timeline;
    int64_t last = 0, received = ARRIVAL;
    timeline_init(&timeline);
    for (int i = 0; i < 50; i++, received += FRAME) {
        last = map(&timeline, video_at(i * FRAME, received)).dts_us;
        map(&timeline, audio_at(i * FRAME, received));
    }
    timeline_reconnect(&timeline);
    received += away_us - FRAME;
    struct timeline_out out = map(&timeline, video_at(-999 * S, received));
    assert_int_equal(out.dts_us, last + step_us);
    assert_false(out.jumped);
    out = map(&timeline, audio_at(-999 * S + 33 * MS, received + 50 * MS));
    assert_int_equal(out.pts_us, last + step_us + 33 * MS);
    out = map(&timeline, video_at(-999 * S + FRAME, received + FRAME));
    assert_int_equal(out.dts_us, last + step_us + FRAME);
}

static void test_reconnect(void **state)
{
    check_reconnect(10 * MS, FRAME); /* never less than a frame */
    check_reconnect(300 * MS, 300 * MS);
    check_reconnect(20 * S, 100 * MS);
    check_reconnect(90000 * S, 100 * MS);
}

/* The new session's second track starts before what was sent of it already. */
static void test_reconnect_behind(void **state)
{
    struct timeline timeline;
    timeline_init(&timeline);
    struct timeline_out last = map(&timeline, video_at(0, ARRIVAL));
    timeline_reconnect(&timeline);
    map(&timeline, audio_at(10 * S, ARRIVAL + S));
    struct timeline_out out = map(&timeline, video_at(8 * S, ARRIVAL + S));
    assert_true(out.dts_us > last.dts_us + PACKET);
    out = map(&timeline, video_at(8 * S + FRAME, ARRIVAL + S + FRAME));
    assert_false(out.jumped);
}

/* A composition time of five seconds lasts no longer on the output, however slow the camera's
 * clock, and leaves no hole after a reconnect. */
static void test_long_composition(void **state)
{
    static const int64_t slow[] = {1, 30};
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        struct timeline timeline;
        struct timeline_out last, out;
        timeline_init(&timeline);
        int64_t received = ARRIVAL;
        for (int n = 0; n < 500; n++, received += FRAME) {
            struct timeline_in in = video_at(n * FRAME / slow[i], received);
            in.dts_us = in.pts_us;
            in.pts_us += n >= 450 ? 5 * S : 0;
            last = map(&timeline, in);
            assert_true(last.pts_us - last.dts_us <= 5 * S);
        }
        assert_true(slow[i] == 1 || last.pts_us - last.dts_us == 5 * S);
        timeline_reconnect(&timeline);
        out = map(&timeline, video_at(0, received));
        assert_true(out.dts_us - last.dts_us <= S);
    }
}

/* Two seconds from frame to frame are no jump if the camera says so. */
static void test_slow_camera(void **state)
{
    struct timeline timeline;
    timeline_init(&timeline);
    for (int i = 0; i < 20; i++) {
        struct timeline_in in = video_at(i * 2 * S, ARRIVAL + i * 2 * S);
        in.duration_us = 2 * S;
        struct timeline_out out = map(&timeline, in);
        assert_int_equal(out.dts_us, ARRIVAL + i * 2 * S);
        assert_false(out.jumped);
    }
}

/* Arrival times that go back are not believed; they come from us, but cost nothing to survive. */
static void test_arrival_goes_back(void **state)
{
    struct timeline timeline;
    timeline_init(&timeline);
    map(&timeline, video_at(0, ARRIVAL));
    struct timeline_out out = map(&timeline, video_at(FRAME, 0));
    assert_int_equal(out.dts_us, ARRIVAL + FRAME);
    assert_int_equal(timeline.jumps, 0);
}

/* How far the picture is moved by one stamp that steps back, of frames that are declared to be
 * reordered and are not. */
static int64_t moved_by_step_back(int64_t interval_us, int declared)
{
    struct timeline timeline;
    struct timeline_out out = {0};
    int64_t stamp = 0;
    timeline_init(&timeline);
    for (; stamp < 60 * S; stamp += interval_us) {
        bool bad = stamp / interval_us == 10 * S / interval_us;
        struct timeline_in in = video_at(stamp - (bad ? interval_us * 3 / 2 : 0), ARRIVAL + stamp);
        in.reorder_frames = declared;
        out = map(&timeline, in);
    }
    return out.pts_us - (ARRIVAL + stamp - interval_us);
}

static void test_declared_order_and_step_back(void **state)
{
    (void)state;
    static const int64_t intervals_ms[] = {33, 40, 67, 100, 200};
    for (size_t i = 0; i < sizeof(intervals_ms) / sizeof(intervals_ms[0]); i++)
        for (int declared = 1; declared <= 4; declared++)
            assert_true(llabs(moved_by_step_back(intervals_ms[i] * MS, declared)) <= 10 * MS);
}

/* Frames that are reordered, and sound: after a pause they are as far apart as before, within
 * a frame: the first one after it may be ahead of its turn. */
static void test_pause_of_reordered_frames(void **state)
{
    (void)state;
    struct timeline timeline;
    int64_t moved_us[TRACK_COUNT] = {0};
    timeline_init(&timeline);
    for (int i = 0; i < 70 * 25; i++) { /* I0 P2 B1 P4 B3, of which nothing comes for 8 s */
        int64_t sent = i * FRAME;
        if (sent >= 20 * S && sent < 28 * S + FRAME)
            continue;
        int64_t shown = i == 0 ? 0 : sent + (i % 2 == 1 ? FRAME : -FRAME);
        struct timeline_in in = video_at(shown, ARRIVAL + sent);
        in.reorder_frames = 1;
        moved_us[TRACK_VIDEO] = map(&timeline, in).pts_us - shown;
        for (int64_t at = sent; at < sent + FRAME; at += PACKET)
            moved_us[TRACK_AUDIO] = map(&timeline, audio_at(at, ARRIVAL + at)).pts_us - at;
    }
    assert_true(llabs(moved_us[TRACK_VIDEO] - moved_us[TRACK_AUDIO]) <= FRAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_at_arrival),
        cmocka_unit_test(test_decode_times),
        cmocka_unit_test(test_reorder_changes),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_reconnect_behind),
        cmocka_unit_test(test_slow_camera),
        cmocka_unit_test(test_arrival_goes_back),
        cmocka_unit_test(test_long_composition),
        cmocka_unit_test(test_reordering_begins),
        cmocka_unit_test(test_declared_order_and_step_back),
        cmocka_unit_test(test_pause_of_reordered_frames),
    };
    return cmocka_run_group_tests_name("timeline steps", tests, NULL, NULL);
}
