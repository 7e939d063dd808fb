/* worker/access_unit: packets of real encoders, cut and spoilt in the ways cameras do, to frames.
 */
#include "worker/access_unit.h"

#include "worker/nal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/unit/sample_video.h"

#define TICKS 3600  /* of a 90 kHz clock, per frame */
#define OPEN_GOP 26 /* frames; not a multiple of the distance between P pictures */

struct out {
    struct frame *frame;
    int64_t pts;
    int64_t dts;
};

struct rig {
    struct access_unit *au;
    struct out out[2 * SAMPLE_MAX];
    int count;
};

static void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    struct rig *rig = ctx;
    assert_true(rig->count < 2 * SAMPLE_MAX);
    rig->out[rig->count++] = (struct out){frame, pts, dts};
}

static struct rig *rig_new(const struct sample *s, const uint8_t *extradata, size_t len)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    const struct access_unit_events events = {on_frame, rig};
    rig->au = access_unit_new(s->codec, extradata, len, &events);
    assert_non_null(rig->au);
    return rig;
}

static void rig_free(struct rig *rig)
{
    for (int i = 0; i < rig->count; i++)
        frame_unref(&rig->out[i].frame);
    access_unit_free(&rig->au);
    free(rig);
}

/* A packet in memory of its own, so that ASan sees what is read beyond its padding. */
static bool push(struct rig *rig, struct media_packet packet)
{
    uint8_t *copy = calloc(1, packet.len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(copy, packet.data, packet.len);
    packet.data = copy;
    bool alive = access_unit_push(rig->au, &packet);
    free(copy);
    return alive;
}

enum { MARK_RIGHT, MARK_NEVER, MARK_ALWAYS, MARK_NALS };

struct how {
    size_t fragment; /* NAL units are cut into pieces of at most so many bytes; 0: left whole */
    int marks;
    bool same_time;
    int lose_unit; /* drop a piece of this unit's slice; 0: lose nothing */
    bool strip_parameter_sets;
};

static bool is_marked(int marks, bool last_of_unit, bool last_of_nal)
{
    return marks == MARK_ALWAYS || (marks == MARK_RIGHT && last_of_unit) ||
           (marks == MARK_NALS && last_of_nal);
}

/* One encoded picture as packets. */
static void push_unit(struct rig *rig, const struct sample *s, int i, const struct how *how,
                      int64_t pts)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    struct nal_cursor cursor = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
    struct nal nal, next;
    bool more = nal_next_annex_b(&cursor, &nal);
    bool lost = false;
    bool lost_one = false;
    while (more) {
        more = nal_next_annex_b(&cursor, &next);
        bool skip = how->strip_parameter_sets && nal_role(s->codec, nal.data) == NAL_PARAMETER_SET;
        for (size_t pos = 0; pos < nal.len && !skip;) {
            uint8_t buf[65536];
            size_t head = pos == 0 ? sizeof(start_code) : 0;
            size_t len = nal.len - pos;
            if (how->fragment > 0 && len > how->fragment)
                len = how->fragment;
            memcpy(buf, start_code, head);
            memcpy(buf + head, nal.data + pos, len);
            bool lose = how->lose_unit > 0 && how->lose_unit == i && pos > 0 && !lost_one;
            pos += len;
            bool last = !more && pos == nal.len;
            if (lose) {
                lost = lost_one = true;
                continue;
            }
            push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                            .form = MEDIA_ANNEX_B,
                                            .last = is_marked(how->marks, last, pos == nal.len),
                                            .lost_before = lost,
                                            .data = buf,
                                            .len = head + len,
                                            .pts = pts,
                                            .dts = AV_NOPTS_VALUE,
                                            .received_us = 1000 + i});
            lost = false;
        }
        nal = next;
    }
}

static void push_all(struct rig *rig, const struct sample *s, const struct how *how)
{
    for (int i = 0; i < s->count; i++)
        push_unit(rig, s, i, how, how->same_time ? 0 : s->unit[i]->pts * TICKS);
    access_unit_flush(rig->au);
}

/* The payload holds the NAL units of the encoded picture, delimiters left out. */
static void assert_payload(const struct frame *frame, const struct sample *s, int i)
{
    struct nal_cursor in = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
    struct nal_cursor out = {frame->data, frame->data + frame->len};
    struct nal a, b;
    while (nal_next_annex_b(&in, &a)) {
        if (nal_role(s->codec, a.data) == NAL_DISCARD)
            continue;
        assert_int_equal(nal_next_length(&out, 4, &b), 1);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
    }
    assert_int_equal(nal_next_length(&out, 4, &b), 0);
}

static void assert_complete(const struct rig *rig, const struct sample *s, int first, bool times)
{
    assert_int_equal(rig->count, s->count - first);
    for (int i = 0; i < rig->count; i++) {
        assert_payload(rig->out[i].frame, s, i + first);
        assert_int_equal(rig->out[i].frame->key, s->unit[i + first]->flags & AV_PKT_FLAG_KEY);
        assert_false(rig->out[i].frame->damaged);
        if (times)
            assert_int_equal(rig->out[i].pts, s->unit[i + first]->pts * TICKS);
    }
}

/* Decode what came out, with the record as extradata: every picture must come back. */
static void assert_decodes(const struct rig *rig, int pictures, bool strict)
{
    const struct codec_config *config = rig->out[0].frame->config;
    AVCodecContext *dec = avcodec_alloc_context3(avcodec_find_decoder(config->codec));
    dec->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(dec->extradata, config->record, config->record_len);
    dec->extradata_size = (int)config->record_len;
    dec->err_recognition = strict ? AV_EF_EXPLODE : 0;
    dec->thread_count = 1;
    assert_int_equal(avcodec_open2(dec, NULL, NULL), 0);
    AVFrame *picture = av_frame_alloc();
    int got = 0;
    for (int i = 0; i <= rig->count; i++) {
        AVPacket *pkt = av_packet_alloc();
        if (i < rig->count) {
            const struct frame *f = rig->out[i].frame;
            assert_int_equal(av_new_packet(pkt, (int)f->len), 0);
            memcpy(pkt->data, f->data, f->len);
        }
        assert_int_equal(avcodec_send_packet(dec, i < rig->count ? pkt : NULL), 0);
        while (avcodec_receive_frame(dec, picture) == 0) {
            assert_int_equal(picture->width, config->width);
            assert_int_equal(picture->height, config->height);
            got++;
        }
        av_packet_free(&pkt);
    }
    assert_int_equal(got, pictures);
    av_frame_free(&picture);
    avcodec_free_context(&dec);
}

static struct sample h264, h264_slices, h264_b, hevc, hevc_open;

static int setup(void **state)
{
    (void)state;
    av_log_set_level(AV_LOG_QUIET);
    h264 = sample_encode(AV_CODEC_ID_H264, 60, 320, 240, "keyint=25:bframes=0:aud=1");
    h264_slices = sample_encode(AV_CODEC_ID_H264, 60, 320, 240, "keyint=25:bframes=0:slices=4");
    h264_b = sample_encode(
        AV_CODEC_ID_H264, 75, 320, 240,
        "keyint=26:min-keyint=26:bframes=2:b-pyramid=none:b-adapt=0:open-gop=1:scenecut=0");
    hevc = sample_encode(AV_CODEC_ID_HEVC, 60, 320, 240, "keyint=25:bframes=0:slices=2:aud=1");
    hevc_open = sample_encode(AV_CODEC_ID_HEVC, 75, 320, 240,
                              "keyint=26:min-keyint=26:bframes=3:b-adapt=0:open-gop=1:scenecut=0");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_free(&h264);
    sample_free(&h264_slices);
    sample_free(&h264_b);
    sample_free(&hevc);
    sample_free(&hevc_open);
    return 0;
}

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

/* Length-prefixed units, as FLV has them. */
static void push_lengths(struct rig *rig, const struct sample *s, int i, bool strip)
{
    struct nal_cursor cursor = {s->unit[i]->data, s->unit[i]->data + s->unit[i]->size};
    struct nal nal;
    uint8_t buf[65536];
    size_t len = 0;
    while (nal_next_annex_b(&cursor, &nal)) {
        if (strip && nal_role(s->codec, nal.data) == NAL_PARAMETER_SET)
            continue;
        buf[len++] = 0;
        buf[len++] = (uint8_t)(nal.len >> 16);
        buf[len++] = (uint8_t)(nal.len >> 8);
        buf[len++] = (uint8_t)nal.len;
        memcpy(buf + len, nal.data, nal.len);
        len += nal.len;
    }
    assert_true(push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                                .form = MEDIA_LENGTHS,
                                                .last = true,
                                                .data = buf,
                                                .len = len,
                                                .pts = s->unit[i]->pts * TICKS,
                                                .dts = s->unit[i]->dts * TICKS}));
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

/* The pictures of an open GOP come after its key frame, some of them are displayed before it. */
static int open_gop_index(const struct sample *s)
{
    int i = 1;
    while (s->unit[i]->pts != OPEN_GOP)
        i++;
    assert_true(s->unit[i + 1]->pts < OPEN_GOP);
    return i;
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
        cmocka_unit_test(test_markers_right_and_wrong),
        cmocka_unit_test(test_equal_timestamps),
        cmocka_unit_test(test_marker_ends_the_unit_at_once),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_parameter_sets_from_extradata),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_annex_b_where_lengths_should_be),
        cmocka_unit_test(test_loss_damages_until_the_next_key_frame),
        cmocka_unit_test(test_first_slice_missing),
        cmocka_unit_test(test_first_fragment_missing),
        cmocka_unit_test(test_new_resolution),
        cmocka_unit_test(test_parameter_sets_with_the_time_before),
        cmocka_unit_test(test_open_gop),
        cmocka_unit_test(test_leading_pictures_after_damage),
        cmocka_unit_test(test_intra_without_idr),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("access_unit", tests, setup, teardown);
}
