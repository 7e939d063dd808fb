#include "worker/source.h"

#include "common/clock.h"
#include "common/xalloc.h"
#include "worker/frame_queue.h"

#include <stdlib.h>
#include <string.h>

struct source {
    /* Set before the thread starts, then read only. */
    struct source_params params;
    char url[IPC_URL_MAX];
    struct source_events events;

    /* Shared with the thread. */
    struct frame_queue queue;
    uv_async_t wake;
    atomic_bool stop;
    atomic_bool ended; /* released after error and detail are written */
    _Atomic uint64_t bytes_in;

    /* Thread only, until it has ended. */
    struct ingest *ingest;
    enum http_error error;
    char detail[SOURCE_DETAIL_MAX];

    /* Loop thread only. */
    uv_thread_t thread;
    bool end_reported;
    int64_t close_asked_ms; /* 0: not asked to close */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void on_ingest_tracks(void *ctx, struct codec_config *audio)
{
    struct source *s = ctx;
    struct frame_queue_item item = {.audio = audio != NULL ? codec_config_ref(audio) : NULL};
    frame_queue_push(&s->queue, item);
    (void)uv_async_send(&s->wake);
}

static void on_ingest_frame(void *ctx, struct frame *frame)
{
    struct source *s = ctx;
    frame_queue_push(&s->queue, (struct frame_queue_item){.frame = frame});
    (void)uv_async_send(&s->wake);
}

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

static void run(void *arg)
{
    struct source *s = arg;
    const struct media_sink sink = {on_sink_tracks, on_sink_packet, s};
    bool rtsp = s->params.transport == IPC_TRANSPORT_RTSP_TCP ||
                s->params.transport == IPC_TRANSPORT_RTSP_UDP;
    s->error = (rtsp ? source_lavf_run : source_flv_run)(&s->params, &sink, &s->stop, s->detail,
                                                         sizeof(s->detail));
    atomic_store_explicit(&s->ended, true, memory_order_release);
    (void)uv_async_send(&s->wake);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct source *s = handle->data;
    frame_queue_destroy(&s->queue);
    s->closed(s->closed_ctx);
    free(s);
}

static void finish(struct source *s)
{
    (void)uv_thread_join(&s->thread); /* it has ended: returns at once */
    uv_close((uv_handle_t *)&s->wake, on_wake_closed);
}

static void deliver(struct source *s)
{
    struct frame_queue_item item;
    while (s->close_asked_ms == 0 && frame_queue_take(&s->queue, &item)) {
        if (item.frame != NULL)
            s->events.on_frame(s->events.ctx, item.frame);
        else
            s->events.on_tracks(s->events.ctx, item.audio);
        codec_config_unref(&item.audio);
    }
}

static void on_wake(uv_async_t *handle)
{
    struct source *s = handle->data;
    bool ended = atomic_load_explicit(&s->ended, memory_order_acquire);
    deliver(s);
    if (!ended || uv_is_closing((uv_handle_t *)&s->wake))
        return;
    if (s->close_asked_ms != 0) {
        finish(s);
    } else if (!s->end_reported) {
        s->end_reported = true;
        s->events.on_end(s->events.ctx, s->error, s->detail);
    }
}

struct source *source_open(uv_loop_t *loop, const struct source_params *params,
                           struct ingest *ingest, const struct source_events *events)
{
    struct source *s = xcalloc(1, sizeof(*s));
    s->params = *params;
    (void)snprintf(s->url, sizeof(s->url), "%s", params->url);
    s->params.url = s->url;
    s->events = *events;
    frame_queue_init(&s->queue);
    s->ingest = ingest;
    ingest_connect(ingest, &(struct ingest_output){on_ingest_tracks, on_ingest_frame, s});
    s->wake.data = s;
    if (uv_async_init(loop, &s->wake, on_wake) != 0)
        abort(); /* the loop's own pipe exists since it was made: nothing left to fail */
    if (uv_thread_create(&s->thread, run, s) != 0)
        abort(); /* no thread, no camera: the master starts another worker */
    return s;
}

void source_close(struct source *source, void (*closed)(void *ctx), void *ctx)
{
    source->closed = closed;
    source->closed_ctx = ctx;
    source->close_asked_ms = clock_ms();
    atomic_store_explicit(&source->stop, true, memory_order_release);
    (void)uv_async_send(&source->wake); /* in case it has ended already */
}

int64_t source_overdue_ms(const struct source *source)
{
    return source->close_asked_ms == 0 ? 0 : clock_ms() - source->close_asked_ms;
}

uint64_t source_bytes_in(const struct source *source)
{
    return atomic_load_explicit(&source->bytes_in, memory_order_relaxed);
}
