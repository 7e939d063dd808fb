/*
 * For the audio tests: sound made by libavcodec's encoders as a camera would send it, and what
 * worker/audio/ makes of it, decoded again and laid out on one line of samples.
 */
#ifndef TEST_UNIT_AUDIO_TOOLS_H
#define TEST_UNIT_AUDIO_TOOLS_H

#include "worker/audio/audio.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000)
#define MS INT64_C(1000)
#define START (5000 * S) /* of the output clock in these tests */
#define TONE_HZ 440.0
#define AMPLITUDE 0.4
#define DECODE_SPAN 3

/* What a camera announces. @param channels  0: none is told. @return avcodec_parameters_free(). */
static inline AVCodecParameters *announce(enum AVCodecID codec, int sample_rate, int channels)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->codec_id = codec;
    par->sample_rate = sample_rate;
    if (channels > 0)
        av_channel_layout_default(&par->ch_layout, channels);
    return par;
}

/* --- a camera's encoder --------------------------------------------------- */

struct camera_audio {
    const char *encoder;
    int sample_rate;
    int channels;
    int bit_rate;
    int code_size; /* G.726 */
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
    int64_t samples; /* sent so far */
    bool bursts;     /* 250 ms of tone in each second, from the half second on */
    int burst_every; /* seconds: of as many, only the first has a burst; 0: each */
    AVCodecParameters *par;
};

/* One that the encoder takes and camera_audio_next() can write. */
static inline enum AVSampleFormat camera_audio_format(const AVCodec *codec)
{
    switch (codec->id) {
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_MP3:
        return AV_SAMPLE_FMT_FLTP;
    case AV_CODEC_ID_NELLYMOSER:
        return AV_SAMPLE_FMT_FLT;
    case AV_CODEC_ID_PCM_U8:
        return AV_SAMPLE_FMT_U8;
    default:
        return AV_SAMPLE_FMT_S16;
    }
}

static inline void camera_audio_open(struct camera_audio *c)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(c->encoder);
    assert_non_null(codec);
    c->codec = avcodec_alloc_context3(codec);
    c->codec->sample_rate = c->sample_rate;
    c->codec->sample_fmt = camera_audio_format(codec);
    c->codec->time_base = (AVRational){1, c->sample_rate};
    c->codec->bit_rate = c->bit_rate;
    c->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    c->codec->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL; /* G.726 beside 8 kHz */
    av_channel_layout_default(&c->codec->ch_layout, c->channels);
    if (c->code_size > 0)
        av_opt_set_int(c->codec->priv_data, "code_size", c->code_size, 0);
    assert_int_equal(avcodec_open2(c->codec, codec, NULL), 0);
    c->par = avcodec_parameters_alloc();
    avcodec_parameters_from_context(c->par, c->codec);
    c->frame = av_frame_alloc();
    c->packet = av_packet_alloc();
    c->samples = 0;
}

static inline void camera_audio_close(struct camera_audio *c)
{
    avcodec_send_frame(c->codec, NULL);
    while (avcodec_receive_packet(c->codec, c->packet) >= 0)
        av_packet_unref(c->packet);
    avcodec_free_context(&c->codec);
    av_frame_free(&c->frame);
    av_packet_free(&c->packet);
    avcodec_parameters_free(&c->par);
}

/* The sound at a time; left and right differ in sign, so that a mix of them would be silence. */
static inline double camera_audio_sound(const struct camera_audio *c, int channel, double time_s)
{
    double in_second = time_s - floor(time_s);
    bool quiet = c->burst_every > 0 && (int)time_s % c->burst_every != 0;
    if (c->bursts && (quiet || in_second < 0.5 || in_second >= 0.75))
        return 0;
    return (channel == 0 ? AMPLITUDE : -AMPLITUDE) * sin(2 * M_PI * TONE_HZ * time_s);
}

/* Encode the next frame.  @return whether c->packet holds one; its pts is in samples. */
static inline bool camera_audio_next(struct camera_audio *c)
{
    av_packet_unref(c->packet);
    while (avcodec_receive_packet(c->codec, c->packet) < 0) {
        AVFrame *f = c->frame;
        int n = c->codec->frame_size > 0 ? c->codec->frame_size : c->sample_rate / 50;
        av_frame_unref(f);
        f->nb_samples = n;
        f->format = c->codec->sample_fmt;
        f->sample_rate = c->sample_rate;
        av_channel_layout_copy(&f->ch_layout, &c->codec->ch_layout);
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        for (int i = 0; i < n; i++) {
            for (int ch = 0; ch < c->channels; ch++) {
                double v = camera_audio_sound(c, ch, (double)(c->samples + i) / c->sample_rate);
                bool planar = av_sample_fmt_is_planar(f->format) != 0;
                int at = planar ? i : i * c->channels + ch;
                uint8_t *plane = f->extended_data[planar ? ch : 0];
                if (av_get_packed_sample_fmt(f->format) == AV_SAMPLE_FMT_FLT)
                    ((float *)(void *)plane)[at] = (float)v;
                else if (f->format == AV_SAMPLE_FMT_U8)
                    plane[at] = (uint8_t)lrint(128 + v * 127);
                else
                    ((int16_t *)(void *)plane)[at] = (int16_t)lrint(v * 32767);
            }
        }
        f->pts = c->samples;
        c->samples += n;
        assert_int_equal(avcodec_send_frame(c->codec, f), 0);
    }
    return true;
}

/* --- what comes out ------------------------------------------------------- */

struct output {
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    int sample_rate;
    int channels;
    float *sound[2]; /* by time since START; NAN where nothing was sent */
    int64_t length;  /* samples of room */
    int64_t frames, bytes;
    int64_t first_us, next_us, end_us; /* next_us: where the next frame should begin */
    int64_t worst_gap_us;              /* between frames, either way */
    bool decode;
    int decode_every; /* seconds: of as many, only the first DECODE_SPAN are decoded; 0: all */
};

/* Where the sample with a number is kept, or -1: outside, or of a second that is not decoded. */
static inline int64_t output_index(const struct output *o, int64_t sample)
{
    int64_t at = sample, second = sample / o->sample_rate;
    if (o->decode_every > 0) {
        int64_t of = second % o->decode_every;
        at = of < DECODE_SPAN ? second / o->decode_every * DECODE_SPAN + of : -1;
        at = at * o->sample_rate + sample % o->sample_rate;
    }
    return at >= 0 && at < o->length ? at : -1;
}

/* every: see decode_every. */
static inline void output_open(struct output *o, const struct codec_config *config, int seconds,
                               int every)
{
    memset(o, 0, sizeof(*o));
    o->sample_rate = config->sample_rate;
    o->channels = config->channels;
    o->decode_every = every;
    o->length =
        (int64_t)(every > 0 ? (seconds / every + 1) * DECODE_SPAN : seconds) * config->sample_rate;
    o->decode = seconds > 0;
    o->first_us = o->next_us = INT64_MIN;
    for (int c = 0; c < 2; c++) {
        o->sound[c] = malloc((size_t)(o->length + 1) * sizeof(float));
        for (int64_t i = 0; i < o->length; i++)
            o->sound[c][i] = NAN;
    }
    o->decoder = avcodec_alloc_context3(avcodec_find_decoder_by_name("aac"));
    o->decoder->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(o->decoder->extradata, config->record, config->record_len);
    o->decoder->extradata_size = (int)config->record_len;
    assert_int_equal(avcodec_open2(o->decoder, NULL, NULL), 0);
    o->packet = av_packet_alloc();
    o->frame = av_frame_alloc();
}

static inline void output_close(struct output *o)
{
    avcodec_free_context(&o->decoder);
    av_packet_free(&o->packet);
    av_frame_free(&o->frame);
    free(o->sound[0]);
    free(o->sound[1]);
}

static inline void output_decode(struct output *o, const struct frame *frame)
{
    assert_int_equal(av_new_packet(o->packet, (int)frame->len), 0);
    memcpy(o->packet->data, frame->data, frame->len);
    assert_int_equal(avcodec_send_packet(o->decoder, o->packet), 0);
    av_packet_unref(o->packet);
    while (avcodec_receive_frame(o->decoder, o->frame) >= 0) {
        assert_int_equal(o->frame->sample_rate, o->sample_rate);
        assert_int_equal(o->frame->ch_layout.nb_channels, o->channels);
        int64_t at = av_rescale(frame->pts_us - START, o->sample_rate, S);
        for (int i = 0; i < o->frame->nb_samples; i++, at++) {
            int64_t to = output_index(o, at);
            for (int c = 0; c < o->channels && to >= 0; c++)
                o->sound[c][to] = ((float *)(void *)o->frame->extended_data[c])[i];
        }
    }
}

/* audio_emit_fn */
static inline void output_take(void *ctx, struct frame *frame)
{
    struct output *o = ctx;
    int64_t duration_us = av_rescale(1024, S, o->sample_rate);
    assert_int_equal(frame->track, TRACK_AUDIO);
    assert_true(frame->key);
    assert_int_equal(frame->pts_us, frame->dts_us);
    assert_false(frame->data[0] == 0xff && frame->data[1] >> 4 == 0xf); /* raw, no ADTS */
    if (o->first_us == INT64_MIN)
        o->first_us = frame->pts_us;
    else if (llabs(frame->pts_us - o->next_us) > o->worst_gap_us)
        o->worst_gap_us = llabs(frame->pts_us - o->next_us);
    o->next_us = o->end_us = frame->pts_us + duration_us;
    o->frames++;
    o->bytes += (int64_t)frame->len;
    if (o->decode && output_index(o, av_rescale(frame->pts_us - START, o->sample_rate, S)) >= 0)
        output_decode(o, frame);
    frame_unref(&frame);
}

/* --- measuring ------------------------------------------------------------ */

struct tone {
    double amplitude;
    double phase; /* of a sine that begins at START */
    double snr_db;
};

/* Fit a sine of hz to a stretch of the output: all that is left over is noise. */
static inline struct tone output_tone(const struct output *o, int channel, double hz, double from_s,
                                      double to_s)
{
    int64_t from = (int64_t)(from_s * o->sample_rate), to = (int64_t)(to_s * o->sample_rate);
    double ss = 0, cc = 0, sc = 0, xs = 0, xc = 0, xx = 0;
    for (int64_t i = from; i < to; i++) {
        double w = 2 * M_PI * hz * (double)i / o->sample_rate;
        double s = sin(w), c = cos(w), x = o->sound[channel][i];
        ss += s * s, cc += c * c, sc += s * c;
        xs += x * s, xc += x * c, xx += x * x;
    }
    double det = ss * cc - sc * sc;
    double a = (xs * cc - xc * sc) / det, b = (xc * ss - xs * sc) / det;
    double power = a * xs + b * xc;
    struct tone t = {sqrt(a * a + b * b), atan2(b, a), 10 * log10(power / (xx - power))};
    return t;
}

/* Power of a stretch, or NAN if a part of it was never sent. */
static inline double output_level(const struct output *o, int64_t from, int64_t samples)
{
    double sum = 0;
    for (int64_t i = from; i < from + samples; i++) {
        int64_t at = output_index(o, i);
        sum += at < 0 ? NAN : (double)o->sound[0][at] * o->sound[0][at];
    }
    return sqrt(sum / (double)samples);
}

/*
 * Where the tone of a burst begins, in seconds since START: the point where the level of 4 ms goes
 * through half of the tone's.  Negative: there is none between from_s and to_s.
 */
static inline double output_onset(const struct output *o, double from_s, double to_s)
{
    int64_t window = o->sample_rate / 250; /* 1.76 periods of the tone */
    for (int64_t i = (int64_t)(from_s * o->sample_rate); i < (int64_t)(to_s * o->sample_rate);
         i++) {
        if (output_level(o, i, window) > AMPLITUDE / M_SQRT2 / 2)
            return ((double)i + (double)window * 0.75) / o->sample_rate;
    }
    return -1;
}

#endif /* TEST_UNIT_AUDIO_TOOLS_H */
