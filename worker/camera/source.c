#include "worker/camera/source.h"

#include "common/closing.h"
#include "common/xalloc.h"
#include "worker/camera/source_thread.h"
#include "worker/rtsp/source_rtsp.h"

/* One of rtsp and thread is set, by transport. */
struct source {
    struct source_rtsp *rtsp;     /* runs on the loop thread */
    struct source_thread *thread; /* runs in a thread of its own */
    struct closing closing;
};

static bool is_rtsp(enum ipc_transport transport)
{
    return transport != IPC_TRANSPORT_RTMP && transport != IPC_TRANSPORT_HTTP_FLV;
}

struct source *source_open(uv_loop_t *loop, const struct source_params *params,
                           struct ingest *ingest, const struct source_events *events)
{
    struct source *s = xcalloc(1, sizeof(*s));
    closing_hold(&s->closing);
    if (is_rtsp(params->transport)) {
        const struct source_rtsp_events rtsp_events = {events->on_end, events->ctx};
        ingest_connect(ingest, &events->output);
        s->rtsp = source_rtsp_open(loop, params, ingest_sink(ingest), &rtsp_events);
    } else {
        s->thread = source_thread_open(loop, params, ingest, events);
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
    if (closing_release(&s->closing))
        closing_finish(&s->closing, s);
}

void source_close(struct source *source, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&source->closing, closed, ctx); /* the open source is held */
    if (source->rtsp != NULL)
        source_rtsp_close(source->rtsp, on_closed, source);
    else
        source_thread_close(source->thread, on_closed, source);
}

bool source_set_lazy(struct source *source, bool lazy)
{
    if (source->thread != NULL)
        return source_thread_set_lazy(source->thread, lazy);
    source_rtsp_set_lazy(source->rtsp, lazy);
    return false;
}

void source_ask_key_frame(struct source *source)
{
    if (source->rtsp != NULL)
        source_rtsp_ask_key_frame(source->rtsp);
}

bool source_awaits_picture(const struct source *source)
{
    return source->thread != NULL && source_thread_awaits_picture(source->thread);
}

int64_t source_overdue_ms(const struct source *source)
{
    return source->thread != NULL ? source_thread_overdue_ms(source->thread) : 0;
}

struct source_loss source_get_loss(struct source *source)
{
    return source->rtsp != NULL ? source_rtsp_loss(source->rtsp) : (struct source_loss){0};
}

uint64_t source_frames_refused(const struct source *source)
{
    return source->thread != NULL ? source_thread_frames_refused(source->thread) : 0;
}
