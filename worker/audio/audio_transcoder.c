/*
 * Decodes and resamples sound, and keeps it in step with its time stamps.  Worker, source thread.
 *
 * A camera's sample clock and its time stamps are two clocks.  Each decoded frame's time stamp is
 * compared with the end of the encoder's tape:
 *
 *   gap of HARD_US or more       silence is written first (beyond GAP_MAX_US: time stamps jump)
 *   overlap of HARD_US or more   the overlapping samples are dropped
 *   smaller error                the resampler stretches by up to 3 %, steered by the filtered
 *                                error (a PI controller: a constant skew of the two clocks leaves
 *                                no constant offset)
 *
 * The camera clock's pace, which timeline.h measures, is applied on top of that.  While the error
 * stays below DEADBAND_US, the resampler leaves the samples alone.
 */
#include "worker/audio/audio_transcoder.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>

#define HARD_US 60000
#define GAP_MAX_US 5000000
#define DEADBAND_US 2000
#define STRETCH_MAX 0.03
#define SKEW_MAX 0.02 /* the largest skew corrected; only a broken clock has as much */
#define SKEW_ERROR_MAX_S 0.01
#define FILTER_S 0.5    /* time constant of the error filter */
#define RESPONSE_S 1.0  /* time in which the proportional part would remove an error */
#define INTEGRAL_S 10.0 /* time in which the integral part takes over */
#define PACE_MAX 4.0    /* beyond it, gaps are filled and overlaps dropped */
#define RATE_MIN 4000   /* lowest decoded rate: bounds how much resampling can enlarge a frame */
#define RATE_MAX 192000
#define CHANNELS_MAX 8
#define CHUNK 2048 /* samples converted at once */

struct audio_transcoder {
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *resampler; /* NULL until the first frame */
    int in_rate;           /* the resampler's input format */
    int in_channels;
    int in_format;
    struct audio_encoder *encoder; /* Borrowed */
    int out_rate;
    int out_channels;
    bool started;
    bool exact;      /* place the next frame exactly at its time stamp, even for a small error */
    int64_t next_us; /* time for a frame without a time stamp */
    int64_t drop;    /* overlapping output samples still to be dropped */
    double pace;     /* see audio_set_pace() */
    double error_us; /* filtered */
    double skew;     /* integral part: the stretch that the clocks' skew needs */
    bool stretching;
    float planes[2][CHUNK];
};

static int open_decoder(struct audio_transcoder *t, const AVCodecParameters *par)
{
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (codec == NULL || codec->type != AVMEDIA_TYPE_AUDIO)
        return -ENOTSUP;
    t->decoder = avcodec_alloc_context3(codec);
    if (t->decoder == NULL)
        return -ENOMEM;
    int rc = avcodec_parameters_to_context(t->decoder, par);
    if (rc >= 0) {
        t->decoder->thread_count = 1;
        t->decoder->pkt_timebase = AV_TIME_BASE_Q;
        rc = avcodec_open2(t->decoder, codec, NULL);
    }
    return rc >= 0 ? 0 : rc == AVERROR(ENOMEM) ? -ENOMEM : -ENOTSUP;
}

int audio_transcoder_open(struct audio_transcoder **transcoder, const AVCodecParameters *par,
                          struct audio_encoder *encoder)
{
    *transcoder = NULL;
    struct audio_transcoder *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->encoder = encoder;
    t->pace = 1;
    t->out_rate = audio_encoder_config(encoder)->sample_rate;
    t->out_channels = audio_encoder_config(encoder)->channels;
    int rc = open_decoder(t, par);
    if (rc == 0) {
        t->packet = av_packet_alloc();
        t->frame = av_frame_alloc();
        if (t->packet == NULL || t->frame == NULL)
            rc = -ENOMEM;
    }
    if (rc != 0)
        audio_transcoder_close(&t);
    *transcoder = t;
    return rc;
}

/* Make a resampler for the decoder's output format, which may change with any frame. */
static int fit_resampler(struct audio_transcoder *t)
{
    const AVFrame *f = t->frame;
    int channels = f->ch_layout.nb_channels;
    if (t->resampler != NULL && f->sample_rate == t->in_rate && f->format == t->in_format &&
        channels == t->in_channels)
        return 0;
    swr_free(&t->resampler);
    t->stretching = false;
    if (f->sample_rate < RATE_MIN || f->sample_rate > RATE_MAX || channels < 1 ||
        channels > CHANNELS_MAX)
        return -EINVAL;

    AVChannelLayout in = {0}, out = {0};
    int rc = 0;
    if (f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in, channels);
    else
        rc = av_channel_layout_copy(&in, &f->ch_layout);
    av_channel_layout_default(&out, t->out_channels);
    if (rc >= 0)
        rc = swr_alloc_set_opts2(&t->resampler, &out, AV_SAMPLE_FMT_FLTP, t->out_rate, &in,
                                 f->format, f->sample_rate, 0, NULL);
    if (rc >= 0)
        rc = swr_init(t->resampler);
    av_channel_layout_uninit(&in);
    if (rc < 0) {
        swr_free(&t->resampler);
        return rc == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL;
    }
    t->in_rate = f->sample_rate;
    t->in_format = f->format;
    t->in_channels = channels;
    t->exact = true;
    return 0;
}

static double clip(double value, double limit)
{
    return fmax(-limit, fmin(limit, value));
}

/* Steer the resampler by error_us: how far the tape's end is behind the time stamps; negative if it
 * is ahead. */
static void stretch(struct audio_transcoder *t, double error_us, double passed_s)
{
    t->error_us += (error_us - t->error_us) * fmin(1.0, passed_s / FILTER_S);
    double error = fabs(t->error_us) > DEADBAND_US ? t->error_us / 1e6 : 0;
    if (error == 0 && t->skew == 0 && t->pace == 1 && !t->stretching)
        return;
    double lasting = clip(error, SKEW_ERROR_MAX_S); /* the rest comes from lost packets, not skew */
    t->skew = clip(t->skew + lasting / RESPONSE_S / INTEGRAL_S * passed_s, SKEW_MAX);
    double longer = t->pace * (1 + clip(error / RESPONSE_S + t->skew, STRETCH_MAX));
    double rate = 1 - 1 / longer; /* samples to add, per output sample */
    /* It covers one second, but the next frame replaces it long before that. */
    int distance = t->out_rate;
    t->stretching = swr_set_compensation(t->resampler, (int)lrint(rate * distance), distance) >= 0;
}

/* Move the tape's end to the frame's time stamp, or note how many of its samples overlap. */
static int align(struct audio_transcoder *t, int64_t pts_us, int64_t received_us)
{
    if (!t->started && audio_encoder_written(t->encoder) == 0)
        audio_encoder_start(t->encoder, pts_us);
    t->started = true;

    int64_t delay = swr_get_delay(t->resampler, t->out_rate);
    int64_t end = audio_encoder_written(t->encoder) + delay - t->drop;
    int64_t error = audio_encoder_sample_at(t->encoder, pts_us) - end;
    int64_t hard = t->exact ? 1 : av_rescale(HARD_US, t->out_rate, 1000000);
    t->exact = false;

    if (error > -hard && error < hard) {
        double passed_s = (double)t->frame->nb_samples / t->frame->sample_rate;
        stretch(t, (double)error * 1e6 / t->out_rate, passed_s);
        return 0;
    }
    t->error_us = 0;
    if (error < 0) {
        t->drop -= error;
        return 0;
    }
    int64_t undropped = FFMIN(error, t->drop); /* keep samples that no longer overlap */
    t->drop -= undropped;
    error -= undropped;
    if (error > av_rescale(GAP_MAX_US, t->out_rate, 1000000))
        return audio_encoder_skip(t->encoder, error, received_us);
    return audio_encoder_write(t->encoder, NULL, error, received_us);
}

/* Resample t->frame and write it. */
static int write_frame(struct audio_transcoder *t, int64_t received_us)
{
    uint8_t *out[2] = {(uint8_t *)t->planes[0], (uint8_t *)t->planes[1]};
    const uint8_t *in[CHANNELS_MAX] = {0};
    int samples = t->frame->nb_samples;
    bool planar = av_sample_fmt_is_planar(t->frame->format) != 0;
    for (int c = 0; c < (planar ? t->in_channels : 1); c++)
        in[c] = t->frame->extended_data[c];
    for (;;) {
        int n = swr_convert(t->resampler, out, CHUNK, in, samples);
        if (n < 0)
            return n == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL;
        int64_t late = FFMIN(t->drop, n);
        const float *const planes[2] = {t->planes[0] + late, t->planes[1] + late};
        t->drop -= late;
        int rc = audio_encoder_write(t->encoder, planes, n - late, received_us);
        if (rc != 0 || n < CHUNK)
            return rc;
        samples = 0; /* it has taken all of them and holds those that did not fit in the output */
    }
}

static int on_decoded(struct audio_transcoder *t, int64_t received_us)
{
    int64_t pts_us = t->frame->pts != AV_NOPTS_VALUE ? t->frame->pts : t->next_us;
    int rc = fit_resampler(t);
    if (rc == 0)
        rc = align(t, pts_us, received_us);
    if (rc == 0)
        rc = write_frame(t, received_us);
    if (rc == 0) {
        int64_t us = av_rescale(t->frame->nb_samples, 1000000, t->frame->sample_rate);
        t->next_us = pts_us + llrint((double)us * t->pace);
    }
    return rc;
}

int audio_transcoder_push(struct audio_transcoder *transcoder, const uint8_t *data, size_t len,
                          int64_t pts_us, int64_t received_us)
{
    struct audio_transcoder *t = transcoder;
    if (len == 0 || len > INT32_MAX)
        return -EINVAL;
    t->packet->data = (uint8_t *)(uintptr_t)data; /* the decoder only reads it */
    t->packet->size = (int)len;
    t->packet->pts = pts_us;
    t->packet->dts = pts_us;
    int rc = avcodec_send_packet(t->decoder, t->packet);
    av_packet_unref(t->packet);
    int dropped = rc < 0 ? rc : 0;
    while ((rc = avcodec_receive_frame(t->decoder, t->frame)) >= 0) {
        rc = on_decoded(t, received_us);
        av_frame_unref(t->frame);
        if (rc == -ENOMEM)
            return rc;
        if (rc < 0)
            dropped = rc;
    }
    if (rc == AVERROR(ENOMEM) || dropped == AVERROR(ENOMEM))
        return -ENOMEM;
    return dropped < 0 || rc != AVERROR(EAGAIN) ? -EINVAL : 0;
}

void audio_transcoder_set_pace(struct audio_transcoder *transcoder, double pace)
{
    transcoder->pace = fmax(1 / PACE_MAX, fmin(PACE_MAX, pace));
}

void audio_transcoder_reset(struct audio_transcoder *transcoder)
{
    avcodec_flush_buffers(transcoder->decoder);
    transcoder->error_us = 0;
    transcoder->exact = true;
}

void audio_transcoder_close(struct audio_transcoder **transcoder)
{
    struct audio_transcoder *t = *transcoder;
    *transcoder = NULL;
    if (t == NULL)
        return;
    avcodec_free_context(&t->decoder);
    av_packet_free(&t->packet);
    av_frame_free(&t->frame);
    swr_free(&t->resampler);
    free(t);
}
