/* worker/access_unit: what is lost damages frames, and only those that may refer to it; bounds. */
#include "test/unit/access_unit_rig.h"

static void test_loss_damages_until_the_next_key_frame(void **state)
{
    (void)state;
    for (int marks = MARK_RIGHT; marks <= MARK_NEVER; marks++) {
        struct rig *rig = rig_new(&h264, NULL, 0);
        push_all(rig, &h264, &(struct how){.marks = marks, .fragment = 100, .lose_unit = 10});
        assert_int_equal(rig->count, 60);
        for (int i = 0; i < 60; i++)
            assert_int_equal(rig->out[i].frame->damaged, i >= 10 && i < 25);
        rig_free(rig);
    }
    /* A damaged key frame does not end the chain. */
    struct rig *rig = rig_new(&h264, NULL, 0);
    push_all(rig, &h264, &(struct how){.fragment = 100, .lose_unit = 25});
    assert_int_equal(rig->count, 60);
    for (int i = 0; i < 60; i++)
        assert_int_equal(rig->out[i].frame->damaged, i >= 25 && i < 50);
    rig_free(rig);
}

static void test_first_slice_missing(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_slices, NULL, 0);
    for (int i = 0; i < 3; i++)
        push_lengths(rig, &h264_slices, i, false);
    struct nal_cursor cursor = {h264_slices.unit[3]->data,
                                h264_slices.unit[3]->data + h264_slices.unit[3]->size};
    struct nal nal;
    assert_true(nal_next_annex_b(&cursor, &nal));
    size_t rest = (size_t)(cursor.end - cursor.pos);
    push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                    .form = MEDIA_ANNEX_B,
                                    .data = cursor.pos,
                                    .len = rest,
                                    .pts = 3 * TICKS});
    access_unit_flush(rig->au);
    assert_int_equal(rig->count, 4);
    assert_true(rig->out[3].frame->damaged);
    rig_free(rig);
}

/* A fragment that nobody knows to be lost: what is left cannot be used, and what follows shows it.
 */
static void test_first_fragment_missing(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_b, NULL, 0);
    const struct how how = {.fragment = 100};
    for (int i = 0; i < 5; i++)
        push_unit(rig, &h264_b, i, &how, h264_b.unit[i]->pts * TICKS);
    push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                    .form = MEDIA_ANNEX_B,
                                    .data = h264_b.unit[5]->data + 50,
                                    .len = (size_t)h264_b.unit[5]->size - 50,
                                    .pts = h264_b.unit[5]->pts * TICKS});
    for (int i = 6; i < h264_b.count; i++)
        push_unit(rig, &h264_b, i, &how, h264_b.unit[i]->pts * TICKS);
    assert_int_equal(rig->count, h264_b.count - 1);
    for (int i = 0; i < rig->count; i++)
        assert_int_equal(rig->out[i].frame->damaged, i >= 5 && rig->out[i].pts < OPEN_GOP * TICKS);
    rig_free(rig);
}

/* In mid-stream the same pictures are good, unless the chain before was not. */
static void test_leading_pictures_after_damage(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&hevc_open, NULL, 0);
    push_all(rig, &hevc_open, &(struct how){.fragment = 50, .lose_unit = 10});
    assert_int_equal(rig->count, hevc_open.count);
    int damaged = 0;
    for (int i = 0; i < rig->count; i++) {
        bool expected = i >= 10 && rig->out[i].pts < OPEN_GOP * TICKS;
        assert_int_equal(rig->out[i].frame->damaged, expected);
        damaged += expected;
    }
    assert_true(damaged > 12);
    assert_true(rig->out[open_gop_index(&hevc_open) + 1].frame->damaged);
    rig_free(rig);
}

static void push_whole(struct rig *rig, const struct sample *s, int i, bool lost_before)
{
    push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                    .form = MEDIA_ANNEX_B,
                                    .last = true,
                                    .lost_before = lost_before,
                                    .data = s->unit[i]->data,
                                    .len = (size_t)s->unit[i]->size,
                                    .pts = s->unit[i]->pts * TICKS,
                                    .dts = AV_NOPTS_VALUE});
}

/* What was lost before a key frame does it no harm, nor the picture whose end was seen. */
static void test_loss_between_units(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &h264_slices, &hevc};
    for (size_t k = 0; k < 3; k++) {
        struct rig *rig = rig_new(samples[k], NULL, 0);
        for (int i = 0; i < samples[k]->count; i++)
            if (i != 10 && i != 24)
                push_whole(rig, samples[k], i, i == 11 || i == 25 || i == 50);
        access_unit_flush(rig->au);
        assert_int_equal(rig->count, samples[k]->count - 2);
        for (int i = 0; i < rig->count; i++)
            assert_int_equal(rig->out[i].frame->damaged, i >= 10 && i < 23);
        rig_free(rig);
    }
}

static void test_cut_unit(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < h264.count; i++)
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .last = true,
                                        .cut = i == 10,
                                        .lost_before = i == 11,
                                        .data = h264.unit[i]->data,
                                        .len = (size_t)h264.unit[i]->size - (i == 10 ? 20 : 0),
                                        .pts = h264.unit[i]->pts * TICKS,
                                        .dts = AV_NOPTS_VALUE});
    access_unit_flush(rig->au);
    assert_int_equal(rig->count, h264.count);
    for (int i = 0; i < rig->count; i++)
        assert_int_equal(rig->out[i].frame->damaged, i >= 10 && i < 25);
    rig_free(rig);
}

static void test_bounds(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    uint8_t slice[8192] = {0, 0, 0, 1, 0x41, 0x40}; /* not the first slice of a picture */
    memset(slice + 6, 0x55, sizeof(slice) - 6);
    const size_t lens[] = {10, sizeof(slice)}; /* too many NAL units; too many bytes as well */
    for (int k = 0; k < 2; k++) {
        push_lengths(rig, &h264, 0, false);
        for (int i = 0; i < ACCESS_UNIT_MAX_NALS + 100; i++)
            push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                            .form = MEDIA_ANNEX_B,
                                            .data = slice,
                                            .len = lens[k],
                                            .pts = 77});
        push_lengths(rig, &h264, 1, false);
        assert_int_equal(rig->count, 2 * (k + 1)); /* the one between was dropped */
        assert_false(rig->out[2 * k].frame->damaged);
        assert_true(rig->out[2 * k + 1].frame->damaged);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_damages_until_the_next_key_frame),
        cmocka_unit_test(test_first_slice_missing),
        cmocka_unit_test(test_first_fragment_missing),
        cmocka_unit_test(test_leading_pictures_after_damage),
        cmocka_unit_test(test_loss_between_units),
        cmocka_unit_test(test_cut_unit),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("access_unit_damage", tests, setup, teardown);
}
