/*
 * Passes AAC frames through unchanged.  Worker, source thread.
 *
 * Frames follow each other sample-exactly from a start time.  Deviating camera time stamps move
 * that start time slowly, so their jitter and rounding (RTMP counts milliseconds) do not reach
 * players, which handle gaps and overlaps between audio frames badly.  When time stamps are most of
 * a frame away on average, the clock is too wrong to follow: once a second a frame is repeated or
 * dropped, or as many as are needed.  When they step by HARD_US or more (packets were lost), that
 * is done at once.  Gaps of more than REPEAT_MAX frames are filled with silence.
 */
#include "worker/audio/audio_passthrough.h"

#include "common/log.h"
#include "worker/media/aac.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HARD_US 60000
#define GAP_MAX_US 5000000
#define FOLLOW_US 500000     /* time constant for following an error ... */
#define FOLLOW_SHARE 64      /* ... but move at most 1/FOLLOW_SHARE of a frame per frame */
#define FILTER_US 500000     /* time constant of the average error */
#define ADJUST_US 1000000    /* least time between two adjustments for a wrong clock ... */
#define ADJUST_MAX_US 150000 /* ... unless the error is at least this large */
#define REPEAT_MAX 2
#define CONTRADICTIONS 8 /* frames in a row that show that the configuration is wrong */
#define FRAME_MAX 8192   /* bytes: the most that ADTS can express */

struct audio_passthrough {
    int sample_rate;
    struct codec_config *config;
    int64_t start_us; /* moves slowly */
    int64_t frames;   /* frames sent since start_us */
    bool started;
    double pace;         /* see audio_set_pace() */
    int64_t last_pts_us; /* time stamp of the newest frame received */
    int64_t adjusted_us; /* time stamp at which frames were last repeated or dropped */
    double error_us;     /* how late the time stamps are, on average */
    int64_t drop;        /* frames still to be dropped */
    int header_channels; /* as the newest ADTS header has them; 0: there was none */
    int contradictions;  /* the newest frames that have other channels than was announced */
    bool told;           /* ... in the log */
    struct frame *last;  /* the last frame sent; one reference */
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
    p->pace = 1;
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
    frame_unref(&p->last);
    p->last = frame_ref(f);
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

void audio_passthrough_set_pace(struct audio_passthrough *pass, double pace)
{
    pass->pace = pace;
}

/* Fill a gap with whole frames: repeat the last frame in a short gap, else send silence. */
static int fill(struct audio_passthrough *p, int64_t error_us, bool stepped, int64_t received_us)
{
    int64_t frames = (error_us + frames_us(p, 1) / 2) / frames_us(p, 1); /* to the nearest frame */
    if (stepped || frames > REPEAT_MAX || p->last == NULL || p->last->config != p->config)
        return audio_passthrough_silence(p, error_us + frames_us(p, 1) / 2, received_us);
    struct frame *again = frame_ref(p->last);
    int rc = 0;
    for (; frames > 0 && rc == 0; frames--)
        rc = send_frame(p, again->data, again->len, received_us);
    frame_unref(&again);
    return rc;
}

/* Repeat frames, or note how many to drop. */
static int adjust(struct audio_passthrough *p, int64_t error_us, bool stepped, int64_t pts_us,
                  int64_t received_us)
{
    p->adjusted_us = pts_us;
    p->error_us = 0;
    if (error_us < 0)
        p->drop = (-error_us + frames_us(p, 1) / 2) / frames_us(p, 1);
    else if (error_us >= GAP_MAX_US)
        audio_passthrough_skip(p, error_us);
    else
        return fill(p, error_us, stepped, received_us);
    return 0;
}

/* Compare a frame's time stamp with its place, and adjust that if need be. */
static int keep_up(struct audio_passthrough *p, int64_t error_us, int64_t pts_us,
                   int64_t received_us)
{
    int64_t frame_us = frames_us(p, 1), near_us = frame_us * 3 / 4;
    int64_t expected_us = p->last_pts_us + llrint((double)frame_us * p->pace);
    bool hard = llabs(error_us) >= FFMAX(HARD_US, near_us);
    bool stepped = hard && llabs(pts_us - expected_us) >= HARD_US;
    p->error_us += ((double)error_us - p->error_us) * fmin(1, (double)frame_us / FILTER_US);
    if (stepped || llabs(error_us) >= ADJUST_MAX_US)
        return adjust(p, error_us, stepped, pts_us, received_us);
    if (pts_us - p->adjusted_us < ADJUST_US || (!hard && fabs(p->error_us) < (double)near_us))
        return 0;
    return adjust(p, hard ? error_us : llrint(p->error_us), false, pts_us, received_us);
}

static int64_t follow(const struct audio_passthrough *p, int64_t error_us)
{
    int64_t frame_us = frames_us(p, 1), most_us = frame_us / FOLLOW_SHARE;
    return FFMAX(-most_us, FFMIN(most_us, error_us * frame_us / FOLLOW_US));
}

/* Send one raw frame that belongs at pts_us. */
static int place_frame(struct audio_passthrough *p, const uint8_t *data, size_t len, int64_t pts_us,
                       int64_t received_us)
{
    if (!p->started && p->frames == 0)
        audio_passthrough_start(p, pts_us);
    if (!p->started)
        p->last_pts_us = pts_us - frames_us(p, 1);
    p->started = true;

    int64_t error = pts_us - audio_passthrough_end_us(p);
    int rc = p->drop == 0 ? keep_up(p, error, pts_us, received_us) : 0;
    p->last_pts_us = pts_us;
    if (p->drop > 0 && error < 0) { /* another frame has its place */
        p->drop--;
        return rc;
    }
    p->drop = 0;
    p->start_us += follow(p, pts_us - audio_passthrough_end_us(p));
    return rc != 0 ? rc : send_frame(p, data, len, received_us);
}

/* Adopt the format of an ADTS header, which the camera may not have announced, or wrongly. */
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

/* Adopt the channels that frames have, whatever was announced: at once at the start, later when
 * many say so, since one may be broken. */
static int follow_frame(struct audio_passthrough *p, const uint8_t *data, size_t len)
{
    int channels = aac_frame_channels(data, len);
    int announced = p->config->channels;
    if (channels == 0)
        return 0;
    p->contradictions = channels == announced ? 0 : p->contradictions + 1;
    if (p->contradictions == 0 || (p->started && p->contradictions < CONTRADICTIONS))
        return 0;
    p->contradictions = 0;
    if (!p->told)
        log_warnx(NULL, "sound was announced with %d channel%s, its frames have %d: they count",
                  announced, announced == 1 ? "" : "s", channels);
    p->told = true;
    return follow_header(p, &(struct aac_config){.object_type = 2,
                                                 .sample_rate = p->sample_rate,
                                                 .channels = channels});
}

/* As follow_header() and follow_frame(): a header counts when it says something new. */
static int follow_adts(struct audio_passthrough *p, const struct aac_adts *adts,
                       const uint8_t *data)
{
    const struct aac_config *c = &adts->config;
    bool is_new = c->channels != p->header_channels || c->sample_rate != p->sample_rate;
    int rc = is_new ? follow_header(p, c) : 0;
    if (rc != 0)
        return rc;
    p->header_channels = c->channels;
    return follow_frame(p, data + adts->header_len, adts->frame_len - adts->header_len);
}

/* Take one raw AAC frame, or frames with ADTS headers. */
int audio_passthrough_push(struct audio_passthrough *pass, const uint8_t *data, size_t len,
                           int64_t pts_us, int64_t received_us)
{
    struct aac_adts adts;
    if (len == 0 || aac_adts_parse(data, len, &adts) != 0) {
        /* Raw frames cannot begin with a sync word: that would be an END element. */
        bool broken =
            len == 0 || len > FRAME_MAX || (data[0] == 0xff && len > 1 && data[1] >= 0xf0);
        int rc = broken ? -EINVAL : follow_frame(pass, data, len);
        return rc != 0 ? rc : place_frame(pass, data, len, pts_us, received_us);
    }
    int rc = 0;
    while (len > 0 && rc == 0) {
        rc = aac_adts_parse(data, len, &adts);
        if (rc == 0 && adts.blocks != 1)
            rc = -EINVAL; /* only a decoder could tell where the second block begins */
        if (rc == 0)
            rc = follow_adts(pass, &adts, data);
        if (rc == 0)
            rc = place_frame(pass, data + adts.header_len, adts.frame_len - adts.header_len, pts_us,
                             received_us);
        if (rc == 0) {
            pts_us += llrint((double)frames_us(pass, 1) * pass->pace);
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
    frame_unref(&p->last);
    free(p);
}
