/* worker/start_point, by way of access_unit: where decoding may start, and where it had better not.
 */
#include "test/unit/access_unit_rig.h"

#include "worker/video/start_point.h"

#define FRAME_US 40000

/* How a camera's pictures are spoilt before they are sent. */
struct spoil {
    int first;       /* picture to begin with */
    int count;       /* 0: all */
    bool no_sei;     /* no recovery points */
    bool no_sets;    /* parameter sets are in the extradata only */
    int key_flag_at; /* the container says key there; 0: nowhere */
};

static int64_t send_spoilt(struct rig *rig, const struct sample *s, const struct spoil *how,
                           int64_t now_us)
{
    int last = how->count > 0 ? how->first + how->count : s->count;
    for (int i = how->first; i < last; i++, now_us += FRAME_US) {
        struct nal_cursor cursor = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
        struct nal nal;
        uint8_t buf[65536];
        size_t len = 0;
        while (nal_next_annex_b(&cursor, &nal)) {
            enum nal_role role = nal_role(s->codec, nal.data);
            if ((how->no_sets && role == NAL_PARAMETER_SET) || (how->no_sei && role == NAL_OTHER))
                continue;
            memcpy(buf + len, "\0\0\0\1", 4);
            memcpy(buf + len + 4, nal.data, nal.len);
            len += nal.len + 4;
        }
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .key = how->key_flag_at == i && i > 0,
                                        .last = true,
                                        .data = buf,
                                        .len = len,
                                        .pts = s->unit[i]->pts * TICKS,
                                        .dts = AV_NOPTS_VALUE,
                                        .received_us = now_us});
    }
    return now_us;
}

static int first_key_after(const struct rig *rig, int from)
{
    for (int i = from; i < rig->count; i++)
        if (rig->out[i].frame->key)
            return i;
    return -1;
}

static int intra_index(const struct sample *s)
{
    return open_gop_index(s);
}

static bool has_recovery_point(const struct frame *frame)
{
    struct nal_cursor cursor = {frame->data, frame->data + frame->len};
    struct nal nal;
    while (nal_next_length(&cursor, 4, &nal) == 1)
        if (nal_type(AV_CODEC_ID_H264, nal.data) == H264_NAL_SEI &&
            nal_recovery_point(AV_CODEC_ID_H264, &nal) == 0)
            return true;
    return false;
}

/* An intra picture without IDR, recovery point and parameter sets starts where the container says
 * so, and tells decoders. */
static void test_key_flag_of_the_container(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264_b, h264_b.extradata, h264_b.extradata_len);
    int intra = intra_index(&h264_b);
    (void)send_spoilt(
        rig, &h264_b,
        &(struct spoil){.first = 5, .no_sei = true, .no_sets = true, .key_flag_at = intra}, 0);
    assert_true(rig->count > 20);
    assert_true(rig->out[0].frame->key && has_recovery_point(rig->out[0].frame));
    assert_int_equal(rig->out[0].pts, h264_b.unit[intra]->pts * TICKS);
    assert_int_equal(rig->out[0].frame->refresh, 0);
    rig_free(rig);
}

/* The same picture without any promise: only after three seconds without a better one. */
static void test_bare_intra_after_some_seconds(void **state)
{
    (void)state;
    const struct spoil how = {.first = 5, .no_sei = true, .no_sets = true};
    struct rig *rig = rig_new(&h264_b, h264_b.extradata, h264_b.extradata_len);
    int64_t now_us = send_spoilt(rig, &h264_b, &how, 0);
    assert_true(now_us < START_POINT_PATIENCE_US);
    assert_int_equal(rig->count, 0);
    (void)send_spoilt(rig, &h264_b, &how, now_us);
    assert_true(rig->count > 20);
    assert_true(rig->out[0].frame->key && has_recovery_point(rig->out[0].frame));
    rig_free(rig);
}

/* Where IDR pictures come, an intra picture within the GOP is no start: its viewers might see what
 * is referred to across it. */
static void test_bare_intra_beside_idr(void **state)
{
    (void)state;
    const struct spoil how = {.no_sei = true};
    struct rig *rig = rig_new(&h264_b, h264_b.extradata, h264_b.extradata_len);
    int intra = intra_index(&h264_b);
    int64_t now_us = 0;
    now_us = send_spoilt(rig, &h264_b, &how, now_us);
    now_us = send_spoilt(rig, &h264_b, &how, now_us);
    assert_true(now_us > START_POINT_PATIENCE_US);
    assert_false(rig->out[intra].frame->key);
    assert_int_equal(first_key_after(rig, 1), h264_b.count); /* the second round's IDR */
    rig_free(rig);
}

static struct sample refresh(enum AVCodecID codec)
{
    return sample_encode(codec, 60, 320, 240, "keyint=20:intra-refresh=1:bframes=0");
}

static void assert_refreshes(const struct rig *rig, int refresh)
{
    assert_true(rig->count > 20);
    assert_true(rig->out[0].frame->key);
    assert_false(rig->out[0].frame->damaged);
    assert_int_equal(rig->out[0].frame->refresh, refresh);
    assert_int_equal(rig->out[1].frame->refresh, 0);
    assert_true(first_key_after(rig, 1) > 0); /* a GOP must not grow for ever */
}

/* Joined in the middle: the recovery point starts, and says when all is whole. */
static void test_periodic_intra_refresh(void **state)
{
    (void)state;
    struct sample s = refresh(AV_CODEC_ID_H264);
    struct rig *rig = rig_new(&s, s.extradata, s.extradata_len);
    (void)send_spoilt(rig, &s, &(struct spoil){.first = 3}, 0);
    (void)send_spoilt(rig, &s, &(struct spoil){.first = 3}, 1000000);
    assert_refreshes(rig, 18); /* as x264 says */
    rig_free(rig);
    sample_free(&s);
}

/* x265 has no recovery points, but parameter sets where a refresh begins: whole some periods
 * later. */
static void test_periodic_intra_refresh_without_recovery_points(void **state)
{
    (void)state;
    struct sample s = refresh(AV_CODEC_ID_HEVC);
    struct rig *rig = rig_new(&s, s.extradata, s.extradata_len);
    int64_t now_us = 0;
    for (int i = 0; i < 3; i++)
        now_us = send_spoilt(rig, &s, &(struct spoil){.first = 3}, now_us);
    int first = (int)(START_POINT_PATIENCE_US / FRAME_US);
    assert_true(rig->out[0].frame->received_us >= (int64_t)first * FRAME_US);
    assert_int_equal(rig->out[0].frame->config->codec, AV_CODEC_ID_HEVC);
    assert_in_range(rig->out[0].frame->refresh, 68, 160);
    assert_true(first_key_after(rig, 1) > 0);
    rig_free(rig);
    sample_free(&s);
}

/* From the beginning: the IDR picture is the better start, for a while. */
static void test_refresh_after_idr(void **state)
{
    (void)state;
    struct sample s = refresh(AV_CODEC_ID_H264);
    struct rig *rig = rig_new(&s, NULL, 0);
    int64_t now_us = send_spoilt(rig, &s, &(struct spoil){.count = 50}, 0);
    assert_true(rig->out[0].frame->key);
    assert_int_equal(rig->out[0].frame->refresh, 0);
    assert_int_equal(first_key_after(rig, 1), -1);
    now_us += START_POINT_MEMORY_US;
    int before = rig->count;
    (void)send_spoilt(rig, &s, &(struct spoil){.first = 10}, now_us);
    assert_true(first_key_after(rig, before) > 0);
    rig_free(rig);
    sample_free(&s);
}

static int next_refresh(const struct rig *rig, int from)
{
    for (int i = from; i < rig->count; i++)
        if (rig->out[i].frame->refresh > 0)
            return i;
    return -1;
}

/* All pictures; the last NAL units of two of them are cut short, and so many are left out. */
static struct rig *send_cut(const struct sample *s, int cut, int cut_too, int left_out)
{
    struct rig *rig = rig_new(s, NULL, 0);
    for (int i = 0; i < s->count; i++)
        push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .last = true,
                                        .cut = i == cut || i == cut_too,
                                        .data = s->unit[i]->data,
                                        .len = (size_t)s->unit[i]->size,
                                        .pts = s->unit[i]->pts * TICKS,
                                        .dts = AV_NOPTS_VALUE,
                                        .received_us = i * (int64_t)FRAME_US});
    access_unit_flush(rig->au);
    assert_int_equal(rig->count, s->count - left_out);
    assert_int_equal(first_key_after(rig, 1), -1); /* players start at the IDR picture */
    return rig;
}

/* A whole recovery point mends what was damaged, also the first picture; a damaged one does not. */
static void test_refresh_mends_damage(void **state)
{
    (void)state;
    struct sample s = refresh(AV_CODEC_ID_H264);
    struct rig *rig = send_cut(&s, -1, -1, 0);
    int one = next_refresh(rig, 1);
    int two = next_refresh(rig, one + 1);
    assert_in_range(one, 15, 25);
    assert_int_equal(two, one + 20);
    rig_free(rig);

    rig = send_cut(&s, 0, one + 5, 0);
    assert_int_equal(rig->out[one].frame->refresh, 18);
    for (int i = 0; i < rig->count; i++)
        assert_int_equal(rig->out[i].frame->damaged, i < one || (i >= one + 5 && i < two));
    rig_free(rig);

    rig = send_cut(&s, one - 1, one, 2);
    for (int i = 0; i < rig->count; i++)
        assert_int_equal(rig->out[i].frame->damaged, i >= one - 1 && i < two - 2);
    rig_free(rig);
    sample_free(&s);
}

/* Nothing that a decoder could start at, however long it takes. */
static void test_no_start(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, h264.extradata, h264.extradata_len);
    int64_t now_us = 0;
    for (int i = 0; i < 50; i++)
        now_us = send_spoilt(rig, &h264, &(struct spoil){.first = 1, .count = 20}, now_us);
    assert_true(now_us > START_POINT_MEMORY_US);
    assert_int_equal(rig->count, 0);
    rig_free(rig);
}

/* A publisher that calls every frame a key frame is not believed where it has IDR pictures. */
static void test_key_flag_on_everything(void **state)
{
    (void)state;
    struct rig *rig = rig_new(&h264, NULL, 0);
    for (int i = 0; i < h264.count; i++)
        (void)send_spoilt(rig, &h264, &(struct spoil){.first = i, .count = 1, .key_flag_at = i},
                          i * (int64_t)FRAME_US);
    access_unit_flush(rig->au);
    assert_int_equal(rig->count, h264.count);
    for (int i = 0; i < rig->count; i++)
        assert_int_equal(rig->out[i].frame->key, i % 25 == 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_flag_of_the_container),
        cmocka_unit_test(test_bare_intra_after_some_seconds),
        cmocka_unit_test(test_bare_intra_beside_idr),
        cmocka_unit_test(test_periodic_intra_refresh),
        cmocka_unit_test(test_periodic_intra_refresh_without_recovery_points),
        cmocka_unit_test(test_refresh_after_idr),
        cmocka_unit_test(test_refresh_mends_damage),
        cmocka_unit_test(test_no_start),
        cmocka_unit_test(test_key_flag_on_everything),
    };
    return cmocka_run_group_tests_name("start_point", tests, setup, teardown);
}
