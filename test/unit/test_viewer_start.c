/* viewer_start: where a viewer begins, how far it is behind, and its silence. */
#include "worker/viewers/viewer_start.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FRAME_US 40000
#define SOUND_US 21333                 /* 1024 samples at 48 kHz */
#define ARRIVED_US INT64_C(5000000000) /* when what belongs at 0 comes */
#define SILENT_FRAMES 19               /* the least that are 0.4 s */

struct stream {
    struct frame_ring *ring;
    struct codec_config *video;
    struct codec_config *audio;
    int64_t sound_late_us;
    int64_t distance_us; /* of pictures */
    int gop;             /* pictures; 0: all are of one */
    int pictures;
    int sounds;
};

static int open_stream(void **state)
{
    static struct stream s;
    s = (struct stream){.ring = frame_ring_new((size_t)1 << 30, INT64_C(1) << 50),
                        .video = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_H264, NULL, 0),
                        .audio = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, NULL, 0),
                        .distance_us = FRAME_US};
    s.audio->sample_rate = 48000;
    s.audio->channels = 1;
    *state = &s;
    return 0;
}

static int close_stream(void **state)
{
    struct stream *s = *state;
    frame_ring_free(&s->ring);
    codec_config_unref(&s->video);
    codec_config_unref(&s->audio);
    return 0;
}

static void push(struct stream *s, struct codec_config *config, bool key, int64_t dts_us,
                 int64_t late_us)
{
    struct frame *f = frame_new(config, 1);
    f->key = key;
    f->dts_us = f->pts_us = dts_us;
    f->received_us = ARRIVED_US + dts_us + late_us;
    frame_ring_push(s->ring, f);
}

/* So many pictures, and the sound that has come with them. */
static void push_pictures(struct stream *s, int pictures, bool sound)
{
    for (s->pictures = 0; s->pictures < pictures; s->pictures++) {
        int64_t now_us = s->pictures * s->distance_us;
        for (; sound && s->sounds * (int64_t)SOUND_US + s->sound_late_us <= now_us; s->sounds++)
            push(s, s->audio, true, s->sounds * (int64_t)SOUND_US, s->sound_late_us);
        bool key = s->gop > 0 ? s->pictures % s->gop == 0 : s->pictures == 0;
        push(s, s->video, key, now_us, 0);
    }
}

/* Of a viewer who comes so long after the newest picture. */
static struct viewer_start start(const struct stream *s, enum ipc_join join, bool sound,
                                 int64_t after_us)
{
    int64_t newest_us = (s->pictures - 1) * s->distance_us;
    struct viewer_join who = {.join = join, .now_us = ARRIVED_US + newest_us + after_us};
    return viewer_start_find(s->ring, &who, sound ? s->audio : NULL);
}

static void test_waits_for_a_key_frame(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 3, false);
    struct viewer_start v = start(s, IPC_JOIN_KEY, true, 0);
    assert_true(v.wait_key && v.cursor == frame_ring_head(s->ring));
    assert_int_equal(v.silent_frames, 0);

    frame_ring_clear(s->ring);
    push(s, s->video, false, 0, 0);
    v = start(s, IPC_JOIN_LIVE, false, 0);
    assert_true(v.wait_key && v.cursor == frame_ring_head(s->ring));
}

static void test_a_key_frame_that_has_just_come_is_the_next_one(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 1, false);
    struct viewer_start v = start(s, IPC_JOIN_KEY, false, 0);
    assert_true(!v.wait_key && v.cursor + 1 == frame_ring_head(s->ring));
}

static void test_gop_keeps_its_pace(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 50, true);
    struct viewer_start v = start(s, IPC_JOIN_GOP, true, 0);
    assert_false(v.wait_key);
    assert_int_equal(v.clock.lead_us, 0);
    assert_int_equal(v.clock.edge_us, 0);
    assert_int_equal(v.silent_frames, 0);
}

/* However long the GOP is. */
static void test_lead_of_pictures_alone(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 200, false);
    struct viewer_start v = start(s, IPC_JOIN_LIVE, false, 0);
    assert_int_equal(v.clock.lead_us, 90000);
    assert_int_equal(v.clock.edge_us, 199 * FRAME_US);
    assert_int_equal(v.silent_frames, 0);
    v = start(s, IPC_JOIN_LIVE, false, 30000); /* the newest picture is older already */
    assert_int_equal(v.clock.lead_us, 60000);
    v = start(s, IPC_JOIN_LIVE, false, 90000000); /* it hangs */
    assert_int_equal(v.clock.lead_us, 90000 - FRAME_US);
}

/* Nothing is gained by waiting: a player that needs more takes it. */
static void test_pictures_alone_are_not_held_up(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 13, false);
    assert_int_equal(start(s, IPC_JOIN_LIVE, false, 0).clock.lead_us, 12000);
}

static void test_lead_of_sound_that_comes_late(void **state)
{
    struct stream *s = *state;
    s->sound_late_us = 85000;
    push_pictures(s, 100, true);
    struct viewer_start v = start(s, IPC_JOIN_LIVE, true, 0);
    assert_int_equal(v.clock.lead_us, 90000 + 85000);
    assert_int_equal(v.silent_frames, SILENT_FRAMES);
    assert_int_equal(start(s, IPC_JOIN_LIVE, false, 0).clock.lead_us, 90000); /* audio=none */
}

static void test_lead_is_bounded(void **state)
{
    struct stream *s = *state;
    s->sound_late_us = 2000000;
    push_pictures(s, 100, true);
    assert_int_equal(start(s, IPC_JOIN_LIVE, true, 0).clock.lead_us, 390000);
}

static void test_sound_that_is_early(void **state)
{
    struct stream *s = *state;
    s->sound_late_us = -500000;
    push_pictures(s, 100, true);
    assert_int_equal(start(s, IPC_JOIN_LIVE, true, 0).clock.lead_us, 90000);
}

static void test_sound_that_has_not_come_yet(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 1, false);
    struct viewer_start v = start(s, IPC_JOIN_LIVE, true, 0);
    assert_int_equal(v.clock.lead_us, 190000);
    assert_int_equal(v.silent_from_us, 0);
    assert_int_equal(v.silent_frames, SILENT_FRAMES);
}

/* It ends where one of the camera's frames begins, whatever the viewer's time of it. */
static void test_silence_is_whole_frames(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 77, true);
    for (int64_t after_us = 0; after_us < FRAME_US; after_us += 777) {
        struct viewer_start v = start(s, IPC_JOIN_LIVE, true, after_us);
        int64_t sound_us = (s->sounds - 1) * (int64_t)SOUND_US - v.clock.edge_us + v.clock.lead_us;
        assert_in_range(v.silent_from_us, 0, SOUND_US - 1);
        assert_int_equal((sound_us - v.silent_from_us) % SOUND_US, 0);
    }
}

/* The pictures of a very long GOP take longer than that to be level; but not for ever. */
static void test_silence_lasts_until_pictures_are_level(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 800, true);
    struct viewer_start v = start(s, IPC_JOIN_LIVE, true, 0);
    int64_t end_us = v.silent_from_us + v.silent_frames * (int64_t)SOUND_US;
    assert_in_range(end_us - viewer_clock_level_us(&v.clock), 0, SOUND_US);
    assert_in_range(end_us, 900000, 1100000);

    push_pictures(s, 100000, true);
    v = start(s, IPC_JOIN_LIVE, true, 0);
    assert_in_range(v.silent_frames, 2000000 / SOUND_US, 2000000 / SOUND_US + 1);
}

/* What is known of the sound is not forgotten at a key frame. */
static void test_who_begins_at_a_key_frame_knows_the_sound(void **state)
{
    struct stream *s = *state;
    s->sound_late_us = 250000;
    s->gop = 25;
    push_pictures(s, 101, true);
    assert_int_equal(frame_ring_pictures_after_key(s->ring), 0);
    struct viewer_start v = start(s, IPC_JOIN_LIVE, true, 0);
    assert_int_equal(v.clock.lead_us, 90000 + 250000);
    int64_t sound_us = (s->sounds - 1) * (int64_t)SOUND_US - v.clock.edge_us + v.clock.lead_us;
    assert_int_equal((sound_us - v.silent_from_us) % SOUND_US, 0);
}

/* Who comes right before the next picture is as close to what is sent as who comes right after. */
static void test_few_pictures_a_second(void **state)
{
    static const int64_t distances_us[] = {100000, 200000, 1000000, 2000000};
    for (int i = 0; i < 4; i++) {
        struct stream *s = *state;
        s->distance_us = distances_us[i];
        frame_ring_clear(s->ring);
        s->sounds = 0;
        push_pictures(s, 5, true);
        struct viewer_start v = start(s, IPC_JOIN_LIVE, true, distances_us[i] - 1000);
        assert_int_equal(v.clock.lead_us + distances_us[i] - 1000, 90000);
        assert_in_range(v.silent_from_us + v.silent_frames * (int64_t)SOUND_US, 400000, 1000000);
    }
}

/* With many viewers sound waits for the next picture. */
static void test_sound_that_is_held(void **state)
{
    struct stream *s = *state;
    push_pictures(s, 50, true);
    struct viewer_join who = {
        .join = IPC_JOIN_LIVE, .now_us = ARRIVED_US + 49 * FRAME_US, .sound_held_us = 45000};
    assert_int_equal(viewer_start_find(s->ring, &who, s->audio).clock.lead_us, 90000 + 45000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_stream, close_stream)
    const struct CMUnitTest tests[] = {
        TEST(test_waits_for_a_key_frame),
        TEST(test_a_key_frame_that_has_just_come_is_the_next_one),
        TEST(test_gop_keeps_its_pace),
        TEST(test_lead_of_pictures_alone),
        TEST(test_pictures_alone_are_not_held_up),
        TEST(test_lead_of_sound_that_comes_late),
        TEST(test_lead_is_bounded),
        TEST(test_sound_that_is_early),
        TEST(test_sound_that_has_not_come_yet),
        TEST(test_silence_is_whole_frames),
        TEST(test_silence_lasts_until_pictures_are_level),
        TEST(test_who_begins_at_a_key_frame_knows_the_sound),
        TEST(test_few_pictures_a_second),
        TEST(test_sound_that_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
