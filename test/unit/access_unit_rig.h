/*
 * Test help: an access_unit fed with the packets of real encoders, cut and spoilt in the ways
 * cameras do, and what came out of it.
 */
#ifndef TEST_UNIT_ACCESS_UNIT_RIG_H
#define TEST_UNIT_ACCESS_UNIT_RIG_H

#include "worker/video/access_unit.h"
#include "worker/video/nal.h"

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

static inline void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    struct rig *rig = ctx;
    assert_true(rig->count < 2 * SAMPLE_MAX);
    rig->out[rig->count++] = (struct out){frame, pts, dts};
}

static inline struct rig *rig_new(const struct sample *s, const uint8_t *extradata, size_t len)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    const struct access_unit_events events = {on_frame, rig};
    rig->au = access_unit_new(s->codec, extradata, len, &events);
    assert_non_null(rig->au);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    for (int i = 0; i < rig->count; i++)
        frame_unref(&rig->out[i].frame);
    access_unit_free(&rig->au);
    free(rig);
}

/* A packet in memory of its own, so that ASan sees what is read beyond its padding. */
static inline bool push(struct rig *rig, struct media_packet packet)
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

static inline bool is_marked(int marks, bool last_of_unit, bool last_of_nal)
{
    return marks == MARK_ALWAYS || (marks == MARK_RIGHT && last_of_unit) ||
           (marks == MARK_NALS && last_of_nal);
}

/* One encoded picture as packets. */
static inline void push_unit(struct rig *rig, const struct sample *s, int i, const struct how *how,
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

static inline void push_all(struct rig *rig, const struct sample *s, const struct how *how)
{
    for (int i = 0; i < s->count; i++)
        push_unit(rig, s, i, how, how->same_time ? 0 : s->unit[i]->pts * TICKS);
    access_unit_flush(rig->au);
}

/* The payload holds the NAL units of the encoded picture, delimiters left out. */
static inline void assert_payload(const struct frame *frame, const struct sample *s, int i)
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

static inline void assert_complete(const struct rig *rig, const struct sample *s, int first,
                                   bool times)
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

/* Decode what came out, with the record as extradata: so many pictures must come back; -1: any
 * number.  Strict: without an error. */
static inline void assert_decodes(const struct rig *rig, int pictures, bool strict)
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
        int rc;
        while ((rc = avcodec_receive_frame(dec, picture)) == 0) {
            assert_int_equal(picture->width, config->width);
            assert_int_equal(picture->height, config->height);
            got++;
        }
        if (strict)
            assert_true(rc == AVERROR(EAGAIN) || rc == AVERROR_EOF);
        av_packet_free(&pkt);
    }
    if (pictures >= 0)
        assert_int_equal(got, pictures);
    av_frame_free(&picture);
    avcodec_free_context(&dec);
}

static struct sample h264, h264_slices, h264_b, hevc, hevc_open;

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
    (void)state;
    sample_free(&h264);
    sample_free(&h264_slices);
    sample_free(&h264_b);
    sample_free(&hevc);
    sample_free(&hevc_open);
    return 0;
}

/* Length-prefixed units, as FLV has them; the last `missing` bytes of the message do not come. */
static inline bool push_message(struct rig *rig, const struct sample *s, int i, bool strip,
                                size_t missing)
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
    return push(rig, (struct media_packet){.track = TRACK_VIDEO,
                                           .form = MEDIA_LENGTHS,
                                           .last = true,
                                           .data = buf,
                                           .len = len - missing,
                                           .pts = s->unit[i]->pts * TICKS,
                                           .dts = s->unit[i]->dts * TICKS});
}

static inline void push_lengths(struct rig *rig, const struct sample *s, int i, bool strip)
{
    assert_true(push_message(rig, s, i, strip, 0));
}

/* The pictures of an open GOP come after its key frame, some of them are displayed before it. */
static inline int open_gop_index(const struct sample *s)
{
    int i = 1;
    while (s->unit[i]->pts != OPEN_GOP)
        i++;
    assert_true(s->unit[i + 1]->pts < OPEN_GOP);
    return i;
}

#endif /* TEST_UNIT_ACCESS_UNIT_RIG_H */
