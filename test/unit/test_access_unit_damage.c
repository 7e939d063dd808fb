/* worker/access_unit: what is lost damages frames, and only those that may refer to it; bounds. */
#include "test/unit/access_unit_rig.h"
#include "worker/video/torn_picture.h"

static void test_loss_damages_until_the_next_key_frame(void **state)
{
    (void)state;
    for (int marks = MARK_RIGHT; marks <= MARK_NEVER; marks++) {
        struct rig *rig = rig_new(&h264, NULL, 0);
        push_all(rig, &h264, &(struct how){.marks = marks, .fragment = 100, .lose_unit = 10});
        assert_int_equal(rig->count, 59);
        for (int i = 0; i < 59; i++) {
            assert_int_equal(rig->out[i].frame->damaged, i >= 10 && i < 24);
            assert_int_equal(rig->out[i].frame->left_out, i == 10);
        }
        rig_free(rig);
    }
    /* A damaged key frame does not end the chain. */
    struct rig *rig = rig_new(&h264, NULL, 0);
    push_all(rig, &h264, &(struct how){.fragment = 100, .lose_unit = 25});
    assert_int_equal(rig->count, 59);
    for (int i = 0; i < 59; i++)
        assert_int_equal(rig->out[i].frame->damaged, i >= 25 && i < 49);
    rig_free(rig);
}

/* Of HEVC nothing can be decoded then. */
static void test_first_slice_missing(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264_slices, &hevc};
    for (int k = 0; k < 2; k++) {
        struct rig *rig = rig_new(samples[k], NULL, 0);
        for (int i = 0; i < 3; i++)
            push_lengths(rig, samples[k], i, false);
        const AVPacket *unit = samples[k]->unit[3];
        struct nal_cursor cursor = {unit->data, unit->data + unit->size};
        struct nal nal;
        do
            assert_true(nal_next_annex_b(&cursor, &nal));
        while (nal_role(samples[k]->codec, nal.data) != NAL_SLICE);
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .data = cursor.pos,
                                        .len = (size_t)(cursor.end - cursor.pos),
                                        .pts = 3 * TICKS});
        push_lengths(rig, samples[k], 4, false);
        access_unit_flush(rig->au);
        assert_int_equal(rig->count, 5 - k);
        assert_true(rig->out[3].frame->damaged);
        assert_int_equal(rig->out[3].frame->left_out, k);
        rig_free(rig);
    }
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
    assert_int_equal(rig->count, hevc_open.count - 1);
    int damaged = 0;
    for (int i = 0; i < rig->count; i++) {
        bool expected = i >= 10 && rig->out[i].pts < OPEN_GOP * TICKS;
        assert_int_equal(rig->out[i].frame->damaged, expected);
        damaged += expected;
    }
    assert_true(damaged > 11);
    assert_true(rig->out[open_gop_index(&hevc_open)].frame->damaged);
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

/* --- slices that are cut --------------------------------------------------- */

#define PICTURE_US INT64_C(40000)

/* A camera over a network that loses packets. */
struct lossy {
    struct rig *rig;
    const struct sample *sample;
    int at;             /* number of the next picture */
    int64_t picture_us; /* 0: PICTURE_US */
    bool lost;          /* packets before it */
};

/* Push unit i of the sample, a NAL unit a packet, as RTP has them.  The cut-th of its slices loses
 * its second half; -1: none does. */
static void push_cut(struct lossy *l, int i, int cut)
{
    int64_t picture_us = l->picture_us != 0 ? l->picture_us : PICTURE_US;
    const AVPacket *unit = l->sample->unit[i];
    struct nal_cursor cursor = {unit->data, unit->data + unit->size};
    struct nal nal, next;
    bool more = nal_next_annex_b(&cursor, &nal);
    int slice = 0;
    while (more) {
        more = nal_next_annex_b(&cursor, &next);
        bool is_cut = nal_role(l->sample->codec, nal.data) == NAL_SLICE && slice++ == cut;
        push(l->rig, (struct media_packet){.track = TRACK_VIDEO,
                                           .form = MEDIA_ANNEX_B,
                                           .last = !more && !is_cut,
                                           .cut = is_cut,
                                           .lost_before = l->lost,
                                           .data = nal.data - 3, /* its start code */
                                           .len = 3 + (is_cut ? nal.len / 2 : nal.len),
                                           .pts = l->at * TICKS,
                                           .dts = AV_NOPTS_VALUE,
                                           .received_us = l->at * picture_us});
        l->lost = is_cut;
        nal = next;
    }
    l->at++;
}

/* Decoders that give up at any error, as Chromium's does, take what is sent after one picture lost
 * a part. */
static void test_cut_slices_are_left_out(void **state)
{
    (void)state;
    struct sample cabac =
        sample_encode(AV_CODEC_ID_H264, 60, 320, 240, "keyint=25:bframes=0:cabac=1:8x8dct=1");
    const struct {
        const struct sample *sample;
        int unit;  /* that is cut */
        int slice; /* of it */
        bool left_out;
    } cases[] = {
        {&h264, 10, 0, true},         {&h264, 25, 0, true},         {&cabac, 10, 0, true},
        {&cabac, 25, 0, true},        {&hevc_open, 10, 0, true},    {&h264_slices, 10, 1, false},
        {&h264_slices, 10, 3, false}, {&h264_slices, 25, 3, false}, {&hevc, 10, 1, false},
        {&hevc, 25, 1, false},        {&hevc, 10, 0, true},         {&hevc, 25, 0, true},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct lossy l = {.rig = rig_new(cases[k].sample, NULL, 0), .sample = cases[k].sample};
        for (int i = 0; i < l.sample->count; i++)
            push_cut(&l, i, i == cases[k].unit ? cases[k].slice : -1);
        access_unit_flush(l.rig->au);
        assert_int_equal(l.rig->count, l.sample->count - cases[k].left_out);
        assert_int_equal(l.rig->out[cases[k].unit].frame->left_out, cases[k].left_out);
        assert_true(l.rig->out[cases[k].unit].frame->damaged);
        /* Without a key frame, display order is lost for some pictures. */
        assert_decodes(l.rig, cases[k].unit == 25 ? -1 : l.rig->count, true);
        rig_free(l.rig);
    }
    sample_free(&cabac);
}

/* A GOP of 18 pictures: the first P picture has the frame_num of the last one, 17 modulo 16. */
static void test_frame_num_after_a_missing_key_frame(void **state)
{
    (void)state;
    struct sample s = sample_encode(AV_CODEC_ID_H264, 54, 320, 240,
                                    "keyint=18:min-keyint=18:scenecut=0:ref=3:bframes=0");
    for (int lost = 0; lost < 2; lost++) {
        struct lossy l = {.rig = rig_new(&s, NULL, 0), .sample = &s};
        for (int i = 0; i < s.count; i++) {
            if (i == 18 && lost)
                l.lost = true;
            else
                push_cut(&l, i, i == 18 ? 0 : -1);
        }
        access_unit_flush(l.rig->au);
        assert_int_equal(l.rig->count, s.count - 2);
        assert_int_equal(l.rig->out[18].frame->left_out, 2 - lost);
        assert_decodes(l.rig, -1, true);
        rig_free(l.rig);
    }
    sample_free(&s);
}

/* In the slice of x264's P picture: behind 7 bits, 4 long. */
static void set_frame_num_to_1(AVPacket *unit)
{
    struct nal_cursor cursor = {unit->data, unit->data + unit->size};
    struct nal nal;
    while (nal_next_annex_b(&cursor, &nal)) {
        if (nal_role(AV_CODEC_ID_H264, nal.data) != NAL_SLICE)
            continue;
        uint8_t *header = unit->data + (nal.data - unit->data);
        assert_int_equal(header[1] & 0xFE, 0x9A);
        header[1] &= 0xFE;
        header[2] = (uint8_t)((header[2] & 0x1F) | 0x20);
    }
}

/* Encoders that do not count: every P picture has the frame_num 1.  A loss does not cost all
 * pictures up to the next key frame. */
static void test_frame_num_that_stands_still(void **state)
{
    (void)state;
    struct sample s = sample_encode(AV_CODEC_ID_H264, 54, 320, 240,
                                    "keyint=18:min-keyint=18:scenecut=0:ref=1:bframes=0");
    struct lossy l = {.rig = rig_new(&s, NULL, 0), .sample = &s};
    for (int i = 0; i < s.count; i++) {
        if (i % 18 != 0)
            set_frame_num_to_1(s.unit[i]);
        if (i == 5)
            l.lost = true;
        else
            push_cut(&l, i, -1);
    }
    access_unit_flush(l.rig->au);
    assert_int_equal(l.rig->count, s.count - 3);
    rig_free(l.rig);
    sample_free(&s);
}

/* A packet that is cut, and empty but for zeros, behind one whose slice is open. */
static void test_cut_packet_without_bytes(void **state)
{
    static const uint8_t zeros[3];
    (void)state;
    for (size_t len = 0; len <= sizeof(zeros); len++) {
        struct rig *rig = rig_new(&h264, NULL, 0);
        for (int i = 0; i < 3; i++) {
            const AVPacket *unit = h264.unit[i];
            struct media_packet packet = {.track = TRACK_VIDEO,
                                          .form = MEDIA_ANNEX_B,
                                          .data = unit->data,
                                          .len = (size_t)unit->size,
                                          .pts = i};
            (void)push(rig, packet);
            if (i != 1)
                continue;
            packet.data = zeros;
            packet.len = len;
            packet.cut = true;
            (void)push(rig, packet);
            static const uint8_t rest[] = {0x55, 0x55};
            packet.data = rest;
            packet.len = sizeof(rest);
            packet.pts = 2;
            (void)push(rig, packet);
        }
        access_unit_flush(rig->au);
        assert_true(rig->count >= 1);
        assert_false(rig->out[0].frame->damaged);
        for (int i = 1; i < rig->count; i++)
            assert_true(rig->out[i].frame->damaged);
        rig_free(rig);
    }
}

/* In a message of RTMP the last NAL unit is longer than the message: it is left out, too. */
static void test_cut_messages(void **state)
{
    (void)state;
    const struct sample *samples[] = {&h264, &h264_slices, &hevc_open, &hevc};
    for (size_t k = 0; k < 4; k++) {
        bool whole = samples[k] == &h264 || samples[k] == &hevc_open;
        for (int cut = 10; cut <= 25; cut += 15) {
            struct rig *rig = rig_new(samples[k], NULL, 0);
            for (int i = 0; i < samples[k]->count; i++)
                (void)push_message(rig, samples[k], i, false, i == cut ? 10 : 0);
            access_unit_flush(rig->au);
            assert_int_equal(rig->count, samples[k]->count - whole);
            assert_int_equal(rig->out[cut].frame->left_out, whole);
            assert_true(rig->out[cut].frame->damaged);
            assert_decodes(rig, cut == 25 ? -1 : rig->count, true);
            rig_free(rig);
        }
    }
}

/* How many pictures were sent, of those from that number on. */
static int sent_since(const struct lossy *l, int from)
{
    int count = 0;
    access_unit_flush(l->rig->au);
    for (int i = 0; i < l->rig->count; i++)
        count += l->rig->out[i].pts >= from * (int64_t)TICKS;
    return count;
}

/* Push a GOP of 25 pictures. */
static void push_gop(struct lossy *l, bool cut_key, bool cut_others)
{
    for (int i = 0; i < 25; i++)
        push_cut(l, i, (i == 0 ? cut_key : cut_others) ? 0 : -1);
}

/* Until the first whole key frame there is nothing better. */
static void test_torn_beginning(void **state)
{
    (void)state;
    struct lossy l = {.rig = rig_new(&h264, NULL, 0), .sample = &h264};
    push_gop(&l, true, true);
    push_gop(&l, true, false);
    assert_int_equal(sent_since(&l, 0), 50);
    push_gop(&l, false, false);
    push_gop(&l, true, true);
    assert_int_equal(sent_since(&l, 50), 25);
    /* A new connection begins anew. */
    int from = l.at;
    access_unit_restart(l.rig->au, NULL, 0);
    push_gop(&l, true, true);
    assert_int_equal(sent_since(&l, from), 25);
    rig_free(l.rig);
}

/* What follows a torn key frame with another configuration needs it. */
static void test_torn_key_frame_of_another_size(void **state)
{
    (void)state;
    struct sample other = sample_encode(AV_CODEC_ID_H264, 30, 160, 128, "keyint=25:bframes=0");
    struct lossy l = {.rig = rig_new(&h264, NULL, 0), .sample = &h264};
    push_gop(&l, false, false);
    l.sample = &other;
    push_gop(&l, true, false);
    assert_int_equal(sent_since(&l, 25), 25);
    assert_true(l.rig->out[25].frame->key);
    assert_int_equal(l.rig->out[25].frame->config->width, 160);
    rig_free(l.rig);
    sample_free(&other);
}

/* A network that lets no picture through whole: torn ones are all that there is. */
static void test_nothing_but_torn_pictures(void **state)
{
    (void)state;
    const int patience = (int)(TORN_PICTURE_PATIENCE_US / PICTURE_US);
    struct lossy l = {.rig = rig_new(&h264, NULL, 0), .sample = &h264};
    push_gop(&l, false, false);
    for (int gop = 0; gop < 5; gop++)
        push_gop(&l, true, true);
    assert_int_equal(sent_since(&l, 25), 5 * 25 - (patience + 1));
    push_gop(&l, false, false);
    push_gop(&l, true, true);
    assert_int_equal(sent_since(&l, 7 * 25), 0);
    rig_free(l.rig);
}

/* Viewers who join begin at the newest whole key frame, which must not be too old. */
static void test_torn_key_frames_in_a_row(void **state)
{
    (void)state;
    struct lossy l = {.rig = rig_new(&h264, NULL, 0), .sample = &h264, .picture_us = 200000};
    push_gop(&l, false, false);
    while (l.at * l.picture_us <= TORN_PICTURE_MEMORY_US)
        push_gop(&l, true, false);
    assert_int_equal(sent_since(&l, 25), (l.at / 25 - 1) * 24);
    int from = l.at;
    push_gop(&l, true, true);
    assert_int_equal(sent_since(&l, from), 25);
    rig_free(l.rig);
}

/* Key frames every 10 s, which arrive with jitter. */
static void test_torn_key_frames_with_jitter(void **state)
{
    (void)state;
    struct torn_pictures torn;
    torn_pictures_init(&torn);
    torn_pictures_sent(&torn, true, 0);
    for (int64_t key_us = 10000000; key_us <= 20000000; key_us += 10000000) {
        assert_true(torn_pictures_leave_out(&torn, true, key_us + 300000));
        torn_pictures_sent(&torn, false, key_us + PICTURE_US);
    }
    assert_false(torn_pictures_leave_out(&torn, true, 30000000));
}

/* Where key frames are far apart, one may be torn. */
static void test_torn_key_frames_far_apart(void **state)
{
    (void)state;
    const int64_t gop_us = 2 * TORN_PICTURE_MEMORY_US;
    struct torn_pictures torn;
    torn_pictures_init(&torn);
    for (int round = 0; round < 2; round++) {
        torn_pictures_sent(&torn, true, 0);
        torn_pictures_sent(&torn, false, gop_us - PICTURE_US);
        assert_true(torn_pictures_leave_out(&torn, true, gop_us));
        torn_pictures_sent(&torn, false, gop_us + PICTURE_US);
        assert_true(torn_pictures_leave_out(&torn, false, 2 * gop_us - PICTURE_US));
        assert_false(torn_pictures_leave_out(&torn, true, 2 * gop_us));
        assert_false(torn_pictures_leave_out(&torn, false, 2 * gop_us + PICTURE_US));
    }
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
        cmocka_unit_test(test_cut_slices_are_left_out),
        cmocka_unit_test(test_frame_num_after_a_missing_key_frame),
        cmocka_unit_test(test_frame_num_that_stands_still),
        cmocka_unit_test(test_cut_packet_without_bytes),
        cmocka_unit_test(test_cut_messages),
        cmocka_unit_test(test_torn_beginning),
        cmocka_unit_test(test_torn_key_frame_of_another_size),
        cmocka_unit_test(test_nothing_but_torn_pictures),
        cmocka_unit_test(test_torn_key_frames_in_a_row),
        cmocka_unit_test(test_torn_key_frames_with_jitter),
        cmocka_unit_test(test_torn_key_frames_far_apart),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("access_unit_damage", tests, setup, teardown);
}
