#include "worker/transcode/rendition.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "worker/transcode/transcoder.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Bound of the output queue: encoded frames that the loop has not taken yet.  When it is full, the
 * thread waits, the input queue fills up, and frames are dropped there. */
#define OUT_MAX 64
/* Other viewers' frames go first when the machine is short of CPU time. */
#define THREAD_NICE 5

struct rendition {
    uv_loop_t *loop;
    void (*emit)(void *ctx, struct frame *frame);
    void *ctx;
    struct closing closing; /* one part: the thread, and then async */
    uv_async_t async;       /* thread to loop: frames are there, or the thread is done */
    uv_thread_t thread;
    struct transcoder *transcoder; /* used by the thread only, except to make and free it */

    uv_mutex_t lock; /* protects everything below */
    uv_cond_t wake;  /* wakes the thread: input, room for output, or stop */
    bool stop;
    bool ended;
    bool want_key;
    bool await_key;        /* queue nothing until a key frame comes */
    bool gap;              /* frames were left out after the last one queued */
    int64_t newest_pts_us; /* over all frames queued */
    int64_t wanted_us;     /* when a picture was last encoded, or the beginning */
    struct {
        struct frame *frame;
        bool after_gap;
    } in[RENDITION_QUEUE_FRAMES];
    unsigned in_head;
    unsigned in_count;
    size_t in_bytes;
    struct frame *out[OUT_MAX];
    unsigned out_head;
    unsigned out_count;
    int64_t failed_us;  /* the first failure since the last frame out; 0: none */
    int64_t failing_us; /* from that to the newest one */
    struct rendition_stats stats;
};

/* --- thread ---------------------------------------------------------------- */

static void on_encoded(void *ctx, struct frame *frame)
{
    struct rendition *r = ctx;

    uv_mutex_lock(&r->lock);
    while (r->out_count == OUT_MAX && !r->stop)
        uv_cond_wait(&r->wake, &r->lock);
    if (!r->stop) {
        r->out[(r->out_head + r->out_count++) % OUT_MAX] = frame;
        r->stats.frames_out++;
        r->failed_us = r->failing_us = 0;
        frame = NULL;
    }
    uv_mutex_unlock(&r->lock);
    frame_unref(&frame);
    (void)uv_async_send(&r->async);
}

static bool is_wanted(void *ctx, int64_t pts_us)
{
    struct rendition *r = ctx;

    int64_t now_us = clock_us();

    uv_mutex_lock(&r->lock);
    bool late = r->newest_pts_us - pts_us > RENDITION_LATE_US;
    bool wanted = !r->stop && (!late || now_us - r->wanted_us > RENDITION_STARVED_US);
    if (wanted)
        r->wanted_us = now_us;
    else
        r->stats.frames_late++;
    uv_mutex_unlock(&r->lock);
    return wanted;
}

/* With the lock held. */
static void note_failure(struct rendition *r)
{
    int64_t now_us = clock_awake_us();
    if (r->failed_us == 0)
        r->failed_us = now_us;
    r->failing_us = now_us - r->failed_us;
}

/* Take the oldest frame queued; with the lock held.  Caller owns. */
static struct frame *take_in(struct rendition *r)
{
    struct frame *frame = r->in[r->in_head].frame;
    r->in_head = (r->in_head + 1) % RENDITION_QUEUE_FRAMES;
    r->in_count--;
    r->in_bytes -= frame->len;
    return frame;
}

static void run(void *arg)
{
    struct rendition *r = arg;
    struct log_limit limit = {0};
    unsigned suppressed;

    (void)setpriority(PRIO_PROCESS, 0, THREAD_NICE); /* on Linux, for this thread only */
    uv_mutex_lock(&r->lock);
    while (!r->stop) {
        if (r->in_count == 0) {
            uv_cond_wait(&r->wake, &r->lock);
            continue;
        }
        bool after_gap = r->in[r->in_head].after_gap, want_key = r->want_key;
        struct frame *frame = take_in(r);
        r->want_key = false;
        uv_mutex_unlock(&r->lock);

        if (after_gap)
            transcoder_flush(r->transcoder);
        if (want_key)
            transcoder_request_key(r->transcoder);
        int rc = transcoder_push(r->transcoder, frame);
        frame_unref(&frame);
        if (rc != 0 && log_limit_pass(&limit, 1, 10000, &suppressed))
            log_write(LOG_LEVEL_WARN, NULL, -rc, "rendition: waits for a key frame (%u more)",
                      suppressed);
        uv_mutex_lock(&r->lock);
        if (rc != 0)
            note_failure(r);
    }
    r->ended = true;
    uv_mutex_unlock(&r->lock);
    (void)uv_async_send(&r->async);
}

/* --- loop ------------------------------------------------------------------ */

/* Forget all input; with the lock held. */
static void drop_in(struct rendition *r)
{
    r->stats.frames_dropped += r->in_count;
    while (r->in_count > 0) {
        struct frame *frame = take_in(r);
        frame_unref(&frame);
    }
    r->gap = true;
}

static void clear(struct rendition *r)
{
    drop_in(r);
    for (; r->out_count > 0; r->out_count--)
        frame_unref(&r->out[r->out_head++ % OUT_MAX]);
    transcoder_free(r->transcoder);
    uv_cond_destroy(&r->wake);
    uv_mutex_destroy(&r->lock);
}

static void on_async_closed(uv_handle_t *handle)
{
    struct rendition *r = handle->data;
    if (!closing_release(&r->closing))
        return;
    clear(r);
    closing_finish(&r->closing, r);
}

static void on_async(uv_async_t *async)
{
    struct rendition *r = async->data;
    struct frame *frames[OUT_MAX];
    unsigned count = 0;

    uv_mutex_lock(&r->lock);
    bool ended = r->ended;
    for (; r->out_count > 0; r->out_count--) {
        frames[count++] = r->out[r->out_head];
        r->out_head = (r->out_head + 1) % OUT_MAX;
    }
    bool stop = r->stop;
    uv_cond_signal(&r->wake);
    uv_mutex_unlock(&r->lock);

    for (unsigned i = 0; i < count; i++) {
        /* emit() may close the rendition. */
        if (!stop && r->emit != NULL)
            r->emit(r->ctx, frames[i]);
        frame_unref(&frames[i]);
    }
    if (ended) {
        (void)uv_thread_join(&r->thread);
        uv_close((uv_handle_t *)&r->async, on_async_closed);
    }
}

int rendition_open(uv_loop_t *loop, enum AVCodecID codec, int lines_max,
                   void (*emit)(void *ctx, struct frame *frame), void *ctx, struct rendition **out)
{
    int rc = transcoder_available(codec);
    if (rc != 0)
        return rc;
    struct rendition *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    struct transcoder_sink sink = {.on_frame = on_encoded, .wanted = is_wanted, .ctx = r};
    r->loop = loop;
    r->emit = emit;
    r->ctx = ctx;
    r->await_key = true;
    r->newest_pts_us = INT64_MIN / 2;
    r->wanted_us = clock_us();
    rc = uv_mutex_init(&r->lock);
    if (rc != 0)
        goto no_lock;
    rc = uv_cond_init(&r->wake);
    if (rc != 0)
        goto no_cond;
    rc = -ENOMEM;
    r->transcoder = transcoder_new(lines_max, RENDITION_KEY_INTERVAL_US, &sink);
    if (r->transcoder == NULL)
        goto no_transcoder;
    rc = uv_async_init(loop, &r->async, on_async);
    if (rc != 0)
        goto no_async;
    r->async.data = r;
    closing_hold(&r->closing);
    rc = uv_thread_create(&r->thread, run, r);
    if (rc != 0) {
        (void)closing_ask(&r->closing, NULL, NULL);
        uv_close((uv_handle_t *)&r->async, on_async_closed);
        return rc;
    }
    *out = r;
    return 0;

no_async:
    transcoder_free(r->transcoder);
no_transcoder:
    uv_cond_destroy(&r->wake);
no_cond:
    uv_mutex_destroy(&r->lock);
no_lock:
    free(r);
    return rc;
}

/* May this frame be queued?  Makes room for a key frame; with the lock held. */
static bool admit(struct rendition *r, const struct frame *frame)
{
    bool good_key = frame->key && !frame->damaged;
    bool full =
        r->in_count == RENDITION_QUEUE_FRAMES || r->in_bytes + frame->len > RENDITION_QUEUE_BYTES;
    bool behind =
        r->in_count > 0 && frame->pts_us - r->in[r->in_head].frame->pts_us > RENDITION_LATE_US;

    /* Frames far behind are decoded only because later frames refer to them, and a key frame refers
     * to none. */
    if (full || (good_key && behind))
        drop_in(r);
    if (full || frame->damaged)
        r->await_key = true;
    if (good_key && frame->len <= RENDITION_QUEUE_BYTES)
        r->await_key = false;
    return !r->await_key;
}

void rendition_push(struct rendition *rendition, struct frame *frame)
{
    struct rendition *r = rendition;

    if (frame->track != TRACK_VIDEO || frame->config->codec == AV_CODEC_ID_H264)
        return;
    uv_mutex_lock(&r->lock);
    r->stats.frames_in++;
    if (admit(r, frame)) {
        unsigned at = (r->in_head + r->in_count++) % RENDITION_QUEUE_FRAMES;
        r->in[at].frame = frame_ref(frame);
        r->in[at].after_gap = r->gap;
        r->gap = false;
        r->in_bytes += frame->len;
        if (frame->pts_us > r->newest_pts_us)
            r->newest_pts_us = frame->pts_us;
        uv_cond_signal(&r->wake);
    } else {
        r->stats.frames_dropped++;
        r->gap = true;
    }
    uv_mutex_unlock(&r->lock);
}

void rendition_request_key(struct rendition *rendition)
{
    uv_mutex_lock(&rendition->lock);
    rendition->want_key = true;
    uv_mutex_unlock(&rendition->lock);
}

void rendition_get_stats(struct rendition *rendition, struct rendition_stats *stats)
{
    uv_mutex_lock(&rendition->lock);
    *stats = rendition->stats;
    uv_mutex_unlock(&rendition->lock);
}

void rendition_stats_add(struct rendition_stats *sum, const struct rendition_stats *stats)
{
    sum->frames_in += stats->frames_in;
    sum->frames_out += stats->frames_out;
    sum->frames_late += stats->frames_late;
    sum->frames_dropped += stats->frames_dropped;
}

int64_t rendition_failing_us(struct rendition *rendition)
{
    uv_mutex_lock(&rendition->lock);
    int64_t failing_us = rendition->failing_us;
    uv_mutex_unlock(&rendition->lock);
    return failing_us;
}

void rendition_close(struct rendition **rendition, void (*closed)(void *ctx), void *ctx)
{
    struct rendition *r = *rendition;

    *rendition = NULL;
    if (r == NULL)
        return;
    r->emit = NULL;
    (void)closing_ask(&r->closing, closed, ctx); /* the thread is a part */
    uv_mutex_lock(&r->lock);
    assert(!r->stop);
    r->stop = true;
    uv_cond_signal(&r->wake);
    uv_mutex_unlock(&r->lock);
}
