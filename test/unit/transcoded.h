/*
 * Test help: HEVC made here, with its frame number in the picture, and a judge who decodes the
 * H.264 that was made of it and compares.
 */
#ifndef TEST_UNIT_TRANSCODED_H
#define TEST_UNIT_TRANSCODED_H

#include "common/clock.h"
#include "test/unit/encode_video.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FPS 25
#define STEP_US ENCODED_INTERVAL_US
#define BITS 16 /* of the frame number, as black and white blocks along the top */

/* --- HEVC ------------------------------------------------------------------ */

struct movie {
    int width;
    int height;
    enum AVPixelFormat format;
    int frame_count;
    int key_interval;
    int b_frames;
};

/* Luma of the test picture, 8 bit. */
static inline unsigned luma_at(const struct movie *m, int x, int y, int number)
{
    if (y < m->height / 8)
        return (number >> (x * BITS / m->width) & 1) != 0 ? 200 : 40;
    return 60 + (unsigned)((x * 120 / m->width + y * 40 / m->height + number) % 128);
}

static inline void paint(AVFrame *f, int number, const struct video_spec *spec)
{
    const struct movie *m = spec->ctx;
    bool deep = m->format == AV_PIX_FMT_YUV420P10;

    for (int plane = 0; plane < 3; plane++) {
        int w = plane == 0 ? m->width : m->width / 2, h = plane == 0 ? m->height : m->height / 2;
        for (int y = 0; y < h; y++) {
            uint8_t *row = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
            for (int x = 0; x < w; x++) {
                unsigned v = plane == 0 ? luma_at(m, x, y, number) : 128;
                if (deep) {
                    row[2 * x] = (uint8_t)(v << 2);
                    row[2 * x + 1] = (uint8_t)(v >> 6);
                } else {
                    row[x] = (uint8_t)v;
                }
            }
        }
    }
}

static inline void make_clip(const struct movie *m, struct encoded *clip)
{
    char params[128];
    (void)snprintf(params, sizeof(params),
                   "crf=18:keyint=%d:min-keyint=%d:bframes=%d:scenecut=0:rc-lookahead=5:open-gop=0",
                   m->key_interval, m->key_interval, m->b_frames);
    const struct video_spec spec = {.codec = AV_CODEC_ID_HEVC,
                                    .format = m->format,
                                    .width = m->width,
                                    .height = m->height,
                                    .pictures = m->frame_count,
                                    .gop = m->key_interval,
                                    .b_frames = m->b_frames,
                                    .params = params,
                                    .matrix = AVCOL_SPC_UNSPECIFIED,
                                    .range = AVCOL_RANGE_UNSPECIFIED,
                                    .paint = paint,
                                    .ctx = m};
    encode_video(&spec, clip);
    clip->config->frame_rate_num = FPS;
    clip->config->frame_rate_den = 1;
}

/* --- H.264: what came out, judged ------------------------------------------- */

struct judge {
    const struct movie *movie;
    int width; /* expected */
    int height;
    AVCodecContext *dec;
    struct codec_config *config;
    unsigned count;
    unsigned keys;
    int64_t last_pts_us;
    int64_t last_key_us;
    int64_t longest_key_interval_us;
    int64_t skip_from_us; /* pictures in [from, to) must not come */
    int64_t skip_to_us;
    double worst_error; /* mean absolute luma difference of the worst picture */
};

static inline void judge_open(struct judge *j, const struct movie *m, int width, int height)
{
    memset(j, 0, sizeof(*j));
    j->movie = m;
    j->width = width;
    j->height = height;
    j->last_pts_us = -1;
    j->last_key_us = -1;
}

static inline void judge_close(struct judge *j)
{
    avcodec_free_context(&j->dec);
    codec_config_unref(&j->config);
}

static inline int number_in(const struct judge *j, const AVFrame *f)
{
    int number = 0;
    const uint8_t *row = f->data[0] + (ptrdiff_t)(j->height / 16) * f->linesize[0];
    for (int bit = 0; bit < BITS; bit++)
        number |= (row[(2 * bit + 1) * j->width / (2 * BITS)] > 120) << bit;
    return number;
}

static inline double mean_error(const struct judge *j, const AVFrame *f, int number)
{
    double sum = 0;
    for (int y = 0; y < j->height; y++) {
        for (int x = 0; x < j->width; x++) {
            int want = (int)luma_at(j->movie, x * j->movie->width / j->width,
                                    y * j->movie->height / j->height, number);
            sum += abs(want - f->data[0][(ptrdiff_t)y * f->linesize[0] + x]);
        }
    }
    return sum / ((double)j->width * j->height);
}

static inline void judge_open_decoder(struct judge *j, struct codec_config *config)
{
    avcodec_free_context(&j->dec);
    codec_config_unref(&j->config);
    j->config = codec_config_ref(config);
    assert_int_equal(AV_CODEC_ID_H264, config->codec);
    assert_int_equal(1, config->record[0]);
    assert_int_equal(0xff, config->record[4]); /* length fields of 4 bytes */
    j->dec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    j->dec->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(j->dec->extradata, config->record, config->record_len);
    j->dec->extradata_size = (int)config->record_len;
    j->dec->flags |= AV_CODEC_FLAG_LOW_DELAY;
    j->dec->thread_count = 1;
    assert_int_equal(0, avcodec_open2(j->dec, avcodec_find_decoder(AV_CODEC_ID_H264), NULL));
}

static inline void judge_timing(struct judge *j, const struct frame *frame)
{
    assert_int_equal(frame->pts_us, frame->dts_us);
    assert_true(frame->pts_us > j->last_pts_us);
    assert_int_equal(0, frame->pts_us % STEP_US);
    assert_in_range(clock_us() - frame->received_us, 0, 60000000); /* when it was ready */
    assert_false(frame->damaged);
    assert_false(frame->pts_us >= j->skip_from_us && frame->pts_us < j->skip_to_us);
    j->last_pts_us = frame->pts_us;
    if (frame->key) {
        int64_t interval_us = frame->pts_us - j->last_key_us;
        if (j->last_key_us >= 0 && interval_us > j->longest_key_interval_us)
            j->longest_key_interval_us = interval_us;
        j->last_key_us = frame->pts_us;
        j->keys++;
    }
}

static inline void judge_frame(struct judge *j, struct frame *frame)
{
    if (j->count == 0)
        assert_true(frame->key);
    assert_int_equal(j->width, frame->config->width);
    assert_int_equal(j->height, frame->config->height);
    judge_timing(j, frame);
    if (frame->config != j->config) {
        assert_true(frame->key);
        judge_open_decoder(j, frame->config);
    }
    AVPacket *p = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    assert_int_equal(0, av_new_packet(p, (int)frame->len));
    memcpy(p->data, frame->data, frame->len);
    assert_int_equal(0, avcodec_send_packet(j->dec, p));
    assert_int_equal(0, avcodec_receive_frame(j->dec, f));
    assert_int_equal(j->width, f->width);
    assert_int_equal(j->height, f->height);
    assert_int_not_equal(AV_PICTURE_TYPE_B, f->pict_type);
    int number = (int)(frame->pts_us / STEP_US);
    assert_int_equal(number, number_in(j, f));
    double error = mean_error(j, f, number);
    if (error > j->worst_error)
        j->worst_error = error;
    j->count++;
    av_packet_free(&p);
    av_frame_free(&f);
}

#endif /* TEST_UNIT_TRANSCODED_H */
