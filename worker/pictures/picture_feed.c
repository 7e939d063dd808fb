/* See picture_feed.h. */
#include "worker/pictures/picture_feed.h"

#include "common/closing.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/pictures/picture_decoder.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

struct picture_feed {
    uv_loop_t *loop;
    const struct frame_ring *ring;
    enum ipc_picture kind;
    void (*on_done)(void *ctx);
    void *ctx;

    /* These belong to the pool thread while busy. */
    struct picture_decoder *decoder;                   /* NULL until needed */
    struct frame *frames[PICTURE_FEED_JOB_FRAMES_MAX]; /* one reference each */
    uint64_t seqs[PICTURE_FEED_JOB_FRAMES_MAX];
    size_t frame_count;
    bool gap;      /* frames before the first one were left out */
    unsigned lost; /* frames after the newest good picture that could not be decoded to one */
    int error;

    uv_work_t work;
    bool busy;
    bool forget;       /* forget everything as soon as the job is done */
    uint64_t next_seq; /* first frame of the ring that was not looked at yet */
    bool has_chain;    /* the decoder can decode that frame */
    uint64_t decoded;

    AVFrame *newest; /* the newest picture after the last job: one reference, unless let go */
    bool has_newest;
    bool fresh; /* not too many frames after it were lost */
    struct picture_feed_newest info;

    struct closing closing; /* one part: the job under way */
};

struct picture_feed *picture_feed_new(uv_loop_t *loop, const struct frame_ring *ring,
                                      enum ipc_picture kind, void (*on_done)(void *ctx), void *ctx)
{
    struct picture_feed *f = xcalloc(1, sizeof(*f));
    f->loop = loop;
    f->ring = ring;
    f->kind = kind;
    f->on_done = on_done;
    f->ctx = ctx;
    f->work.data = f;
    f->newest = av_frame_alloc();
    if (f->newest == NULL)
        abort(); /* small */
    return f;
}

static void finish(struct picture_feed *f)
{
    picture_decoder_free(&f->decoder);
    av_frame_free(&f->newest);
    closing_finish(&f->closing, f);
}

void picture_feed_close(struct picture_feed *feed, void (*closed)(void *ctx), void *ctx)
{
    if (closing_ask(&feed->closing, closed, ctx))
        finish(feed);
}

/* --- the job -------------------------------------------------------------- */

static int feed_frame(struct picture_feed *f, size_t i)
{
    if (f->kind == IPC_PICTURE_KEY)
        return picture_decoder_feed_alone(f->decoder, f->frames[i], f->seqs[i]);
    return picture_decoder_feed(f->decoder, f->frames[i], f->seqs[i], i == 0 && f->gap);
}

/* Is frame i shown before the last frame, and does no frame refer to it?  The last two are never
 * skipped: they may be the fields of one picture. */
static bool can_skip(const struct picture_feed *f, size_t i)
{
    const struct frame *last = f->frames[f->frame_count - 1];
    return i + 2 < f->frame_count && f->frames[i]->pts_us < last->pts_us &&
           picture_decoder_can_skip(f->frames[i]);
}

static void run_job(uv_work_t *work)
{
    struct picture_feed *f = work->data;
    if (f->decoder == NULL)
        f->decoder = picture_decoder_new();
    f->error = 0;
    for (size_t i = 0; i < f->frame_count && f->error == 0; i++) {
        bool had_chain = !picture_decoder_needs_key(f->decoder);
        if (can_skip(f, i))
            continue;
        int rc = feed_frame(f, i);
        if (rc != 0 && had_chain)
            log_debug(NULL, "no picture until decoding can start anew: frame %llu %s",
                      (unsigned long long)f->seqs[i],
                      f->frames[i]->damaged ? "is damaged" : "cannot be decoded");
        if (rc == 0)
            f->lost = picture_decoder_is_current(f->decoder) ? 0 : PICTURE_FEED_LOST_MAX + 1;
        else
            f->lost = f->kind == IPC_PICTURE_KEY ? PICTURE_FEED_LOST_MAX + 1 : f->lost + 1;
        if (rc != -EAGAIN)
            f->error = rc;
    }
}

static void forget_now(struct picture_feed *f)
{
    picture_decoder_free(&f->decoder);
    av_frame_unref(f->newest);
    f->has_newest = f->has_chain = f->forget = false;
    f->lost = 0;
    f->error = 0;
    (void)malloc_trim(0); /* tens of megabytes in the arenas of the pool threads */
}

static void take_newest(struct picture_feed *f)
{
    struct picture p;
    av_frame_unref(f->newest);
    f->has_newest = picture_decoder_newest(f->decoder, &p) && av_frame_ref(f->newest, p.frame) >= 0;
    if (f->has_newest)
        f->info = (struct picture_feed_newest){f->newest, p.stamp, f->next_seq};
}

static void on_job_done(uv_work_t *work, int status)
{
    struct picture_feed *f = work->data;
    assert(status == 0); /* jobs are never cancelled */
    (void)status;
    f->busy = false;
    f->decoded += f->frame_count;
    while (f->frame_count > 0)
        frame_unref(&f->frames[--f->frame_count]);
    if (closing_release(&f->closing)) {
        finish(f);
        return;
    }
    if (f->forget) {
        forget_now(f);
    } else {
        f->has_chain = !picture_decoder_needs_key(f->decoder);
        f->fresh = f->lost <= PICTURE_FEED_LOST_MAX;
        take_newest(f);
    }
    f->on_done(f->ctx);
}

/* --- what a job gets ------------------------------------------------------ */

/* Find where decoding continues: at the newest key frame if it was not looked at yet.
 * @return false if the chain is broken. */
static bool find_start(struct picture_feed *f, uint64_t *start)
{
    uint64_t key;
    bool has_key = frame_ring_key(f->ring, &key);
    bool follows = f->has_chain && f->next_seq >= frame_ring_tail(f->ring);
    if (has_key && (key >= f->next_seq || f->decoder == NULL)) {
        f->gap = !(follows && key == f->next_seq);
        *start = key;
        return true;
    }
    f->gap = false;
    *start = f->next_seq;
    return follows;
}

/* The chain is broken: find a frame among the new ones that decoding can start at. */
static bool find_new_start(struct picture_feed *f, uint64_t *start)
{
    uint64_t tail = frame_ring_tail(f->ring);
    for (uint64_t seq = f->next_seq > tail ? f->next_seq : tail; seq < frame_ring_head(f->ring);
         seq++) {
        const struct frame *frame = frame_ring_get(f->ring, seq);
        if (frame->track == TRACK_VIDEO && picture_decoder_can_start(frame)) {
            f->gap = true;
            *start = seq;
            return true;
        }
    }
    return false;
}

/* Nothing in the ring can be decoded: only count the frames. */
static void skip_all(struct picture_feed *f)
{
    uint64_t head = frame_ring_head(f->ring);
    f->has_chain = false;
    if (f->next_seq < frame_ring_tail(f->ring)) {
        f->next_seq = frame_ring_tail(f->ring);
        f->lost = PICTURE_FEED_LOST_MAX + 1;
    }
    for (; f->next_seq < head; f->next_seq++)
        f->lost += frame_ring_get(f->ring, f->next_seq)->track == TRACK_VIDEO;
    f->fresh = f->lost <= PICTURE_FEED_LOST_MAX;
}

static void add_frame(struct picture_feed *f, uint64_t seq)
{
    f->frames[f->frame_count] = frame_ref(frame_ring_get(f->ring, seq));
    f->seqs[f->frame_count++] = seq;
}

/* Collect the frames from where decoding continues, as many as one job takes. */
static void collect_all(struct picture_feed *f)
{
    uint64_t seq;
    if (!find_start(f, &seq) && !find_new_start(f, &seq)) {
        skip_all(f);
        return;
    }
    for (; seq < frame_ring_head(f->ring) && f->frame_count < PICTURE_FEED_JOB_FRAMES_MAX; seq++) {
        if (frame_ring_get(f->ring, seq)->track == TRACK_VIDEO)
            add_frame(f, seq);
    }
    f->next_seq = seq;
}

/* Collect the newest key frame, unless it was looked at already. */
static void collect_key(struct picture_feed *f)
{
    uint64_t key;
    if (frame_ring_key(f->ring, &key) && (key >= f->next_seq || f->decoder == NULL))
        add_frame(f, key);
    f->next_seq = frame_ring_head(f->ring);
}

/* When the second frame of a job is decoded, the decoder holds the first one's picture.  This one
 * beside them would take megabytes, for good: decoders use memory again, but never return it. */
static void let_go_newest(struct picture_feed *f)
{
    av_frame_unref(f->newest);
    f->info.frame = NULL;
}

bool picture_feed_update(struct picture_feed *feed)
{
    struct picture_feed *f = feed;
    if (f->busy)
        return true;
    if (f->next_seq == frame_ring_head(f->ring) && f->decoder != NULL)
        return false;
    if (f->kind == IPC_PICTURE_KEY)
        collect_key(f);
    else
        collect_all(f);
    if (f->frame_count == 0) {
        f->info.until = f->next_seq; /* only audio came, or frames that cannot be decoded */
        return false;
    }
    if (f->frame_count > 1)
        let_go_newest(f);
    f->busy = true;
    closing_hold(&f->closing);
    if (uv_queue_work(f->loop, &f->work, run_job, on_job_done) != 0)
        abort(); /* it refuses only a missing function */
    return true;
}

/* --- state ---------------------------------------------------------------- */

uint64_t picture_feed_backlog(const struct picture_feed *feed)
{
    return frame_ring_head(feed->ring) - feed->next_seq;
}

bool picture_feed_has_chain(const struct picture_feed *feed)
{
    return feed->has_chain;
}

bool picture_feed_get(const struct picture_feed *feed, struct picture_feed_newest *newest)
{
    if (!feed->has_newest || feed->forget)
        return false;
    *newest = feed->info;
    if (!feed->fresh)
        newest->until = 0;
    return true;
}

int picture_feed_error(const struct picture_feed *feed)
{
    return feed->busy ? 0 : feed->error;
}

void picture_feed_forget(struct picture_feed *feed)
{
    if (feed->busy)
        feed->forget = true;
    else if (feed->decoder != NULL)
        forget_now(feed);
}

void picture_feed_disconnect(struct picture_feed *feed)
{
    feed->next_seq = frame_ring_head(feed->ring);
    feed->has_chain = false;
    picture_feed_forget(feed);
}

bool picture_feed_holds_memory(const struct picture_feed *feed)
{
    return !feed->forget && (feed->busy || feed->decoder != NULL);
}

uint64_t picture_feed_decoded(const struct picture_feed *feed)
{
    return feed->decoded;
}
