#include "worker/viewers/outputs.h"

#include "common/closing.h"
#include "common/histogram.h"
#include "common/xalloc.h"
#include "worker/pictures/snapshot.h"
#include "worker/viewers/h264_output.h"

#include <string.h>

/* The outputs; those of H.264 by their lines. */
enum output {
    OUTPUT_ORIGINAL,
    OUTPUT_H264_360,
    OUTPUT_H264_540,
    OUTPUT_H264_720,
    OUTPUT_H264_1080,
    OUTPUT_COUNT
};

static const int lines_of[OUTPUT_COUNT] = {[OUTPUT_H264_360] = 360,
                                           [OUTPUT_H264_540] = 540,
                                           [OUTPUT_H264_720] = 720,
                                           [OUTPUT_H264_1080] = 1080};

struct outputs {
    uv_loop_t *loop;
    const struct ipc_limits *limits;
    const char *camera;
    struct fanout *original;
    struct h264_output
        *h264[OUTPUT_COUNT];   /* NULL until its first viewer comes; not for ORIGINAL */
    uint64_t pictures;         /* video frames so far */
    enum AVCodecID codec;      /* the camera's, by its newest picture; NONE: not known */
    int lines;                 /* the short side of that picture; 0: not known */
    struct snapshot *snapshot; /* reads the original's ring */
    bool has_tracks;
    struct codec_config *audio; /* one reference, or NULL */
    /* The answers to statistics while the parts close one by one. */
    struct fanout_stats final;
    struct ipc_histogram final_times;
    struct closing closing; /* parts: the fan-outs, the snapshots, the renditions */
};

/* Which viewers to move: those of an output that is another one's. */
struct move {
    const struct outputs *outputs;
    enum output from;
    enum output to;
};

/* @return NULL: nobody has needed it. */
static struct fanout *fanout_of(const struct outputs *o, size_t which)
{
    if (which == OUTPUT_ORIGINAL)
        return o->original;
    return o->h264[which] != NULL ? h264_output_fanout(o->h264[which]) : NULL;
}

struct outputs *outputs_new(uv_loop_t *loop, const struct ipc_limits *limits, const char *camera,
                            const struct client_return *back)
{
    struct outputs *o = xcalloc(1, sizeof(*o));
    o->loop = loop;
    o->limits = limits;
    o->camera = camera;
    o->original = fanout_new(loop, limits, camera);
    o->snapshot = snapshot_new(loop, fanout_ring(o->original), limits, camera, back);
    return o;
}

void outputs_check(struct outputs *outputs)
{
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] != NULL)
            h264_output_check(outputs->h264[i]);
    }
}

/* --- which output is a viewer's ---------------------------------------------- */

/* The smallest output with as many lines as asked for. */
static enum output h264_asked(const struct client_wish *wish)
{
    int wanted = wish->height != 0 ? (int)wish->height : lines_of[OUTPUT_H264_1080];
    int which = OUTPUT_H264_360;
    while (which < OUTPUT_H264_1080 && lines_of[which] < wanted)
        which++;
    return (enum output)which;
}

/* Those that would not make the camera's picture smaller are one, the biggest: the camera may come
 * back with more lines. */
static enum output h264_of(const struct outputs *o, const struct client_wish *wish)
{
    enum output which = h264_asked(wish);
    bool smaller = o->lines == 0 || lines_of[which] < o->lines;
    return smaller ? which : OUTPUT_H264_1080;
}

static bool wants_h264(enum AVCodecID codec, const struct client_wish *wish)
{
    switch (codec) {
    case AV_CODEC_ID_NONE: /* not known yet */
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        return wish->allow_h265 == 0;
    case AV_CODEC_ID_AV1:
        return wish->av1 != IPC_AV1_ENHANCED;
    default:
        return true;
    }
}

/* Which output is a viewer's, with the camera's codec and size?  H.264 is not transcoded, so one
 * output is enough. */
static enum output output_of(const struct outputs *o, const struct client_wish *wish)
{
    if (!wants_h264(o->codec, wish))
        return OUTPUT_ORIGINAL;
    return o->codec == AV_CODEC_ID_H264 ? OUTPUT_H264_1080 : h264_of(o, wish);
}

/* The same for a viewer of an output.  One that plays stays with its codec, since no player accepts
 * another one, if it plays H.264 for which there is an output; else its connection ends. */
static enum output output_for(const struct outputs *o, const struct client *client,
                              enum output from)
{
    const struct client_wish *wish = client_get_wish(client);
    enum output to = output_of(o, wish);
    bool is_h264 = to != OUTPUT_ORIGINAL || o->codec == AV_CODEC_ID_H264;
    if (client_awaits_start(client))
        return to;
    bool has_it = from == h264_asked(wish) && o->codec != AV_CODEC_ID_H264;
    if (!client_plays_h264(client) || has_it) /* as it is, or it cannot go on */
        return from;
    return is_h264 || from == OUTPUT_ORIGINAL ? to : h264_of(o, wish);
}

static struct fanout *need(struct outputs *o, enum output which)
{
    if (which == OUTPUT_ORIGINAL || o->h264[which] != NULL)
        return fanout_of(o, which);
    o->h264[which] = h264_output_new(
        &(struct h264_output_params){o->loop, o->limits, o->camera, o->original, lines_of[which]});
    if (o->has_tracks)
        fanout_set_tracks(fanout_of(o, which), o->audio);
    return fanout_of(o, which);
}

static bool belongs(void *ctx, const struct client *client)
{
    const struct move *move = ctx;
    return move->to != move->from && output_for(move->outputs, client, move->from) == move->to;
}

static void request_key(struct outputs *o, enum output which)
{
    if (which != OUTPUT_ORIGINAL)
        h264_output_request_key(o->h264[which]);
}

/* Viewers go to the output that is theirs with the camera's new codec and size. */
static void place_viewers(struct outputs *o)
{
    for (int from = 0; from < OUTPUT_COUNT; from++) {
        for (int to = 0; to < OUTPUT_COUNT && fanout_of(o, (size_t)from) != NULL; to++) {
            struct move move = {o, (enum output)from, (enum output)to};
            struct fanout *source = fanout_of(o, (size_t)from);
            if (!fanout_any(source, belongs, &move))
                continue;
            fanout_move(source, need(o, move.to), belongs, &move);
            request_key(o, move.to);
        }
    }
}

static int short_side(const struct codec_config *config)
{
    return config->width < config->height ? config->width : config->height;
}

static void take_codec(struct outputs *o, const struct frame *frame)
{
    if (frame->track != TRACK_VIDEO)
        return;
    int lines = short_side(frame->config);
    bool same_codec = frame->config->codec == o->codec;
    if (same_codec && lines == o->lines)
        return;
    if (!same_codec && o->codec != AV_CODEC_ID_NONE)
        outputs_disconnected(o); /* nobody may begin with pictures of the codec before */
    o->codec = frame->config->codec;
    o->lines = lines;
    for (size_t i = 0; i < OUTPUT_COUNT && !same_codec; i++) {
        if (o->h264[i] != NULL)
            h264_output_codec_changed(o->h264[i]);
    }
    place_viewers(o);
}

/* --- all outputs ---------------------------------------------------------- */

void outputs_add_client(struct outputs *outputs, int *fd, const struct ipc_client *request)
{
    if (request->kind != IPC_CLIENT_STREAM) {
        snapshot_add(outputs->snapshot, fd, request);
        return;
    }
    const struct client_wish wish = {request->allow_h265, request->av1, request->height};
    enum output which = output_of(outputs, &wish);
    fanout_add(need(outputs, which), fd, request);
    request_key(outputs, which);
}

void outputs_set_tracks(struct outputs *outputs, struct codec_config *audio)
{
    codec_config_unref(&outputs->audio);
    outputs->audio = audio != NULL ? codec_config_ref(audio) : NULL;
    outputs->has_tracks = true;
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            fanout_set_tracks(f, audio);
    }
}

void outputs_push(struct outputs *outputs, struct frame *frame)
{
    struct frame *held = frame_ref(frame);
    if (frame->track == TRACK_VIDEO)
        frame->number = ++outputs->pictures;
    take_codec(outputs, frame);
    fanout_push(outputs->original, frame);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] != NULL)
            h264_output_push(outputs->h264[i], held);
    }
    if (held->track == TRACK_VIDEO)
        snapshot_on_frame(outputs->snapshot);
    frame_unref(&held);
}

void outputs_disconnected(struct outputs *outputs)
{
    fanout_disconnected(outputs->original);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] != NULL)
            h264_output_disconnected(outputs->h264[i]);
    }
    snapshot_on_disconnect(outputs->snapshot);
}

void outputs_limits_changed(struct outputs *outputs)
{
    fanout_limits_changed(outputs->original);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] != NULL)
            h264_output_limits_changed(outputs->h264[i]);
    }
}

void outputs_fail_waiting(struct outputs *outputs, int64_t opened_before_ms, enum http_error error,
                          const char *message)
{
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            fanout_fail_waiting(f, opened_before_ms, error, message);
    }
    snapshot_fail_unanswered(outputs->snapshot, opened_before_ms, error, message);
}

void outputs_close_streaming(struct outputs *outputs, enum http_error error, const char *why)
{
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            fanout_close_streaming(f, error, why);
    }
    snapshot_close_streaming(outputs->snapshot);
}

bool outputs_are_whole(const struct outputs *outputs)
{
    bool whole = snapshot_is_whole(outputs->snapshot);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            whole = whole && fanout_is_whole(f);
    }
    return whole;
}

size_t outputs_waiting(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return 0;
    size_t n = snapshot_unanswered(outputs->snapshot);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            n += fanout_waiting(f);
    }
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
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        struct fanout *f = fanout_of(outputs, i);
        if (f != NULL)
            n += fanout_streaming(f);
    }
    return n;
}

struct fanout_stats outputs_stats(const struct outputs *outputs)
{
    if (outputs->closing.asked)
        return outputs->final;
    struct snapshot_stats pictures = snapshot_get_stats(outputs->snapshot);
    struct fanout_stats sum = {.bytes_out = pictures.bytes_out, .refused = pictures.refused};
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (fanout_of(outputs, i) == NULL)
            continue;
        struct fanout_stats s = fanout_stats(fanout_of(outputs, i));
        sum.bytes_out += s.bytes_out;
        sum.frames_skipped += s.frames_skipped;
        sum.gop_overflows += s.gop_overflows;
        sum.refused += s.refused;
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
    struct rendition_stats sum = {0};
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] == NULL)
            continue;
        struct rendition_stats stats = h264_output_stats(outputs->h264[i]);
        rendition_stats_add(&sum, &stats);
    }
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
    for (size_t i = 0; i < OUTPUT_COUNT; i++)
        h264_output_free(o->h264[i]);
    closing_finish(&o->closing, o);
}

void outputs_close(struct outputs *outputs, void (*closed)(void *ctx), void *ctx)
{
    outputs->final = outputs_stats(outputs);
    outputs->final_times = outputs_snapshot_times(outputs);
    closing_hold(&outputs->closing); /* so that nothing is freed within this function */
    (void)closing_ask(&outputs->closing, closed, ctx);
    closing_hold(&outputs->closing);
    snapshot_close(outputs->snapshot, on_part_closed, outputs); /* before the ring goes */
    closing_hold(&outputs->closing);
    fanout_close(outputs->original, on_part_closed, outputs);
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (outputs->h264[i] == NULL)
            continue;
        closing_hold(&outputs->closing); /* transcoder and fan-out */
        closing_hold(&outputs->closing);
        h264_output_close(outputs->h264[i], on_part_closed, outputs);
    }
    on_part_closed(outputs);
}
