/*
 * Turns a camera's sound into AAC-LC: passes it through or transcodes it, and sends silence while
 * the camera sends no sound.  Worker, source thread.
 */
#include "worker/audio/audio.h"

#include "worker/audio/audio_encoder.h"
#include "worker/audio/audio_format.h"
#include "worker/audio/audio_passthrough.h"
#include "worker/audio/audio_transcoder.h"

#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#define LAG_SILENT_US 200000   /* silence stays this far behind the video */
#define LAG_FLOWING_US 1000000 /* sound further behind the video than this has stopped */
#define LAG_FLOWING_MAX_US 5000000
#define LAG_SPARE_US 500000 /* allowed on top of the largest lag seen */
#define FILL_MAX_US 5000000 /* longer gaps are not filled */

struct audio {
    AVCodecParameters *announced;   /* for audio_accepts() */
    AVCodecParameters *par;         /* repaired */
    struct audio_passthrough *pass; /* either this ... */
    struct audio_encoder *encoder;  /* ... or these two; the others are NULL */
    struct audio_transcoder *transcoder;
    bool started; /* the first frame's time is set */
    bool silent;  /* audio_fill() makes silence */
    bool video_known;
    int64_t video_us;       /* newest video frame's decode time */
    int64_t lag_flowing_us; /* grows to the lag that the camera needs */
};

static int copy_parameters(AVCodecParameters **to, const AVCodecParameters *from)
{
    *to = avcodec_parameters_alloc();
    return *to == NULL || avcodec_parameters_copy(*to, from) < 0 ? -ENOMEM : 0;
}

int audio_open(struct audio **audio, const AVCodecParameters *par, audio_emit_fn *emit, void *ctx)
{
    struct audio_format format;
    *audio = NULL;
    struct audio *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return -ENOMEM;
    a->silent = true;
    a->lag_flowing_us = LAG_FLOWING_US;
    int rc = copy_parameters(&a->announced, par);
    if (rc == 0)
        rc = copy_parameters(&a->par, par);
    if (rc == 0)
        rc = audio_format_choose(a->par, &format);
    if (rc == 0 && format.pass_through) {
        rc = audio_passthrough_open(&a->pass, format.sample_rate, format.channels, emit, ctx);
    } else if (rc == 0) {
        rc = audio_encoder_open(&a->encoder, &format, emit, ctx);
        if (rc == 0)
            rc = audio_transcoder_open(&a->transcoder, a->par, a->encoder);
    }
    if (rc != 0)
        audio_close(&a);
    *audio = a;
    return rc;
}

bool audio_accepts(const struct audio *audio, const AVCodecParameters *par)
{
    const AVCodecParameters *a = audio->announced;
    return a->codec_id == par->codec_id && a->sample_rate == par->sample_rate &&
           a->ch_layout.nb_channels == par->ch_layout.nb_channels &&
           a->bits_per_coded_sample == par->bits_per_coded_sample &&
           a->extradata_size == par->extradata_size &&
           (a->extradata_size <= 0 ||
            memcmp(a->extradata, par->extradata, (size_t)a->extradata_size) == 0);
}

struct codec_config *audio_config(const struct audio *audio)
{
    return audio->pass != NULL ? audio_passthrough_config(audio->pass)
                               : audio_encoder_config(audio->encoder);
}

int64_t audio_duration_us(const struct audio *audio, const uint8_t *data, size_t len)
{
    return audio_format_duration_us(audio->par, data, len);
}

void audio_set_pace(struct audio *audio, double pace)
{
    if (audio->pass != NULL)
        audio_passthrough_set_pace(audio->pass, pace);
    else
        audio_transcoder_set_pace(audio->transcoder, pace);
}

int audio_push(struct audio *audio, const uint8_t *data, size_t len, int64_t pts_us,
               int64_t received_us)
{
    audio->started = true;
    audio->silent = false;
    if (audio->video_known && audio->video_us - pts_us > audio->lag_flowing_us - LAG_SPARE_US) {
        int64_t lag = audio->video_us - pts_us + LAG_SPARE_US;
        audio->lag_flowing_us = lag < LAG_FLOWING_MAX_US ? lag : LAG_FLOWING_MAX_US;
    }
    return audio->pass != NULL
               ? audio_passthrough_push(audio->pass, data, len, pts_us, received_us)
               : audio_transcoder_push(audio->transcoder, data, len, pts_us, received_us);
}

static void start(struct audio *a, int64_t start_us)
{
    a->started = true;
    if (a->pass != NULL)
        audio_passthrough_start(a->pass, start_us);
    else
        audio_encoder_start(a->encoder, start_us);
}

static int write_silence(struct audio *a, int64_t duration_us, int64_t received_us)
{
    if (a->pass != NULL && duration_us > FILL_MAX_US) {
        audio_passthrough_skip(a->pass, duration_us);
        return 0;
    }
    if (a->pass != NULL)
        return audio_passthrough_silence(a->pass, duration_us, received_us);
    int64_t samples = audio_encoder_samples(a->encoder, duration_us);
    return duration_us > FILL_MAX_US ? audio_encoder_skip(a->encoder, samples, received_us)
                                     : audio_encoder_write(a->encoder, NULL, samples, received_us);
}

int audio_fill(struct audio *audio, int64_t video_us, int64_t received_us)
{
    audio->video_known = true;
    audio->video_us = video_us;
    if (!audio->started)
        start(audio, video_us);
    int64_t end_us = audio->pass != NULL ? audio_passthrough_end_us(audio->pass)
                                         : audio_encoder_end_us(audio->encoder);
    int64_t lag_us = video_us - end_us;
    if (lag_us < (audio->silent ? LAG_SILENT_US : audio->lag_flowing_us))
        return 0;
    audio->silent = true;
    return write_silence(audio, lag_us - LAG_SILENT_US, received_us);
}

void audio_reset(struct audio *audio)
{
    if (audio->transcoder != NULL)
        audio_transcoder_reset(audio->transcoder);
}

void audio_close(struct audio **audio)
{
    struct audio *a = *audio;
    *audio = NULL;
    if (a == NULL)
        return;
    audio_passthrough_close(&a->pass);
    audio_transcoder_close(&a->transcoder);
    audio_encoder_close(&a->encoder);
    avcodec_parameters_free(&a->announced);
    avcodec_parameters_free(&a->par);
    free(a);
}
