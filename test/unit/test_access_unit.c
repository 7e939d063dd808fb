/* worker/access_unit: packets cut in the ways cameras do, to frames. */
#include "common/bytes.h"
#include "test/unit/access_unit_rig.h"

static void run(const struct sample *s, const struct how *how)
{
    struct rig *rig = rig_new(s, NULL, 0);
    push_all(rig, s, how);
    assert_complete(rig, s, 0, !how->same_time);
    assert_decodes(rig, s->count, true);
    rig_free(rig);
}

static void test_markers_right_and_wrong(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &h264_slices, &hevc};
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        for (int marks = MARK_RIGHT; marks <= MARK_NALS; marks++) {
            run(samples[i], &(struct how){.marks = marks});
            run(samples[i], &(struct how){.marks = marks, .fragment = 300});
        }
    }
}

static void test_equal_timestamps(void **state)
{
    (void)state;
    run(&h264, &(struct how){.marks = MARK_NEVER, .same_time = true});
    run(&h264_slices, &(struct how){.marks = MARK_NEVER, .same_time = true, .fragment = 300});
    run(&h264_slices, &(struct how){.marks = MARK_ALWAYS, .same_time = true});
    run(&hevc, &(struct how){.marks = MARK_NEVER, .same_time = true});
}

static void test_marker_ends_the_unit_at_once(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &hevc};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new(samples[i], NULL, 0);
        const struct how how = {.marks = MARK_RIGHT, .fragment = 300};
        for (int k = 0; k < samples[i]->count; k++) {
            push_unit(rig, samples[i], k, &how, k * TICKS);
            assert_int_equal(rig->count, k + 1);
            assert_int_equal(rig->out[k].frame->received_us, 1000 + k);
        }
        rig_free(rig);
    }
}

static void test_configuration(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &h264_b, &hevc, &hevc_open};
    const int reorder[] = {0, 1, 0, 2};
    for (size_t i = 0; i < 4; i++) {
        struct rig *rig = rig_new(samples[i], NULL, 0);
        push_all(rig, samples[i], &(struct how){.marks = MARK_RIGHT});
        const struct codec_config *config = access_unit_config(rig->au);
        assert_int_equal(config->codec, samples[i]->codec);
        assert_int_equal(config->track, TRACK_VIDEO);
        assert_int_equal(config->width, 320);
        assert_int_equal(config->height, 240);
        assert_int_equal(config->frame_rate_num, 25 * config->frame_rate_den);
        assert_int_equal(config->reorder_frames, reorder[i]);
        for (int k = 0; k < rig->count; k++)
            assert_ptr_equal(rig->out[k].frame->config, config); /* one, as nothing changed */
        rig_free(rig);
    }
}

static void test_parameter_sets_from_extradata(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &hevc};
    for (size_t i = 0; i < 2; i++) {
        const struct sample *s = samples[i];
        const struct how how = {.strip_parameter_sets = true};
        struct rig *rig = rig_new(s, NULL, 0);
        push_all(rig, s, &how);
        assert_int_equal(rig->count, 0); /* never complete */
        access_unit_restart(rig->au, s->extradata, s->extradata_len);
        push_all(rig, s, &how);
        assert_int_equal(rig->count, s->count);
        assert_decodes(rig, s->count, true);

        /* A reconnect to the same camera keeps the configuration object, and so does one that
         * gives avcC or hvcC instead. */
        struct codec_config *config = codec_config_ref(access_unit_config(rig->au));
        access_unit_restart(rig->au, config->record, config->record_len);
        push_all(rig, s, &how);
        assert_int_equal(rig->count, 2 * s->count);
        assert_ptr_equal(access_unit_config(rig->au), config);
        codec_config_unref(&config);
        rig_free(rig);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_slices, NULL, 0);
    for (int i = 0; i < h264_slices.count; i++) {
        push_lengths(rig, &h264_slices, i, false);
        assert_int_equal(rig->count, i + 1);
        assert_int_equal(rig->out[i].dts, h264_slices.unit[i]->dts * TICKS);
    }
    assert_complete(rig, &h264_slices, 0, true);

    /* Cut short inside a NAL unit: what is whole is kept, and known to be damaged. */
    uint8_t bad[] = {0, 0, 0, 4, 0x41, 0x9a, 1, 2, 0, 0, 1, 0, 0x41};
    assert_true(push(
        rig, (struct media_packet){
                 .track = TRACK_VIDEO, .form = MEDIA_LENGTHS, .data = bad, .len = sizeof(bad)}));
    assert_int_equal(rig->count, h264_slices.count + 1);
    assert_true(rig->out[rig->count - 1].frame->damaged);
    assert_int_equal(rig->out[rig->count - 1].frame->len, 8);
    rig_free(rig);
}

static void test_annex_b_where_lengths_should_be(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < h264.count; i++)
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_LENGTHS,
                                        .last = true,
                                        .data = h264.unit[i]->data,
                                        .len = (size_t)h264.unit[i]->size,
                                        .pts = h264.unit[i]->pts * TICKS});
    assert_complete(rig, &h264, 0, true);
    rig_free(rig);
}

/* @return the length of a unit that is written with lengths of 4 bytes, or with start codes. */
static size_t write_unit(uint8_t *to, const struct sample *s, int i, bool lengths)
{
    struct nal_cursor cursor = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
    struct nal nal;
    size_t len = 0;
    while (nal_next_annex_b(&cursor, &nal)) {
        bytes_put32(to + len, lengths ? (uint32_t)nal.len : 1);
        memcpy(to + len + 4, nal.data, nal.len);
        len += 4 + nal.len;
    }
    return len;
}

static void push_several(struct rig *rig, const struct sample *s, int from, int count, bool lengths)
{
    static uint8_t message[1 << 20];
    size_t len = 0;
    for (int i = from; i < from + count && i < s->count; i++)
        len += write_unit(message + len, s, i, lengths);
    assert_true(len < sizeof(message));
    int64_t time = (int64_t)from * TICKS;
    assert_true(push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                                .form = MEDIA_LENGTHS,
                                                .key = true,
                                                .last = true,
                                                .data = message,
                                                .len = len,
                                                .pts = time,
                                                .dts = time}));
}

/* Some publishers collect pictures: each comes out by itself, at its time, once the messages'
 * distance is known. */
static void test_several_pictures_in_a_message(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &h264_slices, &hevc};
    for (int k = 0; k < 3 * 2 * 3; k++) {
        const struct sample *s = samples[k / 6];
        int count = 2 + k % 3;
        struct rig *rig = rig_new(s, s->unit[0]->data, (size_t)s->unit[0]->size);
        for (int i = 0; i < s->count; i += count)
            push_several(rig, s, i, count, k / 3 % 2 == 0);
        access_unit_flush(rig->au);
        assert_complete(rig, s, 0, false);
        for (int i = 2 * count; i + count <= s->count; i++)
            assert_int_equal(rig->out[i].dts, (int64_t)i * TICKS);
        assert_decodes(rig, s->count, true);
        rig_free(rig);
    }
}

static int count_nals(const struct frame *frame, unsigned type)
{
    struct nal_cursor cursor = {frame->data, frame->data + frame->len};
    struct nal nal;
    int n = 0;
    while (nal_next_length(&cursor, 4, &nal) == 1)
        n += nal_type(frame->config->codec, nal.data) == type;
    return n;
}

static void test_new_resolution(void **state)
{
    (void)state;
    struct sample small = sample_encode(AV_CODEC_ID_H264, 10, 160, 120, "keyint=5:bframes=0");
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < 10; i++)
        push_lengths(rig, &h264, i, false);
    struct codec_config *before = access_unit_config(rig->au);

    /* The new parameter sets come apart from the frames, as from a new sequence header. */
    push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                    .form = MEDIA_ANNEX_B,
                                    .data = small.extradata,
                                    .len = small.extradata_len,
                                    .pts = 10 * TICKS});
    for (int i = 0; i < 10; i++)
        push_lengths(rig, &small, i, true);
    assert_int_equal(rig->count, 20);
    const struct codec_config *after = access_unit_config(rig->au);
    assert_ptr_not_equal(before, after);
    assert_int_equal(after->width, 160);
    assert_ptr_equal(rig->out[9].frame->config, before);
    assert_ptr_equal(rig->out[10].frame->config, after);
    /* In band in the frame where they changed, not in the next key frame. */
    assert_true(rig->out[10].frame->key && rig->out[15].frame->key);
    assert_int_equal(count_nals(rig->out[10].frame, H264_NAL_SPS), 1);
    assert_int_equal(count_nals(rig->out[10].frame, H264_NAL_PPS), 1);
    assert_int_equal(count_nals(rig->out[15].frame, H264_NAL_SPS), 0);

    /* Sent in band by the camera: not twice. */
    push_lengths(rig, &h264, 0, false);
    assert_int_equal(count_nals(rig->out[20].frame, H264_NAL_SPS), 1);
    assert_int_equal(rig->out[20].frame->config->width, 320);
    rig_free(rig);
    sample_free(&small);
}

static void test_parameter_sets_with_the_time_before(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < 3; i++) {
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .last = true,
                                        .data = h264.extradata,
                                        .len = h264.extradata_len,
                                        .pts = i * TICKS - 1});
        push_unit(rig, &h264, 0, &(struct how){.strip_parameter_sets = true}, i * TICKS);
    }
    access_unit_flush(rig->au);
    assert_int_equal(rig->count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig->out[i].pts, i * TICKS);
        assert_int_equal(count_nals(rig->out[i].frame, H264_NAL_SPS), 1);
    }
    rig_free(rig);
}

/* Joined at an open GOP: its leading pictures cannot be decoded and must not come out. */
static void join_open_gop(const struct sample *s)
{
    struct rig *rig = rig_new(s, s->extradata, s->extradata_len);
    int first = open_gop_index(s);
    int later = 0;
    for (int i = 5; i < s->count; i++) {
        push_unit(rig, s, i, &(struct how){.marks = MARK_RIGHT}, s->unit[i]->pts * TICKS);
        later += i >= first && s->unit[i]->pts >= OPEN_GOP;
    }
    assert_true(rig->out[0].frame->key);
    assert_int_equal(rig->count, later);
    for (int i = 0; i < rig->count; i++) {
        assert_true(rig->out[i].pts >= OPEN_GOP * TICKS);
        assert_false(rig->out[i].frame->damaged);
    }
    /* Commands to drop reference pictures before the start fail, harmlessly. */
    assert_decodes(rig, later, false);
    rig_free(rig);
}

static void test_open_gop(void **state)
{
    (void)state;
    join_open_gop(&h264_b);
    join_open_gop(&hevc_open);
    /* From the start: a recovery point is a key frame after IDR pictures as well. */
    struct rig *rig = rig_new(&h264_b, NULL, 0);
    push_all(rig, &h264_b, &(struct how){.marks = MARK_RIGHT});
    assert_complete(rig, &h264_b, 0, true);
    assert_true(rig->out[open_gop_index(&h264_b)].frame->key);
    rig_free(rig);
}

/* A camera that never sends IDR nor recovery points: I pictures with parameter sets have to do. */
static void test_intra_without_idr(void **state)
{
    (void)state;
    struct sample s = sample_encode(AV_CODEC_ID_H264, 5, 320, 240, "keyint=1:bframes=0");
    struct rig *rig = rig_new(&s, NULL, 0);
    for (int i = 0; i < s.count; i++) {
        /* The closest thing to such a camera that an encoder here makes: IDR slices renamed, but
         * their idr_pic_id stays, so that they do not decode. */
        for (int k = 0; k + 3 < s.unit[i]->size; k++) {
            uint8_t *p = s.unit[i]->data + k;
            if (p[0] == 0 && p[1] == 0 && p[2] == 1 && (p[3] & 0x1f) == H264_NAL_IDR)
                p[3] = 0x61;
        }
        push_lengths(rig, &s, i, i == 2);
    }
    assert_int_equal(rig->count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig->out[i].frame->key, i != 2); /* the one without parameter sets */
    rig_free(rig);
    sample_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markers_right_and_wrong),
        cmocka_unit_test(test_equal_timestamps),
        cmocka_unit_test(test_marker_ends_the_unit_at_once),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_parameter_sets_from_extradata),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_annex_b_where_lengths_should_be),
        cmocka_unit_test(test_several_pictures_in_a_message),
        cmocka_unit_test(test_new_resolution),
        cmocka_unit_test(test_parameter_sets_with_the_time_before),
        cmocka_unit_test(test_open_gop),
        cmocka_unit_test(test_intra_without_idr),
    };
    return cmocka_run_group_tests_name("access_unit", tests, setup, teardown);
}
