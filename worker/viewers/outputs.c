#include "worker/viewers/outputs.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/transcode_mode.h"
#include "common/xalloc.h"
#include "worker/media/video_codec.h"
#include "worker/pictures/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RENDITION_RETRY_MS 1000

enum output { OUTPUT_ORIGINAL, OUTPUT_H264, OUTPUT_COUNT };

struct outputs {
    uv_loop_t *loop;
    const struct ipc_limits *limits;
    const char *camera;
    struct fanout *fanouts[OUTPUT_COUNT];
    uint64_t pictures;           /* video frames so far */
    size_t count;                /* fanouts made: OUTPUT_H264 comes with its first viewer */
    enum AVCodecID codec;        /* the camera's, by its newest picture; NONE: not known */
    struct snapshot *snapshot;   /* reads the original's ring */
    struct rendition *rendition; /* NULL: not transcoding */
    struct rendition_stats gone; /* totals of stopped renditions */
    int rendition_error;         /* error of the last start; 0: none.  -ENOTSUP is final */
    int64_t rendition_retry_ms;  /* not started again before this */
    bool has_tracks;
    struct codec_config *audio; /* one reference, or NULL */
    /* The answers to statistics while the parts close one by one. */
    struct fanout_stats final;
    struct ipc_histogram final_times;
    struct closing closing; /* parts: the fan-outs, the snapshots, the rendition */
};

/* Which viewers to move: those of an output that is not theirs. */
struct move {
    enum AVCodecID codec;
    enum output from;
};

struct outputs *outputs_new(uv_loop_t *loop, const struct ipc_limits *limits, const char *camera,
                            const struct client_return *back)
{
    struct outputs *o = xcalloc(1, sizeof(*o));
    o->loop = loop;
    o->limits = limits;
    o->camera = camera;
    o->fanouts[o->count++] = fanout_new(loop, limits, camera);
    o->snapshot =
        snapshot_new(loop, fanout_ring(o->fanouts[OUTPUT_ORIGINAL]), limits, camera, back);
    return o;
}

/* --- transcoding ---------------------------------------------------------- */

static void on_rendition_frame(void *ctx, struct frame *frame)
{
    struct outputs *o = ctx;
    fanout_push(o->fanouts[OUTPUT_H264], frame_ref(frame));
}

/* Start the encoder with the frames cached since the key frame, so that viewers need not wait. */
static void push_cached(struct outputs *o)
{
    const struct frame_ring *ring = fanout_ring(o->fanouts[OUTPUT_ORIGINAL]);
    uint64_t seq;
    if (!frame_ring_key(ring, &seq))
        return;
    for (; seq < frame_ring_head(ring); seq++)
        rendition_push(o->rendition, frame_ring_get(ring, seq));
}

static void start_rendition(struct outputs *o)
{
    int rc = rendition_open(o->loop, o->codec, on_rendition_frame, o, &o->rendition);
    o->rendition_error = 0;
    if (rc == 0) {
        log_info(NULL, "transcoding to H.264");
        push_cached(o);
        return;
    }
    log_errorx(NULL, "cannot transcode to H.264: %s", strerrordesc_np(-rc));
    o->rendition_error = rc;
    o->rendition_retry_ms = clock_ms() + RENDITION_RETRY_MS;
}

static void stop_rendition(struct outputs *o, void (*closed)(void *ctx), void *ctx)
{
    o->gone = outputs_transcoder_stats(o);
    rendition_close(&o->rendition, closed, ctx);
    fanout_disconnected(o->fanouts[OUTPUT_H264]);
}

static bool is_forbidden(const struct outputs *o)
{
    return o->limits->transcode == TRANSCODE_NEVER;
}

/* What a viewer who cannot get H.264 may ask for instead. */
static const char *instead(const struct outputs *o)
{
    if (o->codec == AV_CODEC_ID_HEVC)
        return ": only allow_h265=true is accepted";
    if (o->codec == AV_CODEC_ID_AV1)
        return ": only av1=enhanced is accepted";
    return is_forbidden(o) ? ": only its snapshots can be had" : "";
}

/* A shortage (threads, memory) may end soon; a libavcodec without the codecs stays as it is. */
static void refuse_h264(struct outputs *o)
{
    struct fanout *h264 = o->fanouts[OUTPUT_H264];
    char text[128];
    const char *name = o->codec == AV_CODEC_ID_HEVC ? "HEVC" : video_codec_name(o->codec);
    const char *why =
        is_forbidden(o) ? "[camera] transcode = never" : "this server cannot transcode it";
    (void)snprintf(text, sizeof(text), "the camera sends %s, and %s%s", name, why, instead(o));
    if (is_forbidden(o) || o->rendition_error == -ENOTSUP)
        fanout_fail_waiting(h264, INT64_MAX, HTTP_ERROR_UNSUPPORTED_CODEC, text);
    else
        fanout_fail_waiting(h264, INT64_MAX, HTTP_ERROR_OVERLOADED,
                            "the server has nothing left to transcode with; try again in a moment");
}

/* Send a frame of the camera to the viewers of the H.264 output, transcoded if necessary. */
static void push_h264(struct outputs *o, struct frame *frame)
{
    struct fanout *h264 = o->fanouts[OUTPUT_H264];
    if (frame->track == TRACK_AUDIO || frame->config->codec == AV_CODEC_ID_H264) {
        fanout_push(h264, frame_ref(frame));
    } else if (o->rendition != NULL) {
        rendition_push(o->rendition, frame);
    } else if (is_forbidden(o) || o->rendition_error == -ENOTSUP ||
               (o->rendition_error != 0 && clock_ms() < o->rendition_retry_ms)) {
        refuse_h264(o);
    } else if (fanout_waiting(h264) + fanout_streaming(h264) > 0) {
        start_rendition(o); /* the frame is in the ring already */
    }
}

void outputs_check(struct outputs *outputs)
{
    struct fanout *h264 = outputs->fanouts[OUTPUT_H264];
    if (outputs->rendition == NULL || fanout_waiting(h264) + fanout_streaming(h264) > 0)
        return;
    log_info(NULL, "nobody needs the transcoder any more");
    stop_rendition(outputs, NULL, NULL);
}

/* --- all outputs ---------------------------------------------------------- */

static void make_h264(struct outputs *o)
{
    struct fanout *h264 = fanout_new(o->loop, o->limits, o->camera);
    const struct frame_ring *ring = fanout_ring(o->fanouts[OUTPUT_ORIGINAL]);
    uint64_t seq;
    o->fanouts[o->count++] = h264;
    if (o->has_tracks)
        fanout_set_tracks(h264, o->audio);
    if (!frame_ring_key(ring, &seq) || frame_ring_get(ring, seq)->config->codec != AV_CODEC_ID_H264)
        return;
    for (; seq < frame_ring_head(ring); seq++)
        fanout_push(h264, frame_ref(frame_ring_get(ring, seq)));
}

/* Which output is a viewer's, with a camera of this codec? */
static enum output output_of(enum AVCodecID codec, const struct ipc_client *request)
{
    switch (codec) {
    case AV_CODEC_ID_NONE: /* not known yet */
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        return request->allow_h265 != 0 ? OUTPUT_ORIGINAL : OUTPUT_H264;
    case AV_CODEC_ID_AV1:
        return request->av1 == IPC_AV1_ENHANCED ? OUTPUT_ORIGINAL : OUTPUT_H264;
    default:
        return OUTPUT_H264;
    }
}

static bool is_misplaced(void *ctx, const struct ipc_client *request)
{
    const struct move *move = ctx;
    return output_of(move->codec, request) != move->from;
}

/* Another codec than expected: waiting viewers go to the output that is theirs. */
static void place_waiting(struct outputs *o)
{
    struct move from_original = {o->codec, OUTPUT_ORIGINAL};
    struct move from_h264 = {o->codec, OUTPUT_H264};
    if (!fanout_any_waiting(o->fanouts[OUTPUT_ORIGINAL], is_misplaced, &from_original) &&
        o->count <= OUTPUT_H264)
        return;
    if (o->count <= OUTPUT_H264)
        make_h264(o);
    fanout_move_waiting(o->fanouts[OUTPUT_ORIGINAL], o->fanouts[OUTPUT_H264], is_misplaced,
                        &from_original);
    fanout_move_waiting(o->fanouts[OUTPUT_H264], o->fanouts[OUTPUT_ORIGINAL], is_misplaced,
                        &from_h264);
}

static void take_codec(struct outputs *o, const struct frame *frame)
{
    if (frame->track != TRACK_VIDEO || frame->config->codec == o->codec)
        return;
    if (o->codec != AV_CODEC_ID_NONE)
        outputs_disconnected(o); /* nobody may begin with pictures of the codec before */
    o->codec = frame->config->codec;
    o->rendition_error = 0;
    place_waiting(o);
}

void outputs_add_client(struct outputs *outputs, int *fd, const struct ipc_client *request)
{
    if (request->kind != IPC_CLIENT_STREAM) {
        snapshot_add(outputs->snapshot, fd, request);
        return;
    }
    enum output which = output_of(outputs->codec, request);
    if ((size_t)which >= outputs->count)
        make_h264(outputs);
    fanout_add(outputs->fanouts[which], fd, request);
    if (which == OUTPUT_H264 && outputs->rendition != NULL)
        rendition_request_key(outputs->rendition);
}

void outputs_set_tracks(struct outputs *outputs, struct codec_config *audio)
{
    codec_config_unref(&outputs->audio);
    outputs->audio = audio != NULL ? codec_config_ref(audio) : NULL;
    outputs->has_tracks = true;
    for (size_t i = 0; i < outputs->count; i++)
        fanout_set_tracks(outputs->fanouts[i], audio);
}

void outputs_push(struct outputs *outputs, struct frame *frame)
{
    struct frame *held = frame_ref(frame);
    if (frame->track == TRACK_VIDEO)
        frame->number = ++outputs->pictures;
    take_codec(outputs, frame);
    fanout_push(outputs->fanouts[OUTPUT_ORIGINAL], frame);
    if (outputs->count > OUTPUT_H264)
        push_h264(outputs, held);
    if (held->track == TRACK_VIDEO)
        snapshot_on_frame(outputs->snapshot);
    frame_unref(&held);
}

void outputs_disconnected(struct outputs *outputs)
{
    if (outputs->rendition != NULL)
        stop_rendition(outputs, NULL, NULL);
    for (size_t i = 0; i < outputs->count; i++)
        fanout_disconnected(outputs->fanouts[i]);
    snapshot_on_disconnect(outputs->snapshot);
}

void outputs_limits_changed(struct outputs *outputs)
{
    if (outputs->rendition != NULL && is_forbidden(outputs)) {
        log_info(NULL, "transcoding is not allowed any more");
        fanout_close_streaming(outputs->fanouts[OUTPUT_H264], HTTP_ERROR_UNSUPPORTED_CODEC,
                               "transcoding is not allowed");
        stop_rendition(outputs, NULL, NULL);
    }
    for (size_t i = 0; i < outputs->count; i++)
        fanout_limits_changed(outputs->fanouts[i]);
}

void outputs_fail_waiting(struct outputs *outputs, int64_t opened_before_ms, enum http_error error,
                          const char *message)
{
    for (size_t i = 0; i < outputs->count; i++)
        fanout_fail_waiting(outputs->fanouts[i], opened_before_ms, error, message);
    snapshot_fail_unanswered(outputs->snapshot, opened_before_ms, error, message);
}

void outputs_close_streaming(struct outputs *outputs, enum http_error error, const char *why)
{
    for (size_t i = 0; i < outputs->count; i++)
        fanout_close_streaming(outputs->fanouts[i], error, why);
    snapshot_close_streaming(outputs->snapshot);
}

bool outputs_are_whole(const struct outputs *outputs)
{
    bool whole = snapshot_is_whole(outputs->snapshot);
    for (size_t i = 0; i < outputs->count; i++)
        whole = whole && fanout_is_whole(outputs->fanouts[i]);
    return whole;
}

size_t outputs_waiting(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return 0;
    size_t n = snapshot_unanswered(outputs->snapshot);
    for (size_t i = 0; i < outputs->count; i++)
        n += fanout_waiting(outputs->fanouts[i]);
    return n;
}

size_t outputs_snapshots(const struct outputs *outputs)
{
    return outputs->closing.asked ? 0 : snapshot_requests(outputs->snapshot);
}

size_t outputs_streaming(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return 0;
    size_t n = snapshot_streaming(outputs->snapshot);
    for (size_t i = 0; i < outputs->count; i++)
        n += fanout_streaming(outputs->fanouts[i]);
    return n;
}

struct fanout_stats outputs_stats(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return outputs->final;
    struct fanout_stats sum = {.bytes_out = snapshot_get_stats(outputs->snapshot).bytes_out};
    for (size_t i = 0; i < outputs->count; i++) {
        struct fanout_stats s = fanout_stats(outputs->fanouts[i]);
        sum.bytes_out += s.bytes_out;
        sum.frames_skipped += s.frames_skipped;
        sum.gop_overflows += s.gop_overflows;
        histogram_merge(&sum.join, &s.join);
    }
    return sum;
}

struct ipc_histogram outputs_snapshot_times(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return outputs->final_times;
    return snapshot_get_stats(outputs->snapshot).times;
}

struct rendition_stats outputs_transcoder_stats(const struct outputs *outputs)
{
    struct rendition_stats sum = outputs->gone;
    struct rendition_stats now = {0};
    if (outputs->rendition != NULL)
        rendition_get_stats(outputs->rendition, &now);
    sum.frames_in += now.frames_in;
    sum.frames_out += now.frames_out;
    sum.frames_late += now.frames_late;
    sum.frames_dropped += now.frames_dropped;
    return sum;
}

void outputs_give_back(struct outputs *outputs)
{
    snapshot_give_back(outputs->snapshot);
}

/* --- end ------------------------------------------------------------------ */

static void on_part_closed(void *ctx)
{
    struct outputs *o = ctx;
    if (!closing_release(&o->closing))
        return;
    codec_config_unref(&o->audio);
    closing_finish(&o->closing, o);
}

void outputs_close(struct outputs *outputs, void (*closed)(void *ctx), void *ctx)
{
    outputs->final = outputs_stats(outputs);
    outputs->final_times = outputs_snapshot_times(outputs);
    closing_hold(&outputs->closing); /* so that nothing is freed within this function */
    (void)closing_ask(&outputs->closing, closed, ctx);
    if (outputs->rendition != NULL) {
        closing_hold(&outputs->closing);
        stop_rendition(outputs, on_part_closed, outputs);
    }
    closing_hold(&outputs->closing);
    snapshot_close(outputs->snapshot, on_part_closed, outputs); /* before the ring goes */
    for (size_t i = 0; i < outputs->count; i++) {
        closing_hold(&outputs->closing);
        fanout_close(outputs->fanouts[i], on_part_closed, outputs);
    }
    on_part_closed(outputs);
}
