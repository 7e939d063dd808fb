#include "worker/camera/ingest.h"

#include "common/log.h"
#include "common/xalloc.h"
#include "worker/audio/audio.h"
#include "worker/video/access_unit.h"
#include "worker/video/picture_unit.h"
#include "worker/video/timeline.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>

_Static_assert(TIMELINE_NONE == AV_NOPTS_VALUE, "timeline.h promises it");

/* The longest time that a picture may take to arrive; after that it is no sign of life. */
#define PICTURE_MAX_US 4000000

/* The picture that is arriving. */
struct coming {
    int64_t pts;
    int64_t since_us;
    size_t bytes;
};

struct ingest {
    struct media_sink sink;
    struct ingest_output output;
    struct timeline timeline;
    struct access_unit *video;     /* H.264 and HEVC; */
    struct picture_unit *pictures; /* ... other codecs.  At most one of the two. */
    enum AVCodecID video_codec;
    AVRational time_base[TRACK_COUNT];
    struct audio *audio;       /* NULL: no audio track, or none that can become AAC */
    _Atomic unsigned no_audio; /* enum ipc_no_audio */
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t pictures_in; /* changes of the picture's time stamp */
    int64_t picture_pts;
    struct coming coming;
};

static int64_t to_us(int64_t t, AVRational time_base)
{
    return t == AV_NOPTS_VALUE ? TIMELINE_NONE : av_rescale_q(t, time_base, AV_TIME_BASE_Q);
}

/* Put a complete access unit on the output clock. */
static void on_access_unit(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    struct ingest *in = ctx;
    const struct codec_config *config = frame->config;
    struct timeline_in stamp = {
        .track = TRACK_VIDEO,
        .reorder_frames = config->reorder_frames,
        .pts_us = to_us(pts, in->time_base[TRACK_VIDEO]),
        .dts_us = to_us(dts, in->time_base[TRACK_VIDEO]),
        .received_us = frame->received_us,
    };
    if (config->frame_rate_num > 0)
        stamp.duration_us = av_rescale(1000000, config->frame_rate_den, config->frame_rate_num);
    struct timeline_out placed;
    timeline_map(&in->timeline, &stamp, &placed);
    frame->dts_us = placed.dts_us;
    frame->pts_us = placed.pts_us;
    int64_t received_us = frame->received_us;
    in->coming = (struct coming){.pts = pts, .since_us = received_us};
    in->output.on_frame(in->output.ctx, frame);
    if (in->audio != NULL)
        (void)audio_fill(in->audio, placed.dts_us, received_us);
}

static void on_audio_frame(void *ctx, struct frame *frame)
{
    struct ingest *in = ctx;
    in->output.on_frame(in->output.ctx, frame);
}

static void free_video(struct ingest *in)
{
    access_unit_free(&in->video);
    picture_unit_free(&in->pictures);
}

static void set_video(struct ingest *in, const AVCodecParameters *par)
{
    size_t len = par->extradata_size > 0 ? (size_t)par->extradata_size : 0;
    if (in->video != NULL && in->video_codec == par->codec_id) {
        access_unit_restart(in->video, par->extradata, len);
        return;
    }
    if (in->pictures != NULL && in->video_codec == par->codec_id) {
        picture_unit_restart(in->pictures, par->extradata, len);
        return;
    }
    free_video(in);
    const struct access_unit_events events = {on_access_unit, in};
    in->video = access_unit_new(par->codec_id, par->extradata, len, &events);
    if (in->video == NULL)
        in->pictures = picture_unit_new(par->codec_id, par->extradata, len, &events);
    in->video_codec = par->codec_id;
}

static void set_no_audio(struct ingest *in, enum ipc_no_audio why)
{
    atomic_store_explicit(&in->no_audio, why, memory_order_relaxed);
}

static void open_audio(struct ingest *in, const struct media_track *track)
{
    if (track != NULL && in->audio != NULL && audio_accepts(in->audio, track->par)) {
        audio_reset(in->audio);
        return;
    }
    audio_close(&in->audio);
    if (track == NULL)
        return;
    if (audio_open(&in->audio, track->par, on_audio_frame, in) == 0)
        return;
    set_no_audio(in, IPC_NO_AUDIO_UNSUPPORTED_CODEC);
    log_warnx(NULL, "audio codec %s cannot be turned into AAC: going on without audio",
              avcodec_get_name(track->par->codec_id));
}

/* @param track  NULL: there is none. */
static void set_audio(struct ingest *in, const struct media_track *track)
{
    set_no_audio(in, track != NULL ? IPC_NO_AUDIO_NOT_RECEIVED : IPC_NO_AUDIO_NOT_ANNOUNCED);
    open_audio(in, track);
    if (track != NULL)
        in->time_base[TRACK_AUDIO] = track->time_base;
    in->output.on_tracks(in->output.ctx, track != NULL ? track->par->codec_id : AV_CODEC_ID_NONE,
                         in->audio != NULL ? audio_config(in->audio) : NULL);
}

static int on_tracks(void *ctx, const struct media_track *video, const struct media_track *audio)
{
    struct ingest *in = ctx;
    set_video(in, video->par);
    if (in->video == NULL && in->pictures == NULL)
        return -ENOTSUP;
    in->time_base[TRACK_VIDEO] = video->time_base;
    set_audio(in, audio);
    return 0;
}

static void on_audio(void *ctx, const struct media_track *audio)
{
    set_audio(ctx, audio);
}

static void on_no_audio(void *ctx, enum ipc_no_audio why)
{
    set_no_audio(ctx, why);
}

static bool on_audio_packet(struct ingest *in, const struct media_packet *packet)
{
    if (in->audio == NULL)
        return false;
    struct timeline_in stamp = {
        .track = TRACK_AUDIO,
        .pts_us = to_us(packet->pts, in->time_base[TRACK_AUDIO]),
        .dts_us = TIMELINE_NONE,
        .duration_us = audio_duration_us(in->audio, packet->data, packet->len),
        .received_us = packet->received_us,
    };
    struct timeline_out placed;
    timeline_map(&in->timeline, &stamp, &placed);
    if (placed.history)
        return false;
    audio_set_pace(in->audio, placed.pace);
    int rc = audio_push(in->audio, packet->data, packet->len, placed.pts_us, packet->received_us);
    if (rc == 0)
        set_no_audio(in, IPC_NO_AUDIO_NONE);
    else if (ingest_no_audio(in) != IPC_NO_AUDIO_NONE)
        set_no_audio(in, IPC_NO_AUDIO_UNREADABLE);
    return false; /* a camera that sends sound but no picture has stalled */
}

static void count_picture(struct ingest *in, int64_t pts)
{
    if (pts != in->picture_pts)
        atomic_fetch_add_explicit(&in->pictures_in, 1, memory_order_relaxed);
    in->picture_pts = pts;
}

/* Endless slices of one picture would keep a camera connected that shows nothing. */
static bool has_no_end(struct ingest *in, const struct media_packet *packet)
{
    struct coming *c = &in->coming;
    if (packet->pts != c->pts)
        *c = (struct coming){.pts = packet->pts, .since_us = packet->received_us};
    c->bytes += packet->len;
    return c->bytes > FRAME_MAX_BYTES || packet->received_us - c->since_us > PICTURE_MAX_US;
}

static bool push_video(struct ingest *in, const struct media_packet *packet)
{
    if (in->video != NULL)
        return access_unit_push(in->video, packet);
    return in->pictures != NULL && picture_unit_push(in->pictures, packet);
}

static bool on_packet(void *ctx, const struct media_packet *packet)
{
    struct ingest *in = ctx;
    atomic_fetch_add_explicit(&in->bytes_in, packet->len, memory_order_relaxed);
    if (packet->track == TRACK_AUDIO)
        return on_audio_packet(in, packet);
    count_picture(in, packet->pts);
    bool has_end = !has_no_end(in, packet);
    return push_video(in, packet) && has_end;
}

static void on_report(void *ctx, const struct media_report *report)
{
    struct ingest *in = ctx;
    timeline_report(&in->timeline, report->track, to_us(report->pts, in->time_base[report->track]),
                    report->wall_us, report->received_us);
}

struct ingest *ingest_new(void)
{
    struct ingest *in = xcalloc(1, sizeof(*in));
    in->sink = (struct media_sink){.on_tracks = on_tracks,
                                   .on_audio = on_audio,
                                   .on_no_audio = on_no_audio,
                                   .on_packet = on_packet,
                                   .on_report = on_report,
                                   .ctx = in};
    timeline_init(&in->timeline);
    return in;
}

void ingest_free(struct ingest **ingest)
{
    struct ingest *in = *ingest;
    *ingest = NULL;
    if (in == NULL)
        return;
    free_video(in);
    audio_close(&in->audio);
    free(in);
}

void ingest_connect(struct ingest *ingest, const struct ingest_output *output)
{
    ingest->output = *output;
    ingest->picture_pts = AV_NOPTS_VALUE;
    ingest->coming = (struct coming){.pts = AV_NOPTS_VALUE};
    atomic_store_explicit(&ingest->pictures_in, 0, memory_order_relaxed);
    set_no_audio(ingest, IPC_NO_AUDIO_NONE);
    timeline_reconnect(&ingest->timeline);
}

uint64_t ingest_pictures_in(const struct ingest *ingest)
{
    return atomic_load_explicit(&ingest->pictures_in, memory_order_relaxed);
}

enum ipc_no_audio ingest_no_audio(const struct ingest *ingest)
{
    return (enum ipc_no_audio)atomic_load_explicit(&ingest->no_audio, memory_order_relaxed);
}

uint64_t ingest_bytes_in(const struct ingest *ingest)
{
    return atomic_load_explicit(&ingest->bytes_in, memory_order_relaxed);
}

const struct media_sink *ingest_sink(const struct ingest *ingest)
{
    return &ingest->sink;
}
