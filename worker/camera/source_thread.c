#include "worker/camera/source_thread.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/xalloc.h"
#include "worker/flv/source_flv.h"
#include "worker/media/frame_queue.h"

#include <stdlib.h>
#include <string.h>

struct source_thread {
    /* Set before the thread starts, constant afterwards. */
    struct source_params params;
    struct source_events events;

    /* Shared with the thread. */
    struct frame_queue queue;
    uv_async_t wake;
    struct source_flv_control control;
    atomic_bool ended; /* set, with release order, after error and detail are written */

    /* For the thread only, until it has ended. */
    const struct media_sink *sink;
    enum http_error error;
    char detail[SOURCE_DETAIL_MAX];

    /* For the loop thread only. */
    uv_thread_t thread;
    const struct ipc_limits *limits;
    bool end_reported;
    bool catching_up;       /* on_caught_up() is owed */
    int64_t close_asked_ms; /* 0: not asked to close */
    struct closing closing; /* wake, which outlives the thread */
};

static void on_ingest_tracks(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio)
{
    struct source_thread *s = ctx;
    struct frame_queue_item item = {
        .camera_audio = camera_audio,
        .audio = audio != NULL ? codec_config_ref(audio) : NULL,
    };
    (void)frame_queue_push(&s->queue, item);
    (void)uv_async_send(&s->wake);
}

/* While lazy, frames wait for the loop's next look (source_thread_set_lazy()) as long as the queue
 * has plenty of room.  In this order: whoever wants to be eager after this takes the frame. */
static void on_ingest_frame(void *ctx, struct frame *frame)
{
    struct source_thread *s = ctx;
    bool filling = frame_queue_push(&s->queue, (struct frame_queue_item){.frame = frame});
    if (filling || !flv_lazy_is_wanted(&s->control.lazy))
        (void)uv_async_send(&s->wake);
}

static void run(void *arg)
{
    struct source_thread *s = arg;
    s->error = source_flv_run(&s->params, &s->control, s->sink, s->detail, sizeof(s->detail));
    atomic_store_explicit(&s->ended, true, memory_order_release);
    (void)uv_async_send(&s->wake);
}

static void on_gathered_read(void *ctx)
{
    struct source_thread *s = ctx;
    (void)uv_async_send(&s->wake);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct source_thread *s = handle->data;
    if (!closing_release(&s->closing))
        return;
    flv_lazy_close(&s->control.lazy);
    frame_queue_destroy(&s->queue);
    closing_finish(&s->closing, s);
}

static void finish(struct source_thread *s)
{
    (void)uv_thread_join(&s->thread); /* it has ended: returns at once */
    uv_close((uv_handle_t *)&s->wake, on_wake_closed);
}

static void deliver(struct source_thread *s)
{
    const struct ingest_output *output = &s->events.output;
    struct frame_queue_item item;
    while (s->close_asked_ms == 0 && frame_queue_take(&s->queue, &item)) {
        if (item.frame != NULL)
            output->on_frame(output->ctx, item.frame);
        else
            output->on_tracks(output->ctx, item.camera_audio, item.audio);
        codec_config_unref(&item.audio);
    }
}

static void note_caught_up(struct source_thread *s)
{
    if (!s->catching_up || s->close_asked_ms != 0)
        return;
    s->catching_up = false;
    s->events.on_caught_up(s->events.ctx);
}

static void on_wake(uv_async_t *handle)
{
    struct source_thread *s = handle->data;
    bool ended = atomic_load_explicit(&s->ended, memory_order_acquire);
    bool gathering = flv_lazy_is_gathering(&s->control.lazy); /* before what it has brought */
    deliver(s);
    if (ended || !gathering)
        note_caught_up(s);
    if (!ended || uv_is_closing((uv_handle_t *)&s->wake))
        return;
    if (s->close_asked_ms != 0) {
        finish(s);
    } else if (!s->end_reported) {
        s->end_reported = true;
        s->events.on_end(s->events.ctx, s->error, s->detail);
    }
}

struct source_thread *source_thread_open(uv_loop_t *loop, const struct source_params *params,
                                         struct ingest *ingest, const struct source_events *events)
{
    struct source_thread *s = xcalloc(1, sizeof(*s));
    s->params = *params;
    s->limits = params->limits;
    s->params.limits = NULL; /* they belong to the loop: the thread uses s->control */
    source_thread_limits_changed(s);
    s->events = *events;
    frame_queue_init(&s->queue);
    flv_lazy_open(&s->control.lazy, on_gathered_read, s);
    s->sink = ingest_sink(ingest);
    ingest_connect(ingest, &(struct ingest_output){on_ingest_tracks, on_ingest_frame, s});
    s->wake.data = s;
    if (uv_async_init(loop, &s->wake, on_wake) != 0)
        abort(); /* cannot happen: the loop already has its pipe */
    closing_hold(&s->closing);
    if (uv_thread_create(&s->thread, run, s) != 0)
        abort(); /* without a thread there is no camera: the master starts another worker */
    return s;
}

bool source_thread_awaits_picture(const struct source_thread *thread)
{
    return atomic_load_explicit(&thread->control.awaits_picture, memory_order_relaxed);
}

void source_thread_limits_changed(struct source_thread *thread)
{
    source_flv_set_limits(&thread->control, thread->limits);
}

bool source_thread_set_lazy(struct source_thread *thread, bool lazy)
{
    bool gathered = flv_lazy_set(&thread->control.lazy, lazy);
    /* What is owed from an earlier call stays owed: its wake-up is on its way. */
    thread->catching_up = !lazy && (gathered || thread->catching_up);
    deliver(thread);
    return thread->catching_up;
}

void source_thread_close(struct source_thread *thread, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&thread->closing, closed, ctx); /* wake is held */
    thread->close_asked_ms = clock_ms();
    atomic_store_explicit(&thread->control.stop, true, memory_order_release);
    flv_lazy_wake(&thread->control.lazy);
    (void)uv_async_send(&thread->wake); /* in case it has ended already */
}

int64_t source_thread_overdue_ms(const struct source_thread *thread)
{
    return thread->close_asked_ms == 0 ? 0 : clock_ms() - thread->close_asked_ms;
}

uint64_t source_thread_frames_refused(struct source_thread *source)
{
    return frame_queue_refused(&source->queue);
}
