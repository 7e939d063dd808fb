/*
 * Sends AAC on untouched.  Worker, source thread.
 *
 * Frames follow each other sample-exactly from a start time.  What the camera's time stamps say
 * besides moves that start slowly, so their jitter and rounding (RTMP counts milliseconds) does not
 * reach players, which take holes and overlaps between audio frames badly.  Only when a time stamp
 * is HARD_US or more away, frames of silence are sent or frames are dropped.
 */
#include "worker/audio/audio_passthrough.h"

#include "worker/media/aac.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

#define HARD_US 60000
#define GAP_MAX_US 5000000
#define FOLLOW_US 500000 /* in which an error is followed */
#define FRAME_MAX 8192   /* bytes: what ADTS can express */

struct audio_passthrough {
    int sample_rate;
    struct codec_config *config;
    int64_t start_us; /* moves slowly */
    int64_t frames;   /* sent since start_us */
    bool started;
    audio_emit_fn *emit;
    void *ctx;
};

static struct codec_config *make_config(int sample_rate, int channels)
{
    uint8_t record[AAC_CONFIG_LEN];
    aac_config_write(record, sample_rate, channels);
    struct codec_config *c = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, record, sizeof(record));
    if (c != NULL) {
        c->sample_rate = sample_rate;
        c->channels = channels;
    }
    return c;
}

int audio_passthrough_open(struct audio_passthrough **pass, int sample_rate, int channels,
                           audio_emit_fn *emit, void *ctx)
{
    *pass = NULL;
    struct audio_passthrough *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    p->emit = emit;
    p->ctx = ctx;
    p->sample_rate = sample_rate;
    p->config = make_config(sample_rate, channels);
    if (p->config == NULL) {
        audio_passthrough_close(&p);
        return -ENOMEM;
    }
    *pass = p;
    return 0;
}

struct codec_config *audio_passthrough_config(const struct audio_passthrough *pass)
{
    return pass->config;
}

static int64_t frames_us(const struct audio_passthrough *p, int64_t frames)
{
    return av_rescale(frames * AAC_FRAME_SAMPLES, 1000000, p->sample_rate);
}

void audio_passthrough_start(struct audio_passthrough *pass, int64_t start_us)
{
    assert(pass->frames == 0);
    pass->start_us = start_us;
}

int64_t audio_passthrough_end_us(const struct audio_passthrough *pass)
{
    return pass->start_us + frames_us(pass, pass->frames);
}

void audio_passthrough_skip(struct audio_passthrough *pass, int64_t duration_us)
{
    pass->start_us += duration_us;
}

static int send_frame(struct audio_passthrough *p, const uint8_t *data, size_t len,
                      int64_t received_us)
{
    struct frame *f = frame_new(p->config, len);
    if (f == NULL)
        return -ENOMEM;
    memcpy(f->data, data, len);
    f->key = true;
    f->pts_us = audio_passthrough_end_us(p);
    f->dts_us = f->pts_us;
    f->received_us = received_us;
    p->frames++;
    p->emit(p->ctx, f);
    return 0;
}

int audio_passthrough_silence(struct audio_passthrough *pass, int64_t duration_us,
                              int64_t received_us)
{
    size_t len;
    const uint8_t *silence = aac_silent_frame(pass->config->channels, &len);
    int64_t n = duration_us * pass->sample_rate / (INT64_C(1000000) * AAC_FRAME_SAMPLES);
    int rc = 0;
    for (; n > 0 && rc == 0; n--)
        rc = send_frame(pass, silence, len, received_us);
    return rc;
}

/* Send one raw frame that belongs at pts_us. */
static int place_frame(struct audio_passthrough *p, const uint8_t *data, size_t len, int64_t pts_us,
                       int64_t received_us)
{
    if (!p->started && p->frames == 0)
        audio_passthrough_start(p, pts_us);
    p->started = true;

    int64_t error = pts_us - audio_passthrough_end_us(p);
    int64_t hard = FFMAX(HARD_US, frames_us(p, 1) * 3 / 4);
    int rc = 0;
    if (error <= -hard)
        return 0; /* its place is taken */
    if (error >= GAP_MAX_US)
        audio_passthrough_skip(p, error);
    else if (error >= hard) /* to the nearest frame */
        rc = audio_passthrough_silence(p, error + frames_us(p, 1) / 2, received_us);
    error = pts_us - audio_passthrough_end_us(p);
    p->start_us += error * frames_us(p, 1) / FOLLOW_US;
    return rc != 0 ? rc : send_frame(p, data, len, received_us);
}

/* Cameras that send ADTS may say there what they did not announce, or announced wrongly. */
static int follow_header(struct audio_passthrough *p, const struct aac_config *config)
{
    if (config->sample_rate == p->sample_rate && config->channels == p->config->channels)
        return 0;
    if (!aac_config_is_plain(config))
        return -EINVAL;
    struct codec_config *changed = make_config(config->sample_rate, config->channels);
    if (changed == NULL)
        return -ENOMEM;
    p->start_us = audio_passthrough_end_us(p);
    p->frames = 0;
    p->sample_rate = config->sample_rate;
    codec_config_unref(&p->config);
    p->config = changed;
    return 0;
}

/* One frame of raw AAC, or frames with ADTS headers. */
int audio_passthrough_push(struct audio_passthrough *pass, const uint8_t *data, size_t len,
                           int64_t pts_us, int64_t received_us)
{
    struct aac_adts adts;
    if (len == 0 || aac_adts_parse(data, len, &adts) != 0) {
        /* Raw frames cannot begin with a sync word: that would be an END element. */
        bool broken =
            len == 0 || len > FRAME_MAX || (data[0] == 0xff && len > 1 && data[1] >= 0xf0);
        return broken ? -EINVAL : place_frame(pass, data, len, pts_us, received_us);
    }
    int rc = 0;
    while (len > 0 && rc == 0) {
        rc = aac_adts_parse(data, len, &adts);
        if (rc == 0 && adts.blocks != 1)
            rc = -EINVAL; /* where the second one begins only a decoder could tell */
        if (rc == 0)
            rc = follow_header(pass, &adts.config);
        if (rc == 0)
            rc = place_frame(pass, data + adts.header_len, adts.frame_len - adts.header_len, pts_us,
                             received_us);
        if (rc == 0) {
            pts_us += frames_us(pass, 1);
            data += adts.frame_len;
            len -= adts.frame_len;
        }
    }
    return rc;
}

void audio_passthrough_close(struct audio_passthrough **pass)
{
    struct audio_passthrough *p = *pass;
    *pass = NULL;
    if (p == NULL)
        return;
    codec_config_unref(&p->config);
    free(p);
}
