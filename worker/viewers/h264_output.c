#include "worker/viewers/h264_output.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/transcode_mode.h"
#include "common/xalloc.h"
#include "worker/media/video_codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENDITION_RETRY_MS 1000

struct h264_output {
    struct h264_output_params p;
    struct fanout *fanout;
    struct rendition *rendition; /* NULL: not transcoding */
    struct rendition_stats gone; /* totals of stopped renditions */
    int error;                   /* of the last start; 0: none.  -ENOTSUP is final */
    int64_t retry_ms;            /* not started again before this */
};

struct h264_output *h264_output_new(const struct h264_output_params *params)
{
    struct h264_output *o = xcalloc(1, sizeof(*o));
    const struct frame_ring *ring = fanout_arrived(params->original);
    uint64_t seq;
    o->p = *params;
    o->fanout = fanout_new(params->loop, params->limits, params->camera);
    if (!frame_ring_key(ring, &seq) || frame_ring_get(ring, seq)->config->codec != AV_CODEC_ID_H264)
        return o;
    for (; seq < frame_ring_head(ring); seq++)
        fanout_push(o->fanout, frame_ref(frame_ring_get(ring, seq)));
    return o;
}

struct fanout *h264_output_fanout(const struct h264_output *output)
{
    return output->fanout;
}

static bool has_viewers(const struct h264_output *o)
{
    return fanout_waiting(o->fanout) + fanout_streaming(o->fanout) > 0;
}

/* --- the rendition ----------------------------------------------------------- */

static void on_rendition_frame(void *ctx, struct frame *frame)
{
    struct h264_output *o = ctx;
    fanout_push(o->fanout, frame_ref(frame));
}

/* Start the encoder with the frames cached since the key frame, so that viewers need not wait. */
static void push_cached(struct h264_output *o)
{
    const struct frame_ring *ring = fanout_arrived(o->p.original);
    uint64_t seq;
    if (!frame_ring_key(ring, &seq))
        return;
    for (; seq < frame_ring_head(ring); seq++)
        rendition_push(o->rendition, frame_ring_get(ring, seq));
}

static void start_rendition(struct h264_output *o, enum AVCodecID codec)
{
    int rc = rendition_open(o->p.loop, codec, o->p.lines, on_rendition_frame, o, &o->rendition);
    o->error = 0;
    if (rc == 0) {
        log_info(NULL, "transcoding to H.264 of up to %d lines", o->p.lines);
        push_cached(o);
        return;
    }
    log_errorx(NULL, "cannot transcode to H.264: %s", strerrordesc_np(-rc));
    o->error = rc;
    o->retry_ms = clock_ms() + RENDITION_RETRY_MS;
}

static void stop_rendition(struct h264_output *o, void (*closed)(void *ctx), void *ctx)
{
    o->gone = h264_output_stats(o);
    rendition_close(&o->rendition, closed, ctx);
    fanout_disconnected(o->fanout);
}

static bool is_forbidden(const struct h264_output *o)
{
    return o->p.limits->transcode == TRANSCODE_NEVER;
}

/* What a viewer who cannot get H.264 may ask for instead. */
static const char *instead(const struct h264_output *o, enum AVCodecID codec)
{
    if (codec == AV_CODEC_ID_HEVC)
        return ": only allow_h265=true is accepted";
    if (codec == AV_CODEC_ID_AV1)
        return ": only av1=enhanced is accepted";
    return is_forbidden(o) ? ": only snapshots of it are available" : "";
}

/* A shortage (threads, memory) may end soon, and who plays waits for that; a libavcodec without the
 * codecs stays as it is. */
static void refuse(struct h264_output *o, enum AVCodecID codec)
{
    char text[128];
    const char *name = codec == AV_CODEC_ID_HEVC ? "HEVC" : video_codec_name(codec);
    const char *why =
        is_forbidden(o) ? "[camera] transcode = never" : "this server cannot transcode it";
    (void)snprintf(text, sizeof(text), "the camera sends %s, and %s%s", name, why,
                   instead(o, codec));
    if (is_forbidden(o) || o->error == -ENOTSUP) {
        fanout_fail_waiting(o->fanout, INT64_MAX, HTTP_ERROR_UNSUPPORTED_CODEC, text);
        fanout_close_streaming(o->fanout, HTTP_ERROR_UNSUPPORTED_CODEC, text);
    } else {
        fanout_fail_waiting(o->fanout, INT64_MAX, HTTP_ERROR_OVERLOADED,
                            "the server cannot start another transcoder; try again in a moment");
    }
}

/* --- frames -------------------------------------------------------------------- */

void h264_output_push(struct h264_output *output, struct frame *frame)
{
    struct h264_output *o = output;
    enum AVCodecID codec = frame->config->codec;
    if (frame->track == TRACK_AUDIO || codec == AV_CODEC_ID_H264) {
        fanout_push(o->fanout, frame_ref(frame));
    } else if (o->rendition != NULL) {
        rendition_push(o->rendition, frame);
    } else if (is_forbidden(o) || o->error == -ENOTSUP ||
               (o->error != 0 && clock_ms() < o->retry_ms)) {
        refuse(o, codec);
    } else if (has_viewers(o)) {
        start_rendition(o, codec); /* the original has the frame already */
    }
}

void h264_output_request_key(struct h264_output *output)
{
    if (output->rendition != NULL)
        rendition_request_key(output->rendition);
}

void h264_output_disconnected(struct h264_output *output)
{
    if (output->rendition != NULL)
        stop_rendition(output, NULL, NULL);
    fanout_disconnected(output->fanout);
}

void h264_output_codec_changed(struct h264_output *output)
{
    output->error = 0;
}

void h264_output_limits_changed(struct h264_output *output)
{
    if (output->rendition != NULL && is_forbidden(output)) {
        log_info(NULL, "transcoding is not allowed any more");
        fanout_close_streaming(output->fanout, HTTP_ERROR_UNSUPPORTED_CODEC,
                               "transcoding is not allowed");
        stop_rendition(output, NULL, NULL);
    }
    fanout_limits_changed(output->fanout);
}

/* Players would show a picture that stands still, for ever: who was moved here gets nothing at all.
 * Who waits has a deadline already. */
static void end_without_pictures(struct h264_output *o)
{
    if (rendition_failing_us(o->rendition) > (int64_t)o->p.limits->connect_timeout_ms * 1000)
        fanout_close_streaming(o->fanout, HTTP_ERROR_UNSUPPORTED_CODEC,
                               "the camera's pictures cannot be decoded");
}

void h264_output_check(struct h264_output *output)
{
    if (output->rendition == NULL)
        return;
    if (has_viewers(output)) {
        end_without_pictures(output);
        return;
    }
    log_info(NULL, "nobody needs the transcoder to %d lines any more", output->p.lines);
    stop_rendition(output, NULL, NULL);
}

struct rendition_stats h264_output_stats(const struct h264_output *output)
{
    struct rendition_stats sum = output->gone;
    struct rendition_stats now = {0};
    if (output->rendition != NULL)
        rendition_get_stats(output->rendition, &now);
    rendition_stats_add(&sum, &now);
    return sum;
}

/* --- end ------------------------------------------------------------------------ */

void h264_output_close(struct h264_output *output, void (*closed)(void *ctx), void *ctx)
{
    if (output->rendition != NULL)
        stop_rendition(output, closed, ctx);
    else
        closed(ctx);
    fanout_close(output->fanout, closed, ctx);
}

void h264_output_free(struct h264_output *output)
{
    free(output);
}
