/* frame_ring: what is kept, what goes at the bounds. */
#include "worker/media/frame_ring.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NO_LIMIT ((size_t)1 << 30)
#define FRAME_US 40000

static struct codec_config *config[TRACK_COUNT];

static int setup(void **state)
{
    (void)state;
    config[TRACK_VIDEO] = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_H264, NULL, 0);
    config[TRACK_AUDIO] = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    codec_config_unref(&config[TRACK_VIDEO]);
    codec_config_unref(&config[TRACK_AUDIO]);
    return 0;
}

static void push_new(struct frame_ring *ring, struct frame *f, bool key, int64_t dts_us)
{
    f->key = key;
    f->dts_us = f->pts_us = f->received_us = dts_us;
    frame_ring_push(ring, f);
}

static void push(struct frame_ring *ring, enum track track, bool key, int64_t dts_us, size_t len)
{
    push_new(ring, frame_new(config[track], len), key, dts_us);
}

static void push_damaged(struct frame_ring *ring, bool key, int64_t dts_us, size_t len)
{
    struct frame *f = frame_new(config[TRACK_VIDEO], len);
    f->damaged = true;
    push_new(ring, f, key, dts_us);
}

static void test_empty(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 0);
    uint64_t key;
    assert_int_equal(0, frame_ring_head(ring));
    assert_int_equal(0, frame_ring_tail(ring));
    assert_null(frame_ring_get(ring, 0));
    assert_false(frame_ring_key(ring, &key));
    assert_true(frame_ring_newest_dts_us(ring) == INT64_MIN);
    frame_ring_free(&ring);
    assert_null(ring);
}

static void test_knows_its_pictures(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(1000, 0);
    push(ring, TRACK_AUDIO, true, 0, 1);
    assert_null(frame_ring_newest_picture(ring));
    assert_int_equal(0, frame_ring_pictures_after_key(ring));
    for (int i = 0; i < 5; i++) {
        push(ring, TRACK_VIDEO, i == 0 || i == 2, (int64_t)i * FRAME_US, 1);
        push(ring, TRACK_AUDIO, true, (int64_t)i * FRAME_US, 1);
        assert_int_equal((int64_t)i * FRAME_US, frame_ring_newest_picture(ring)->dts_us);
        assert_int_equal(i < 2 ? i : i - 2, frame_ring_pictures_after_key(ring));
    }
    push(ring, TRACK_AUDIO, true, 5 * FRAME_US, 1000); /* takes all the room */
    assert_null(frame_ring_newest_picture(ring));
    assert_int_equal(0, frame_ring_pictures_after_key(ring));
    frame_ring_free(&ring);
}

static void test_keeps_the_gop_whatever_its_age(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 0);
    uint64_t key;
    for (int i = 0; i < 1000; i++) /* grows beyond its first capacity */
        push(ring, TRACK_VIDEO, i == 0, (int64_t)i * FRAME_US, 100);
    assert_int_equal(0, frame_ring_tail(ring));
    assert_int_equal(1000, frame_ring_head(ring));
    assert_true(frame_ring_key(ring, &key));
    assert_int_equal(0, key);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal((int64_t)i * FRAME_US, frame_ring_get(ring, i)->dts_us);
    frame_ring_free(&ring);
}

/* The H.264 output of an HEVC camera gets the sound also while nobody has it transcoded. */
static void test_sound_without_picture_is_not_hoarded(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 3 * FRAME_US);
    for (int i = 0; i < 1000; i++)
        push(ring, TRACK_AUDIO, true, (int64_t)i * FRAME_US, 100);
    assert_int_equal(1000 - 4, frame_ring_tail(ring));
    push(ring, TRACK_VIDEO, true, 1000 * FRAME_US, 100);
    push(ring, TRACK_AUDIO, true, 1001 * FRAME_US, 100);
    assert_int_equal(1000 - 3, frame_ring_tail(ring)); /* what viewers may still need stays */
    frame_ring_clear(ring);                            /* the picture is gone again */
    for (int i = 1002; i < 2000; i++)
        push(ring, TRACK_AUDIO, true, (int64_t)i * FRAME_US, 100);
    assert_int_equal(2000 - 4, frame_ring_tail(ring));
    frame_ring_free(&ring);
}

static void test_new_key_frame_drops_what_nobody_may_need(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 3 * FRAME_US);
    uint64_t key;
    for (int i = 0; i < 20; i++)
        push(ring, TRACK_VIDEO, i % 10 == 0, (int64_t)i * FRAME_US, 100);
    assert_true(frame_ring_key(ring, &key));
    assert_int_equal(10, key);
    assert_int_equal(10, frame_ring_tail(ring)); /* all before is older than the lag allowed */
    push(ring, TRACK_VIDEO, true, 20 * FRAME_US, 100);
    assert_int_equal(17, frame_ring_tail(ring)); /* viewers up to 3 frames behind go on */
    frame_ring_free(&ring);
}

static void test_audio_does_not_make_a_gop(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 0);
    uint64_t key;
    push(ring, TRACK_AUDIO, true, 0, 10);
    assert_false(frame_ring_key(ring, &key));
    assert_true(frame_ring_newest_dts_us(ring) == INT64_MIN);
    push(ring, TRACK_VIDEO, true, 7, 10);
    assert_true(frame_ring_key(ring, &key));
    assert_int_equal(1, key);
    assert_int_equal(7, frame_ring_newest_dts_us(ring));
    frame_ring_free(&ring);
}

static void test_gop_that_outgrows_the_bound(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(10000, 0);
    uint64_t key;
    for (int i = 0; i < 100; i++)
        push(ring, TRACK_VIDEO, i == 0, (int64_t)i * FRAME_US, 1000);
    assert_false(frame_ring_key(ring, &key)); /* joiners wait for the next key frame */
    assert_int_equal(1, frame_ring_overflows(ring));
    assert_true(frame_ring_head(ring) - frame_ring_tail(ring) < 10);
    push(ring, TRACK_VIDEO, true, 100 * FRAME_US, 50000); /* larger than the bound by itself */
    assert_true(frame_ring_key(ring, &key));
    assert_int_equal(100, key);
    assert_int_equal(1, frame_ring_head(ring) - frame_ring_tail(ring));
    frame_ring_free(&ring);
}

static void test_clear_goes_on_counting(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 0);
    uint64_t key;
    push(ring, TRACK_VIDEO, true, 5, 10);
    frame_ring_clear(ring);
    assert_int_equal(1, frame_ring_head(ring));
    assert_int_equal(1, frame_ring_tail(ring));
    assert_false(frame_ring_key(ring, &key));
    assert_true(frame_ring_newest_dts_us(ring) == INT64_MIN);
    frame_ring_free(&ring);
}

static uint64_t key_of(const struct frame_ring *ring)
{
    uint64_t key = UINT64_MAX;
    (void)frame_ring_key(ring, &key);
    return key;
}

/* Viewers begin with the newest whole key frame, if it is not too old. */
static void test_damaged_key_frames(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(NO_LIMIT, 0);
    push_damaged(ring, true, 0, 1); /* there is no better one */
    assert_int_equal(key_of(ring), 0);
    push_damaged(ring, true, FRAME_US, 1); /* both are damaged: the newer one */
    assert_int_equal(key_of(ring), 1);
    push(ring, TRACK_VIDEO, true, 2 * FRAME_US, 1);
    push_damaged(ring, false, 3 * FRAME_US, 1);
    push_damaged(ring, true, 2 * FRAME_US + FRAME_RING_WHOLE_KEY_US, 1);
    assert_int_equal(key_of(ring), 2);
    assert_int_equal(frame_ring_tail(ring), 2);
    assert_int_equal(frame_ring_pictures_after_key(ring), 2);
    push_damaged(ring, true, 2 * FRAME_US + FRAME_RING_WHOLE_KEY_US + 1, 1);
    assert_int_equal(key_of(ring), 5);
    push(ring, TRACK_VIDEO, true, 3 * FRAME_US + FRAME_RING_WHOLE_KEY_US, 1);
    assert_int_equal(key_of(ring), 6);
    frame_ring_free(&ring);
}

/* When the bound takes the whole key frame, a damaged one is left. */
static void test_whole_key_frame_beyond_the_bound(void **state)
{
    (void)state;
    struct frame_ring *ring = frame_ring_new(4 * (sizeof(struct frame) + 100), 0);
    push(ring, TRACK_VIDEO, true, 0, 100);
    push_damaged(ring, true, FRAME_US, 100);
    push_damaged(ring, false, 2 * FRAME_US, 100);
    push_damaged(ring, true, 3 * FRAME_US, 100);
    assert_int_equal(key_of(ring), 0);
    push_damaged(ring, false, 4 * FRAME_US, 100);
    assert_int_equal(key_of(ring), 3);
    assert_int_equal(frame_ring_pictures_after_key(ring), 1);
    assert_int_equal(frame_ring_overflows(ring), 0);
    for (int i = 5; i < 8; i++)
        push_damaged(ring, false, (int64_t)i * FRAME_US, 100);
    assert_int_equal(key_of(ring), UINT64_MAX);
    assert_int_equal(frame_ring_pictures_after_key(ring), 0);
    assert_int_equal(frame_ring_overflows(ring), 1);
    frame_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_knows_its_pictures),
        cmocka_unit_test(test_keeps_the_gop_whatever_its_age),
        cmocka_unit_test(test_sound_without_picture_is_not_hoarded),
        cmocka_unit_test(test_new_key_frame_drops_what_nobody_may_need),
        cmocka_unit_test(test_audio_does_not_make_a_gop),
        cmocka_unit_test(test_gop_that_outgrows_the_bound),
        cmocka_unit_test(test_clear_goes_on_counting),
        cmocka_unit_test(test_damaged_key_frames),
        cmocka_unit_test(test_whole_key_frame_beyond_the_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
