/* worker/access_unit: one rule for where a picture ends, in whatever container its slices come. */
#include "test/unit/access_unit_rig.h"

enum container { RTP, RTP_NO_MARKER, MESSAGE, MESSAGE_PER_NAL };

struct delivery {
    enum container container;
    int64_t stamp_step; /* each NAL unit is stamped so many ticks after the one before */
    bool repeat_sets;   /* before each slice SEI and a delimiter; of a key frame parameter sets */
};

static size_t put_bytes(uint8_t *to, bool lengths, const struct nal *nal)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    const uint8_t length[] = {0, (uint8_t)(nal->len >> 16), (uint8_t)(nal->len >> 8),
                              (uint8_t)nal->len};
    memcpy(to, lengths ? length : start_code, 4);
    memcpy(to + 4, nal->data, nal->len);
    return nal->len + 4;
}

struct sender {
    struct rig *rig;
    const struct delivery *how;
    uint8_t message[65536];
    size_t len;
    int64_t pts;
};

static void send_bytes(struct sender *to, bool lengths, bool last)
{
    push(to->rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = lengths ? MEDIA_LENGTHS : MEDIA_ANNEX_B,
                                        .last = last,
                                        .data = to->message,
                                        .len = to->len,
                                        .pts = to->pts,
                                        .dts = AV_NOPTS_VALUE,
                                        .received_us = to->pts * 100 / 9});
    to->len = 0;
    to->pts += to->how->stamp_step;
}

static void send_nal(struct sender *to, const struct nal *nal, bool last)
{
    bool lengths = to->how->container >= MESSAGE;
    to->len += put_bytes(to->message + to->len, lengths, nal);
    if (to->how->container != MESSAGE || last)
        send_bytes(to, lengths, lengths || (to->how->container == RTP && last));
}

/* What begins another picture after a slice, but is sent within one. */
static void send_between(struct sender *to, enum AVCodecID codec)
{
    static const uint8_t h264_sei[] = {H264_NAL_SEI, 4, 1, 0xb5, 0x80}, h264_aud[] = {9, 0xf0};
    static const uint8_t hevc_sei[] = {HEVC_NAL_SEI_PREFIX << 1, 1, 4, 1, 0xb5, 0x80};
    static const uint8_t hevc_aud[] = {HEVC_NAL_AUD << 1, 1, 0x50};
    bool is_h264 = codec == AV_CODEC_ID_H264;
    const struct nal sei = {is_h264 ? h264_sei : hevc_sei,
                            is_h264 ? sizeof(h264_sei) : sizeof(hevc_sei)};
    const struct nal aud = {is_h264 ? h264_aud : hevc_aud,
                            is_h264 ? sizeof(h264_aud) : sizeof(hevc_aud)};
    send_nal(to, &aud, false);
    send_nal(to, &sei, false);
}

static void send_unit(struct rig *rig, const struct sample *s, int i, const struct delivery *how)
{
    struct sender to = {.rig = rig, .how = how, .pts = s->unit[i]->pts * TICKS};
    struct nal_cursor cursor = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
    struct nal sets[8], nal, next;
    int set_count = 0;
    bool after_slice = false;
    bool more = nal_next_annex_b(&cursor, &nal);
    while (more) {
        enum nal_role role = nal_role(s->codec, nal.data);
        if (role == NAL_PARAMETER_SET)
            sets[set_count++] = nal;
        bool repeats = role == NAL_SLICE && after_slice && how->repeat_sets;
        if (repeats)
            send_between(&to, s->codec);
        for (int k = 0; k < set_count && repeats; k++)
            send_nal(&to, &sets[k], false);
        after_slice |= role == NAL_SLICE;
        more = nal_next_annex_b(&cursor, &next);
        send_nal(&to, &nal, !more);
        nal = next;
    }
}

/* Whatever the delivery, the same frames come out, and none later than `held` units. */
static void deliver(const struct sample *s, const struct delivery *how, int held)
{
    struct rig *rig = rig_new(s, NULL, 0);
    for (int i = 0; i < s->count; i++) {
        send_unit(rig, s, i, how);
        assert_in_range(rig->count, i + 1 - held, i + 1);
    }
    access_unit_flush(rig->au);
    assert_complete(rig, s, 0, how->stamp_step == 0);
    assert_decodes(rig, s->count, true);
    rig_free(rig);
}

static void deliver_all(const struct delivery *how, int held)
{
    const struct sample *samples[] = {&h264, &h264_slices, &hevc};
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        deliver(samples[i], how, held);
}

static void test_every_container(void **state)
{
    (void)state;
    deliver_all(&(struct delivery){RTP, 0, false}, 0);
    deliver_all(&(struct delivery){RTP_NO_MARKER, 0, false}, 1);
    deliver_all(&(struct delivery){MESSAGE, 0, false}, 1);
    deliver_all(&(struct delivery){MESSAGE_PER_NAL, 0, false}, 1);
}

/* GStreamer's config-interval=-1 repeats them before each IDR slice. */
static void test_parameter_sets_before_each_slice(void **state)
{
    (void)state;
    for (enum container c = RTP; c <= MESSAGE_PER_NAL; c++) {
        deliver_all(&(struct delivery){c, 0, true}, c == RTP ? 0 : 1);
        deliver_all(&(struct delivery){c, 1, true}, c == RTP ? 0 : 1);
    }
}

/* DJI: each slice with a stamp of its own; others stamp them when they were encoded. */
static void test_slices_with_stamps_of_their_own(void **state)
{
    (void)state;
    for (enum container c = RTP; c <= MESSAGE_PER_NAL; c++) {
        deliver_all(&(struct delivery){c, 1, false}, c == RTP ? 0 : 1);
        deliver_all(&(struct delivery){c, TICKS / 8, false}, c == RTP ? 0 : 1);
    }
}

/* A message is a picture unless the publisher splits pictures: only the first one has to wait. */
static void test_messages_end_at_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < h264.count; i++) {
        send_unit(rig, &h264, i, &(struct delivery){MESSAGE, 0, false});
        assert_int_equal(rig->count, i == 0 ? 0 : i + 1);
    }
    rig_free(rig);
    rig = rig_new(&h264_slices, NULL, 0); /* several slices show it by themselves */
    for (int i = 0; i < h264_slices.count; i++) {
        send_unit(rig, &h264_slices, i, &(struct delivery){MESSAGE, 0, false});
        assert_int_equal(rig->count, i + 1);
    }
    rig_free(rig);
}

/* A publisher that begins to split pictures in the middle: whole again from the next key frame. */
static void test_messages_begin_to_be_split(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_slices, NULL, 0);
    for (int i = 0; i < h264_slices.count; i++)
        send_unit(rig, &h264_slices, i,
                  &(struct delivery){i < 10 ? MESSAGE : MESSAGE_PER_NAL, 0, false});
    access_unit_flush(rig->au);
    int late = rig->count - h264_slices.count; /* pieces of the first one that was split */
    assert_in_range(late, 1, 3);
    for (int i = 0; i < rig->count; i++) {
        bool after_key = i >= 25 + late;
        assert_true(i <= 10 || rig->out[i].frame->damaged == !after_key);
    }
    rig_free(rig);
}

static void test_parameter_sets_are_not_repeated_in_the_payload(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_slices, NULL, 0);
    send_unit(rig, &h264_slices, 0, &(struct delivery){RTP, 0, true});
    assert_int_equal(rig->count, 1);
    struct nal_cursor cursor = {rig->out[0].frame->data,
                                rig->out[0].frame->data + rig->out[0].frame->len};
    struct nal nal;
    int sets = 0;
    int slices = 0;
    while (nal_next_length(&cursor, 4, &nal) == 1) {
        enum nal_role role = nal_role(AV_CODEC_ID_H264, nal.data);
        sets += role == NAL_PARAMETER_SET;
        slices += role == NAL_SLICE;
    }
    assert_int_equal(sets, 2);
    assert_int_equal(slices, 4);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_container),
        cmocka_unit_test(test_parameter_sets_before_each_slice),
        cmocka_unit_test(test_slices_with_stamps_of_their_own),
        cmocka_unit_test(test_messages_end_at_once),
        cmocka_unit_test(test_messages_begin_to_be_split),
        cmocka_unit_test(test_parameter_sets_are_not_repeated_in_the_payload),
    };
    return cmocka_run_group_tests_name("access_unit_rule", tests, setup, teardown);
}
