/*
 * Test help: small streams made with libavcodec's encoders, as frames of worker/media/frame.h.
 * Pictures are painted by the test, so that it can tell which one it got back.
 */
#ifndef TEST_UNIT_ENCODE_VIDEO_H
#define TEST_UNIT_ENCODE_VIDEO_H

#include "worker/media/frame.h"

#include <assert.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>

/* libx265 keeps a little memory of every encoder it closed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265";
}

#define ENCODED_MAX 704
#define ENCODED_INTERVAL_US 40000

struct video_spec {
    enum AVCodecID codec;
    enum AVPixelFormat format;
    int width;
    int height;
    int pictures;
    int gop;
    int b_frames;
    const char *params; /* x264-params or x265-params, or NULL */
    enum AVColorSpace matrix;
    enum AVColorRange range;
    /* Fill a writable picture.  number counts from 0 in display order. */
    void (*paint)(AVFrame *picture, int number, const struct video_spec *spec);
    const void *ctx;
};

struct encoded {
    struct codec_config *config;
    struct frame *frames[ENCODED_MAX]; /* in decode order */
    int number[ENCODED_MAX];           /* of the picture that the frame holds */
    int count;
};

/* The next NAL unit of an Annex B stream: its start and length, NULL at the end. */
static inline const uint8_t *encode_next_nal(const uint8_t **p, const uint8_t *end, size_t *len)
{
    const uint8_t *s = *p;
    while (end - s > 3 && !(s[0] == 0 && s[1] == 0 && s[2] == 1))
        s++;
    if (end - s <= 3)
        return NULL;
    s += 3;
    const uint8_t *e = s;
    while (end - e > 2 && !(e[0] == 0 && e[1] == 0 && e[2] <= 1))
        e++;
    if (end - e <= 2)
        e = end;
    *p = e;
    *len = (size_t)(e - s);
    return s;
}

static inline size_t encode_put_nal(uint8_t *out, const uint8_t *nal, size_t len)
{
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    memcpy(out + 2, nal, len);
    return len + 2;
}

/* Parameter sets to a configuration record (ISO/IEC 14496-15): what decoders read of it. */
static inline struct codec_config *encode_config(const AVCodecContext *enc)
{
    uint8_t record[4096] = {1};
    size_t n, len;
    const uint8_t *nal, *p = enc->extradata, *end = p + enc->extradata_size;
    if (enc->codec_id == AV_CODEC_ID_HEVC) {
        record[21] = 0xff;
        n = 23;
        while ((nal = encode_next_nal(&p, end, &len)) != NULL) {
            unsigned type = (nal[0] >> 1) & 0x3f;
            if (type < 32 || type > 34)
                continue;
            record[22]++;
            record[n++] = (uint8_t)type;
            record[n++] = 0;
            record[n++] = 1;
            n += encode_put_nal(record + n, nal, len);
        }
    } else {
        const uint8_t *sps = encode_next_nal(&p, end, &len);
        assert(sps != NULL);
        memcpy(record + 1, sps + 1, 3);
        record[4] = 0xff;
        record[5] = 0xe1;
        n = 6 + encode_put_nal(record + 6, sps, len);
        const uint8_t *pps = encode_next_nal(&p, end, &len);
        assert(pps != NULL);
        record[n++] = 1;
        n += encode_put_nal(record + n, pps, len);
    }
    struct codec_config *c = codec_config_new(TRACK_VIDEO, enc->codec_id, record, n);
    assert(c != NULL);
    c->width = enc->width;
    c->height = enc->height;
    return c;
}

static inline struct frame *encode_frame(struct codec_config *config, const AVPacket *pkt)
{
    struct frame *f = frame_new(config, (size_t)pkt->size * 2 + 64);
    assert(f != NULL);
    size_t n = 0, len;
    const uint8_t *nal, *p = pkt->data, *end = p + pkt->size;
    while ((nal = encode_next_nal(&p, end, &len)) != NULL) {
        f->data[n] = 0;
        f->data[n + 1] = (uint8_t)(len >> 16);
        n += 2 + encode_put_nal(f->data + n + 2, nal, len);
    }
    f->len = n;
    f->key = (pkt->flags & AV_PKT_FLAG_KEY) != 0;
    f->dts_us = pkt->dts * ENCODED_INTERVAL_US;
    f->pts_us = pkt->pts * ENCODED_INTERVAL_US;
    return f;
}

static inline void encode_take(AVCodecContext *enc, struct encoded *out)
{
    AVPacket *pkt = av_packet_alloc();
    while (avcodec_receive_packet(enc, pkt) == 0) {
        assert(out->count < ENCODED_MAX);
        out->number[out->count] = (int)pkt->pts;
        out->frames[out->count] = encode_frame(out->config, pkt);
        out->frames[out->count]->received_us = 1000000 + out->count * ENCODED_INTERVAL_US;
        out->count++;
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
}

static inline void encode_video(const struct video_spec *spec, struct encoded *out)
{
    bool hevc = spec->codec == AV_CODEC_ID_HEVC;
    const AVCodec *codec = avcodec_find_encoder_by_name(hevc ? "libx265" : "libx264");
    assert(codec != NULL);
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    enc->width = spec->width;
    enc->height = spec->height;
    enc->pix_fmt = spec->format;
    enc->time_base = (AVRational){1, 25};
    enc->gop_size = spec->gop;
    enc->max_b_frames = spec->b_frames;
    enc->colorspace = spec->matrix;
    enc->color_range = spec->range;
    enc->thread_count = 1;
    enc->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(enc->priv_data, "preset", "ultrafast", 0);
    char params[512];
    (void)snprintf(params, sizeof(params), "%s%s%s",
                   hevc ? "log-level=error:qp=4:pools=none" : "qp=4",
                   spec->params != NULL ? ":" : "", spec->params != NULL ? spec->params : "");
    av_opt_set(enc->priv_data, hevc ? "x265-params" : "x264-params", params, 0);
    int rc = avcodec_open2(enc, codec, NULL);
    assert(rc == 0);

    memset(out, 0, sizeof(*out));
    out->config = encode_config(enc);
    AVFrame *picture = av_frame_alloc();
    for (int i = 0; i < spec->pictures; i++) {
        picture->width = spec->width;
        picture->height = spec->height;
        picture->format = spec->format;
        picture->colorspace = spec->matrix;
        picture->color_range = spec->range;
        picture->pts = i;
        rc = av_frame_get_buffer(picture, 0);
        assert(rc == 0);
        spec->paint(picture, i, spec);
        rc = avcodec_send_frame(enc, picture);
        assert(rc == 0);
        av_frame_unref(picture);
        encode_take(enc, out);
    }
    rc = avcodec_send_frame(enc, NULL);
    assert(rc == 0);
    encode_take(enc, out);
    assert(out->count == spec->pictures);
    av_frame_free(&picture);
    avcodec_free_context(&enc);
}

static inline void encoded_free(struct encoded *e)
{
    for (int i = 0; i < e->count; i++)
        frame_unref(&e->frames[i]);
    codec_config_unref(&e->config);
}

/* A paint function: noise-like texture that moves, and a centre whose brightness is the number. */
static inline void encode_paint_number(AVFrame *picture, int number, const struct video_spec *spec)
{
    assert(spec->format == AV_PIX_FMT_YUV420P);
    for (int y = 0; y < picture->height; y++)
        for (int x = 0; x < picture->width; x++) {
            bool centre = abs(x - picture->width / 2) < 24 && abs(y - picture->height / 2) < 24;
            unsigned noise = (unsigned)((x + number * 3) * 7919 + y * 104729) >> 3;
            picture->data[0][y * picture->linesize[0] + x] =
                (uint8_t)(centre ? 20 + number * 3 : 60 + (int)(noise % 64));
        }
    for (int p = 1; p < 3; p++)
        for (int y = 0; y < picture->height / 2; y++)
            memset(picture->data[p] + y * picture->linesize[p], 128, (size_t)picture->width / 2);
}

/* The number that encode_paint_number() painted, from the decoded luma plane. */
static inline int encode_read_number(const AVFrame *picture)
{
    const uint8_t *row = picture->data[0] + picture->height / 2 * picture->linesize[0];
    return (row[picture->width / 2] - 20 + 1) / 3;
}

#endif /* TEST_UNIT_ENCODE_VIDEO_H */
