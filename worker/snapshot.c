/* See snapshot.h. */
#include "worker/snapshot.h"

#include "common/clock.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/snapshot_client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHECK_INTERVAL_MS 250
/* Composition times that differ by less are the same: timestamps are rounded. */
#define CTS_SLACK_US 1000
/* Frames that are worth a job of their own when nobody waits. */
#define AHEAD_FRAMES 2
/* Answers under way when the worker leaves have this long. */
#define CLOSE_MS 2000
/* Pool threads yield to the loop thread when the machine is busy. */
#define POOL_NICE 2
#define POOL_THREADS "2"

struct snapshot {
    struct snapshot_client_env env;
    const struct frame_ring *ring;
    struct snapshot_client **clients;
    size_t count;
    size_t capacity;
    uv_timer_t check;

    uv_work_t work;
    bool busy;
    struct snapshot_job job; /* the pool thread's while busy */
    bool reset_job;          /* as soon as it is not */

    uint64_t next_seq; /* first frame of the ring that was not looked at yet */
    uint64_t done_seq; /* the picture is the newest of all frames before this one */
    uint64_t job_seq;  /* done_seq when the job is done */
    bool has_chain;    /* the decoder can take next_seq */

    /* How often pictures are wanted, and how long a GOP is: is decoding ahead worth it? */
    int64_t asked_us;
    bool asked_often;
    int64_t key_dts_us;
    int64_t gop_us;
    uint64_t seen_seq; /* frames before this one were counted into gop_us */

    struct snapshot_stats stats;
    void (*closed)(void *ctx); /* set once closing */
    void *closed_ctx;
    int64_t close_ms; /* what is not sent by then is lost */
};

static void pump(struct snapshot *s);

/* --- life ----------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle);

static void free_when_done(struct snapshot *s)
{
    if (s->closed == NULL || s->count > 0 || s->busy)
        return;
    if (!uv_is_closing((uv_handle_t *)&s->check))
        uv_close((uv_handle_t *)&s->check, on_timer_closed);
    if (s->check.data != NULL)
        return;
    snapshot_job_reset(&s->job);
    s->closed(s->closed_ctx);
    free(s->clients);
    free(s);
}

static void on_client_closed(void *ctx, struct snapshot_client *client)
{
    struct snapshot *s = ctx;
    s->stats.bytes_out += snapshot_client_bytes(client);
    for (size_t i = 0; i < s->count; i++) {
        if (s->clients[i] == client) {
            s->clients[i] = s->clients[--s->count];
            break;
        }
    }
    free_when_done(s);
}

static void forget_pictures(struct snapshot *s)
{
    s->has_chain = false;
    s->done_seq = 0;
    if (s->busy)
        s->reset_job = true;
    else
        snapshot_job_reset(&s->job);
}

static bool has_clients(const struct snapshot *s)
{
    return snapshot_waiting(s) > 0 || snapshot_streaming(s) > 0;
}

static void on_check(uv_timer_t *timer)
{
    struct snapshot *s = timer->data;
    int64_t now_ms = clock_ms();
    for (size_t i = 0; i < s->count; i++) {
        snapshot_client_check(s->clients[i], now_ms);
        if (s->closed != NULL && now_ms > s->close_ms)
            snapshot_client_close(s->clients[i]);
    }
    if (has_clients(s))
        s->asked_us = clock_us();
    bool kept = s->busy || s->job.decoder != NULL;
    if (kept && !s->reset_job && clock_us() - s->asked_us > SNAPSHOT_KEEP_MS * INT64_C(1000)) {
        log_debug(NULL, "nobody asks for pictures: decoder given back");
        forget_pictures(s);
    } else if (!kept && s->count == 0 && s->closed == NULL) {
        (void)uv_timer_stop(timer);
    }
}

struct snapshot *snapshot_new(uv_loop_t *loop, const struct frame_ring *ring,
                              const struct ipc_limits *limits, const char *camera)
{
    struct snapshot *s = xcalloc(1, sizeof(*s));
    s->env = (struct snapshot_client_env){loop, limits, camera, on_client_closed, s};
    s->ring = ring;
    s->key_dts_us = INT64_MIN;
    s->work.data = s;
    s->check.data = s;
    (void)uv_timer_init(loop, &s->check);
    (void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);
    return s;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct snapshot *s = handle->data;
    handle->data = NULL;
    free_when_done(s);
}

void snapshot_close(struct snapshot *snapshot, void (*closed)(void *ctx), void *ctx)
{
    snapshot->closed = closed;
    snapshot->closed_ctx = ctx;
    snapshot->close_ms = clock_ms() + CLOSE_MS;
    snapshot_fail_waiting(snapshot, INT64_MAX, HTTP_ERROR_DRAINING, "the server is stopping");
    snapshot_close_streaming(snapshot);
    (void)uv_timer_start(&snapshot->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
    free_when_done(snapshot);
}

/* --- what a job gets ------------------------------------------------------ */

static bool same_rendition(const struct rendition *a, const struct rendition *b)
{
    return a->width == b->width && a->height == b->height && a->quality == b->quality;
}

static struct rendered *find_rendered(struct snapshot *s, const struct rendition *wanted)
{
    for (size_t i = 0; i < s->job.rendered_count; i++) {
        if (same_rendition(&s->job.rendered[i].rendition, wanted))
            return &s->job.rendered[i];
    }
    return NULL;
}

static void drop_unwanted(struct snapshot *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->job.rendered_count; i++) {
        struct rendered *r = &s->job.rendered[i];
        if (r->wanted)
            s->job.rendered[kept++] = *r;
        else
            jpeg_unref(&r->jpeg);
    }
    s->job.rendered_count = kept;
}

/* What somebody waits for is marked or added; what nobody waits for makes room when that is short.
 * What does not fit (MJPEG clients may want more) waits for the next job. */
static void list_renditions(struct snapshot *s)
{
    struct snapshot_job *job = &s->job;
    uint64_t seq;
    for (size_t i = 0; i < job->rendered_count; i++)
        job->rendered[i].wanted = false;
    for (size_t i = 0; i < s->count; i++) {
        const struct rendition *w = snapshot_client_waits(s->clients[i], &seq);
        struct rendered *r = w != NULL ? find_rendered(s, w) : NULL;
        if (r != NULL)
            r->wanted = true;
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct rendition *w = snapshot_client_waits(s->clients[i], &seq);
        if (w == NULL || find_rendered(s, w) != NULL)
            continue;
        if (job->rendered_count == SNAPSHOT_RENDITIONS_MAX)
            drop_unwanted(s);
        if (job->rendered_count < SNAPSHOT_RENDITIONS_MAX)
            job->rendered[job->rendered_count++] =
                (struct rendered){.rendition = *w, .wanted = true};
    }
}

/* Where decoding goes on: at the newest key frame if that is not behind us.
 * @return false if nothing can be decoded until the next key frame. */
static bool find_start(struct snapshot *s, uint64_t *start, bool *gap)
{
    uint64_t key;
    bool has_key = frame_ring_key(s->ring, &key);
    bool follows = s->has_chain && s->next_seq >= frame_ring_tail(s->ring);
    if (has_key && key >= s->next_seq) {
        *gap = !(follows && key == s->next_seq);
        *start = key;
        return true;
    }
    if (has_key && s->job.decoder == NULL) { /* nothing of this GOP was ever decoded */
        *gap = true;
        *start = key;
        return true;
    }
    *gap = false;
    *start = s->next_seq;
    return follows;
}

/* Is there a request that a picture made from all frames before seq answers? */
static bool is_awaited(const struct snapshot *s, uint64_t seq)
{
    for (size_t i = 0; i < s->count; i++) {
        uint64_t from;
        if (snapshot_client_waits(s->clients[i], &from) != NULL && from <= seq)
            return true;
    }
    return false;
}

/* Frames for the job; those that cannot be decoded are only counted. */
static void list_frames(struct snapshot *s)
{
    struct snapshot_job *job = &s->job;
    uint64_t head = frame_ring_head(s->ring);
    uint64_t seq;
    bool gap;
    bool decodable = find_start(s, &seq, &gap);
    job->gap = gap;
    job->frame_count = 0;
    if (!decodable) {
        s->has_chain = false;
        if (seq < frame_ring_tail(s->ring)) {
            seq = frame_ring_tail(s->ring);
            job->lost = SNAPSHOT_LOST_MAX + 1;
        }
        for (; seq < head; seq++)
            job->lost += frame_ring_get(s->ring, seq)->track == TRACK_VIDEO;
    }
    for (; seq < head && job->frame_count < SNAPSHOT_JOB_FRAMES_MAX; seq++) {
        struct frame *f = frame_ring_get(s->ring, seq);
        if (f->track != TRACK_VIDEO)
            continue;
        job->frames[job->frame_count] = frame_ref(f);
        job->seqs[job->frame_count++] = seq;
    }
    s->next_seq = seq;
    job->render = seq == head || is_awaited(s, seq);
    s->job_seq = seq;
}

/* --- what a job gives ----------------------------------------------------- */

static void run_job(uv_work_t *work)
{
    static _Thread_local bool is_nice;
    struct snapshot *s = work->data;
    if (!is_nice) {
        is_nice = true;
        (void)setpriority(PRIO_PROCESS, 0, POOL_NICE); /* Linux: of this thread */
    }
    snapshot_job_run(&s->job);
}

/* Everybody whom the picture is new enough for. */
static void answer(struct snapshot *s)
{
    if (!snapshot_job_is_fresh(&s->job))
        return;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t seq;
        const struct rendition *w = snapshot_client_waits(s->clients[i], &seq);
        if (w == NULL || seq > s->done_seq)
            continue;
        const struct rendered *r = find_rendered(s, w);
        if (r == NULL || r->jpeg == NULL)
            continue;
        if (snapshot_client_is_waiting(s->clients[i]))
            histogram_add(&s->stats.times,
                          (clock_ms() - snapshot_client_opened_ms(s->clients[i])) * 1000);
        snapshot_client_answer(s->clients[i], &s->job.picture, r->jpeg);
    }
}

static void report_error(struct snapshot *s)
{
    if (s->job.error == -ENOTSUP)
        snapshot_fail_waiting(s, INT64_MAX, HTTP_ERROR_UNSUPPORTED_CODEC,
                              "the picture cannot be decoded");
    else if (s->job.error == -ENOMEM)
        snapshot_fail_waiting(s, INT64_MAX, HTTP_ERROR_OVERLOADED, "out of memory");
}

static void on_job_done(uv_work_t *work, int status)
{
    struct snapshot *s = work->data;
    assert(status == 0); /* jobs are never cancelled */
    (void)status;
    s->busy = false;
    s->stats.decoded += s->job.frame_count;
    s->stats.pictures += s->job.made;
    for (size_t i = 0; i < s->job.frame_count; i++)
        frame_unref(&s->job.frames[i]);
    s->job.frame_count = 0;
    if (s->reset_job) {
        s->reset_job = false;
        snapshot_job_reset(&s->job);
    } else {
        s->has_chain = !picture_decoder_needs_key(s->job.decoder);
        s->done_seq = s->job_seq;
        report_error(s);
        answer(s);
    }
    if (s->closed != NULL)
        free_when_done(s);
    else
        pump(s);
}

static void start_job(struct snapshot *s)
{
    size_t missing = 0;
    for (size_t i = 0; i < s->job.rendered_count; i++)
        missing += s->job.rendered[i].wanted && s->job.rendered[i].jpeg == NULL;
    bool can_render = missing > 0 && s->job.render && snapshot_job_is_fresh(&s->job);
    if (s->job.frame_count == 0 && !can_render)
        return;
    s->busy = true;
    if (uv_queue_work(s->env.loop, &s->work, run_job, on_job_done) != 0)
        abort(); /* it refuses only a missing function */
}

/* --- when to work --------------------------------------------------------- */

static void note_gop(struct snapshot *s)
{
    uint64_t head = frame_ring_head(s->ring);
    if (s->seen_seq < frame_ring_tail(s->ring))
        s->seen_seq = frame_ring_tail(s->ring);
    for (; s->seen_seq < head; s->seen_seq++) {
        const struct frame *f = frame_ring_get(s->ring, s->seen_seq);
        if (f->track != TRACK_VIDEO)
            continue;
        int64_t since_key_us = s->key_dts_us != INT64_MIN ? f->dts_us - s->key_dts_us : 0;
        if (f->key)
            s->key_dts_us = f->dts_us;
        if (f->key || since_key_us > s->gop_us)
            s->gop_us = since_key_us;
    }
}

/* Will the frames that came have to be decoded anyway? */
static bool wants_ahead(const struct snapshot *s)
{
    return s->job.decoder != NULL && s->asked_often && clock_us() - s->asked_us < s->gop_us / 2;
}

static bool anybody_waits(const struct snapshot *s)
{
    uint64_t seq;
    for (size_t i = 0; i < s->count; i++) {
        if (snapshot_client_waits(s->clients[i], &seq) != NULL)
            return true;
    }
    return false;
}

/* Start a job if there is something to do and none is running. */
static void pump(struct snapshot *s)
{
    if (s->busy || s->closed != NULL)
        return;
    answer(s); /* from what was made before */
    uint64_t fresh = frame_ring_head(s->ring) - s->next_seq;
    if (!anybody_waits(s) && (fresh < AHEAD_FRAMES || !wants_ahead(s)))
        return;
    list_frames(s);
    if (s->job.frame_count == 0)
        s->done_seq = s->job_seq;
    list_renditions(s);
    answer(s); /* if no frame came since */
    start_job(s);
}

/* The newest video frame before a ring number, or NULL; *seq is set to its number. */
static const struct frame *video_frame_before(const struct snapshot *s, uint64_t *seq)
{
    while (*seq > frame_ring_tail(s->ring)) {
        const struct frame *f = frame_ring_get(s->ring, --*seq);
        if (f->track == TRACK_VIDEO)
            return f;
    }
    return NULL;
}

/*
 * What a picture must be made of to answer a request that comes now: everything but the newest
 * frame.  A picture that is there already and one frame behind is not older when it arrives than a
 * new one, which takes about a frame's time to make; and when many ask, half as many are made.
 * Everything, where the newest frame may be more than one picture ahead (reordering: composition
 * times differ), and in a damaged chain.
 */
static uint64_t awaited_seq(const struct snapshot *s)
{
    uint64_t head = frame_ring_head(s->ring);
    uint64_t newest_seq = head;
    const struct frame *newest = video_frame_before(s, &newest_seq);
    uint64_t seq = newest_seq;
    const struct frame *before = newest != NULL ? video_frame_before(s, &seq) : NULL;
    if (before == NULL || !s->has_chain)
        return head;
    int64_t cts_step_us = (newest->pts_us - newest->dts_us) - (before->pts_us - before->dts_us);
    return llabs(cts_step_us) < CTS_SLACK_US ? newest_seq : head;
}

static void note_request(struct snapshot *s)
{
    int64_t now_us = clock_us();
    s->asked_often = s->asked_us != 0 && now_us - s->asked_us < s->gop_us / 2;
    s->asked_us = now_us;
    if (!uv_is_active((uv_handle_t *)&s->check))
        (void)uv_timer_start(&s->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
}

void snapshot_on_frame(struct snapshot *snapshot)
{
    struct snapshot *s = snapshot;
    note_gop(s);
    uint64_t seq = awaited_seq(s);
    int64_t now_us = clock_us();
    for (size_t i = 0; i < s->count; i++) {
        if (snapshot_client_is_streaming(s->clients[i]) &&
            snapshot_client_on_frame(s->clients[i], seq, now_us))
            note_request(s);
    }
    pump(s);
}

void snapshot_on_disconnect(struct snapshot *snapshot)
{
    snapshot->next_seq = frame_ring_head(snapshot->ring);
    snapshot->key_dts_us = INT64_MIN;
    forget_pictures(snapshot);
}

/* --- clients -------------------------------------------------------------- */

static bool has_room_for(struct snapshot *s, const struct rendition *r)
{
    const struct rendition *seen[SNAPSHOT_RENDITIONS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t seq;
        const struct rendition *w = snapshot_client_waits(s->clients[i], &seq);
        bool is_new = w != NULL && !same_rendition(w, r);
        for (size_t k = 0; k < n && is_new; k++)
            is_new = !same_rendition(w, seen[k]);
        if (is_new && n < SNAPSHOT_RENDITIONS_MAX)
            seen[n++] = w;
    }
    return n < SNAPSHOT_RENDITIONS_MAX;
}

void snapshot_add(struct snapshot *snapshot, int *fd, const struct ipc_client *request)
{
    struct snapshot *s = snapshot;
    const struct rendition r = {request->width, request->height, request->quality};
    bool full = s->count >= SNAPSHOT_CLIENTS_MAX || !has_room_for(s, &r);
    /* Who names a picture it has wants another one if there is any. */
    bool conditional = request->if_none_match[0] != '\0';
    uint64_t seq = conditional ? frame_ring_head(s->ring) : awaited_seq(s);
    struct snapshot_client *c = snapshot_client_open(&s->env, fd, request, seq);
    if (s->count == s->capacity) {
        s->capacity = s->capacity > 0 ? s->capacity * 2 : 8;
        s->clients = realloc(s->clients, s->capacity * sizeof(struct snapshot_client *));
        if (s->clients == NULL)
            abort(); /* a pointer each */
    }
    s->clients[s->count++] = c;
    note_request(s);
    if (full)
        snapshot_client_fail(c, HTTP_ERROR_OVERLOADED, "too many snapshots at a time");
    else
        pump(s);
}

void snapshot_fail_waiting(struct snapshot *snapshot, int64_t opened_before_ms,
                           enum http_error error, const char *message)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot_client_opened_ms(snapshot->clients[i]) < opened_before_ms)
            snapshot_client_fail(snapshot->clients[i], error, message);
    }
}

void snapshot_close_streaming(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot_client_is_streaming(snapshot->clients[i]))
            snapshot_client_close(snapshot->clients[i]);
    }
}

size_t snapshot_waiting(const struct snapshot *snapshot)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->count; i++)
        n += snapshot_client_is_waiting(snapshot->clients[i]);
    return n;
}

size_t snapshot_streaming(const struct snapshot *snapshot)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->count; i++)
        n += snapshot_client_is_streaming(snapshot->clients[i]);
    return n;
}

struct snapshot_stats snapshot_get_stats(const struct snapshot *snapshot)
{
    struct snapshot_stats stats = snapshot->stats;
    for (size_t i = 0; i < snapshot->count; i++)
        stats.bytes_out += snapshot_client_bytes(snapshot->clients[i]);
    return stats;
}
