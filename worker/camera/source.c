#include "worker/camera/source.h"

#include "common/xalloc.h"
#include "worker/camera/source_thread.h"
#include "worker/rtsp/source_rtsp.h"

#include <stdlib.h>

/* One of the two, by transport. */
struct source {
    struct source_events events;
    struct ingest *ingest;
    struct source_rtsp *rtsp;     /* on the loop thread */
    struct source_thread *thread; /* in a thread of its own */
    _Atomic uint64_t bytes_in;    /* counted on either */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* --- between the source and the ingest: count ------------------------------ */

static int on_sink_tracks(void *ctx, const struct media_track *video,
                          const struct media_track *audio)
{
    struct source *s = ctx;
    const struct media_sink *sink = ingest_sink(s->ingest);
    return sink->on_tracks(sink->ctx, video, audio);
}

static bool on_sink_packet(void *ctx, const struct media_packet *packet)
{
    struct source *s = ctx;
    atomic_fetch_add_explicit(&s->bytes_in, packet->len, memory_order_relaxed);
    const struct media_sink *sink = ingest_sink(s->ingest);
    return sink->on_packet(sink->ctx, packet);
}

/* --- what comes out of the ingest on the loop thread ------------------------ */

static void on_tracks(void *ctx, struct codec_config *audio)
{
    struct source *s = ctx;
    s->events.on_tracks(s->events.ctx, audio);
}

static void on_frame(void *ctx, struct frame *frame)
{
    struct source *s = ctx;
    s->events.on_frame(s->events.ctx, frame);
}

static void on_end(void *ctx, enum http_error error, const char *detail)
{
    struct source *s = ctx;
    s->events.on_end(s->events.ctx, error, detail);
}

struct source *source_open(uv_loop_t *loop, const struct source_params *params,
                           struct ingest *ingest, const struct source_events *events)
{
    struct source *s = xcalloc(1, sizeof(*s));
    const struct media_sink sink = {on_sink_tracks, on_sink_packet, s};
    s->events = *events;
    s->ingest = ingest;
    if (params->transport == IPC_TRANSPORT_RTSP_TCP ||
        params->transport == IPC_TRANSPORT_RTSP_UDP) {
        const struct source_rtsp_events rtsp_events = {on_end, s};
        ingest_connect(ingest, &(struct ingest_output){on_tracks, on_frame, s});
        s->rtsp = source_rtsp_open(loop, params, &sink, &rtsp_events);
    } else {
        s->thread = source_thread_open(loop, params, ingest, &sink, events);
    }
    return s;
}

void source_limits_changed(struct source *source)
{
    if (source->rtsp != NULL)
        source_rtsp_limits_changed(source->rtsp);
    else
        source_thread_limits_changed(source->thread);
}

static void on_closed(void *ctx)
{
    struct source *s = ctx;
    s->closed(s->closed_ctx);
    free(s);
}

void source_close(struct source *source, void (*closed)(void *ctx), void *ctx)
{
    source->closed = closed;
    source->closed_ctx = ctx;
    if (source->rtsp != NULL)
        source_rtsp_close(source->rtsp, on_closed, source);
    else
        source_thread_close(source->thread, on_closed, source);
}

int64_t source_overdue_ms(const struct source *source)
{
    return source->thread != NULL ? source_thread_overdue_ms(source->thread) : 0;
}

uint64_t source_bytes_in(const struct source *source)
{
    return atomic_load_explicit(&source->bytes_in, memory_order_relaxed);
}

uint64_t source_packets_lost(const struct source *source)
{
    return source->rtsp != NULL ? source_rtsp_packets_lost(source->rtsp) : 0;
}

uint64_t source_frames_refused(const struct source *source)
{
    return source->thread != NULL ? source_thread_frames_refused(source->thread) : 0;
}
