/* See snapshot.h. */
#include "worker/pictures/snapshot.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/http/client_set.h"
#include "worker/pictures/picture_feed.h"
#include "worker/pictures/snapshot_client.h"
#include "worker/pictures/snapshot_pace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_INTERVAL_MS 250
/* Composition times that differ by less are the same: timestamps are rounded. */
#define CTS_SLACK_US 1000
/* Frames that are worth a job of their own when nobody waits. */
#define AHEAD_FRAMES 2
/* Answers under way when the worker leaves have this long. */
#define CLOSE_MS 2000

struct snapshot {
    struct snapshot_client_env env;
    const struct frame_ring *ring;
    struct client_set clients;
    uv_timer_t check;

    struct picture_feed *feed; /* NULL once closed */
    struct rendered_set made;  /* of the picture given out now */

    uv_work_t work;
    bool rendering;
    bool drop_render;         /* as soon as it is done: the camera went meanwhile */
    struct render_job render; /* the pool thread's while rendering */

    struct snapshot_pace pace;
    struct snapshot_stats stats;
    struct closing closing; /* parts: clients, the feed, the job under way */
    int64_t close_ms;       /* what is not sent by then is lost */
};

static void pump(struct snapshot *s);
static void on_decoded(void *ctx);

/* --- life ----------------------------------------------------------------- */

/* The timer is the last part: it ends clients that do not take their answers. */
static void on_timer_closed(uv_handle_t *handle)
{
    struct snapshot *s = handle->data;
    rendered_set_clear(&s->made);
    render_job_reset(&s->render);
    client_set_clear(&s->clients);
    closing_finish(&s->closing, s);
}

static void release_part(struct snapshot *s)
{
    if (closing_release(&s->closing))
        uv_close((uv_handle_t *)&s->check, on_timer_closed);
}

static void on_client_closed(void *ctx, struct snapshot_client *client)
{
    struct snapshot *s = ctx;
    s->stats.bytes_out += snapshot_client_bytes(client);
    client_set_remove(&s->clients, client);
    release_part(s);
}

/* Nothing made so far may be given out any more. */
static void forget_rendered(struct snapshot *s)
{
    rendered_set_clear(&s->made);
    if (s->rendering)
        s->drop_render = true;
    else
        render_job_reset(&s->render);
}

static bool has_clients(const struct snapshot *s)
{
    return snapshot_unanswered(s) > 0 || snapshot_streaming(s) > 0;
}

static void on_check(uv_timer_t *timer)
{
    struct snapshot *s = timer->data;
    int64_t now_ms = clock_ms();
    for (size_t i = 0; i < s->clients.count; i++) {
        snapshot_client_check(s->clients.items[i], now_ms);
        if (s->closing.asked && now_ms > s->close_ms)
            snapshot_client_close(s->clients.items[i]);
    }
    if (has_clients(s))
        snapshot_pace_touch(&s->pace, clock_us());
    if (s->closing.asked)
        return;
    pump(s); /* a client may have run out of patience */
    bool kept = picture_feed_holds_memory(s->feed);
    if (kept && snapshot_pace_idle_us(&s->pace, clock_us()) > SNAPSHOT_KEEP_MS * INT64_C(1000)) {
        log_debug(NULL, "nobody asks for pictures: memory given back");
        forget_rendered(s);
        picture_feed_forget(s->feed);
    } else if (!kept && s->clients.count == 0) {
        (void)uv_timer_stop(timer);
    }
}

struct snapshot *snapshot_new(uv_loop_t *loop, const struct frame_ring *ring,
                              const struct ipc_limits *limits, const char *camera)
{
    struct snapshot *s = xcalloc(1, sizeof(*s));
    s->env = (struct snapshot_client_env){
        .loop = loop, .limits = limits, .camera = camera, .on_closed = on_client_closed, .ctx = s};
    s->ring = ring;
    s->feed = picture_feed_new(loop, ring, on_decoded, s);
    closing_hold(&s->closing); /* the feed */
    s->work.data = s;
    s->check.data = s;
    (void)uv_timer_init(loop, &s->check);
    return s;
}

static void on_feed_closed(void *ctx)
{
    struct snapshot *s = ctx;
    s->feed = NULL;
    release_part(s);
}

void snapshot_close(struct snapshot *snapshot, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&snapshot->closing, closed, ctx); /* the feed is a part */
    snapshot->close_ms = clock_ms() + CLOSE_MS;
    snapshot_fail_unanswered(snapshot, INT64_MAX, HTTP_ERROR_DRAINING, "the server is stopping");
    snapshot_close_streaming(snapshot);
    (void)uv_timer_start(&snapshot->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
    picture_feed_close(snapshot->feed, on_feed_closed, snapshot);
}

/* --- rendering ------------------------------------------------------------ */

/* May this older picture go to a client whose patience has run out? */
static bool is_second_best(const struct snapshot *s, const struct snapshot_picture *picture)
{
    struct picture_feed_newest newest;
    return picture_feed_get(s->feed, &newest) && newest.seq == picture->seq &&
           clock_us() - picture->received_us <= SNAPSHOT_OLD_MAX_MS * INT64_C(1000);
}

/* The form that a client is due, if the picture of the set is new enough for it. */
static const struct picture_form *due_form(const struct snapshot *s,
                                           const struct snapshot_client *client,
                                           const struct rendered_set *set)
{
    uint64_t seq;
    const struct picture_form *w = snapshot_client_due(client, &seq);
    if (w == NULL || seq <= set->newest_until)
        return w;
    bool accepts_older = snapshot_client_accepts_older(client, clock_ms());
    return accepts_older && is_second_best(s, &set->picture) ? w : NULL;
}

/* Give what was made to every client for whom it is new enough. */
static void answer(struct snapshot *s)
{
    for (size_t i = 0; i < s->clients.count; i++) {
        const struct picture_form *w = due_form(s, s->clients.items[i], &s->made);
        if (w == NULL)
            continue;
        const struct rendered *r = rendered_set_find(&s->made, w);
        if (r == NULL || r->jpeg == NULL)
            continue;
        if (snapshot_client_is_unanswered(s->clients.items[i]))
            histogram_add(&s->stats.times,
                          (clock_ms() - snapshot_client_opened_ms(s->clients.items[i])) * 1000);
        snapshot_client_answer(s->clients.items[i], &s->made.picture, r->jpeg);
    }
}

static void run_render(uv_work_t *work)
{
    struct snapshot *s = work->data;
    render_job_run(&s->render);
}

/* What was made before of the same picture is kept as long as there is room. */
static void take_rendered(struct snapshot *s)
{
    struct rendered_set *made = &s->render.set;
    for (size_t i = 0; i < made->count; i++)
        s->stats.pictures += made->items[i].jpeg != NULL;
    if (made->picture.seq == s->made.picture.seq) {
        for (size_t i = 0; i < s->made.count && made->count < SNAPSHOT_FORMS_MAX; i++) {
            struct rendered *old = &s->made.items[i];
            if (rendered_set_find(made, &old->form) == NULL) {
                made->items[made->count++] = *old;
                old->jpeg = NULL;
            }
        }
    }
    rendered_set_clear(&s->made);
    s->made = *made;
    memset(made, 0, sizeof(*made));
}

static const char *error_text(int error)
{
    return error == -ENOTSUP ? "the picture cannot be decoded" : "out of memory";
}

static enum http_error error_code(int error)
{
    return error == -ENOTSUP ? HTTP_ERROR_UNSUPPORTED_CODEC : HTTP_ERROR_OVERLOADED;
}

static void report_error(struct snapshot *s, int error)
{
    if (error != 0)
        snapshot_fail_unanswered(s, INT64_MAX, error_code(error), error_text(error));
}

/* Refuse the clients whose form could not be made; others may have been.  An MJPEG client is ended,
 * or it would be tried again at once, for ever. */
static void fail_unserved(struct snapshot *s)
{
    for (size_t i = 0; i < s->clients.count && s->render.error != 0; i++) {
        const struct picture_form *w = due_form(s, s->clients.items[i], &s->render.set);
        const struct rendered *r = w != NULL ? rendered_set_find(&s->render.set, w) : NULL;
        if (r == NULL || r->jpeg != NULL)
            continue;
        if (snapshot_client_is_streaming(s->clients.items[i]))
            snapshot_client_end(s->clients.items[i], error_text(s->render.error));
        else
            snapshot_client_fail(s->clients.items[i], error_code(s->render.error),
                                 error_text(s->render.error));
    }
}

static void on_rendered(uv_work_t *work, int status)
{
    struct snapshot *s = work->data;
    assert(status == 0); /* jobs are never cancelled */
    (void)status;
    s->rendering = false;
    if (s->drop_render) {
        s->drop_render = false;
        render_job_reset(&s->render);
    } else {
        av_frame_unref(s->render.frame);
        fail_unserved(s);
        take_rendered(s);
        answer(s);
    }
    pump(s);
    release_part(s);
}

/* The forms that are due and that this picture answers.  What does not fit (MJPEG clients are not
 * bounded by it) is left for the next job. */
static void list_forms(struct snapshot *s)
{
    struct rendered_set *set = &s->render.set;
    for (size_t i = 0; i < s->clients.count && set->count < SNAPSHOT_FORMS_MAX; i++) {
        const struct picture_form *w = due_form(s, s->clients.items[i], set);
        if (w != NULL && rendered_set_find(set, w) == NULL)
            set->items[set->count++] = (struct rendered){.form = *w};
    }
}

/* Make the forms that are due of the newest picture, if that is new enough. */
static void render(struct snapshot *s)
{
    struct picture_feed_newest newest;
    if (s->rendering || !picture_feed_get(s->feed, &newest))
        return;
    if (s->made.count > 0 && s->made.picture.seq == newest.seq) {
        s->made.newest_until = newest.until;
        answer(s);
    }
    s->render.set.picture = (struct snapshot_picture){newest.seq, newest.received_us};
    s->render.set.newest_until = newest.until;
    list_forms(s);
    if (s->render.set.count == 0)
        return;
    if (s->render.frame == NULL)
        s->render.frame = av_frame_alloc();
    if (s->render.frame == NULL || av_frame_ref(s->render.frame, newest.frame) < 0)
        abort(); /* counted references to a picture that is there: small */
    s->rendering = true;
    closing_hold(&s->closing);
    if (uv_queue_work(s->env.loop, &s->work, run_render, on_rendered) != 0)
        abort(); /* it refuses only a missing function */
}

/* --- when to work --------------------------------------------------------- */

/* Will the frames that came have to be decoded anyway? */
static bool should_decode_ahead(const struct snapshot *s)
{
    return picture_feed_holds_memory(s->feed) && picture_feed_backlog(s->feed) >= AHEAD_FRAMES &&
           snapshot_pace_is_fast(&s->pace, clock_us());
}

static bool is_any_due(const struct snapshot *s)
{
    uint64_t seq;
    for (size_t i = 0; i < s->clients.count; i++) {
        if (snapshot_client_due(s->clients.items[i], &seq) != NULL)
            return true;
    }
    return false;
}

/* A job of the feed is done: the clients that waited for it can be served. */
static void on_decoded(void *ctx)
{
    struct snapshot *s = ctx;
    report_error(s, picture_feed_error(s->feed));
    render(s);
    pump(s);
}

/*
 * Do what there is to do.  A request that nothing made before answers is served from the newest
 * frame there is: decode first, unless that is under way or the picture is being made.
 */
static void pump(struct snapshot *s)
{
    if (s->closing.asked)
        return;
    answer(s);
    bool due = is_any_due(s) && !s->rendering;
    if (due && !picture_feed_update(s->feed))
        render(s);
    else if (!due && should_decode_ahead(s))
        (void)picture_feed_update(s->feed);
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
static uint64_t required_seq(const struct snapshot *s)
{
    uint64_t seq = frame_ring_head(s->ring);
    const struct frame *newest = video_frame_before(s, &seq);
    const struct frame *before = newest != NULL ? video_frame_before(s, &seq) : NULL;
    if (before == NULL || !picture_feed_has_chain(s->feed))
        return frame_ring_head(s->ring);
    int64_t cts_step_us = (newest->pts_us - newest->dts_us) - (before->pts_us - before->dts_us);
    return llabs(cts_step_us) < CTS_SLACK_US ? seq + 1 : frame_ring_head(s->ring);
}

static void note_request(struct snapshot *s)
{
    snapshot_pace_request(&s->pace, clock_us());
    if (!uv_is_active((uv_handle_t *)&s->check))
        (void)uv_timer_start(&s->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
}

void snapshot_on_frame(struct snapshot *snapshot)
{
    struct snapshot *s = snapshot;
    const struct frame *newest = frame_ring_newest_picture(s->ring);
    if (newest != NULL)
        snapshot_pace_frame(&s->pace, newest->dts_us, newest->key);
    uint64_t seq = required_seq(s);
    int64_t now_us = clock_us();
    for (size_t i = 0; i < s->clients.count; i++) {
        if (snapshot_client_is_streaming(s->clients.items[i]) &&
            snapshot_client_on_frame(s->clients.items[i], seq, now_us))
            note_request(s);
    }
    pump(s);
}

void snapshot_on_disconnect(struct snapshot *snapshot)
{
    snapshot_pace_disconnect(&snapshot->pace);
    forget_rendered(snapshot);
    picture_feed_disconnect(snapshot->feed);
}

/* --- clients -------------------------------------------------------------- */

static bool has_room_for(struct snapshot *s, const struct picture_form *r)
{
    struct rendered_set due = {.count = 0};
    for (size_t i = 0; i < s->clients.count; i++) {
        uint64_t seq;
        const struct picture_form *w = snapshot_client_due(s->clients.items[i], &seq);
        if (w != NULL && rendered_set_find(&due, w) == NULL && due.count < SNAPSHOT_FORMS_MAX)
            due.items[due.count++].form = *w;
    }
    return due.count < SNAPSHOT_FORMS_MAX || rendered_set_find(&due, r) != NULL;
}

void snapshot_add(struct snapshot *snapshot, int *fd, const struct ipc_client *request)
{
    struct snapshot *s = snapshot;
    const struct picture_form r = {request->width, request->height, request->quality};
    bool full = s->clients.count >= SNAPSHOT_CLIENTS_MAX || !has_room_for(s, &r);
    /* A client that has a picture asks for another one if there is any. */
    bool conditional = request->if_none_match[0] != '\0';
    uint64_t seq = conditional ? frame_ring_head(s->ring) : required_seq(s);
    struct snapshot_client *c = snapshot_client_open(&s->env, fd, request, seq);
    client_set_add(&s->clients, c);
    closing_hold(&s->closing);
    note_request(s);
    if (full)
        snapshot_client_fail(c, HTTP_ERROR_OVERLOADED, "too many snapshots at a time");
    if (s->clients.count > (size_t)2 * SNAPSHOT_CLIENTS_MAX)
        snapshot_client_close(c); /* no time for it to read its answer: descriptors are bounded */
    if (!full)
        pump(s);
}

void snapshot_fail_unanswered(struct snapshot *snapshot, int64_t opened_before_ms,
                              enum http_error error, const char *message)
{
    for (size_t i = 0; i < snapshot->clients.count; i++) {
        if (snapshot_client_opened_ms(snapshot->clients.items[i]) < opened_before_ms)
            snapshot_client_fail(snapshot->clients.items[i], error, message);
    }
}

void snapshot_close_streaming(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->clients.count; i++) {
        if (snapshot_client_is_streaming(snapshot->clients.items[i]))
            snapshot_client_close(snapshot->clients.items[i]);
    }
}

size_t snapshot_unanswered(const struct snapshot *snapshot)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->clients.count; i++)
        n += snapshot_client_is_unanswered(snapshot->clients.items[i]);
    return n;
}

size_t snapshot_streaming(const struct snapshot *snapshot)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->clients.count; i++)
        n += snapshot_client_is_streaming(snapshot->clients.items[i]);
    return n;
}

size_t snapshot_requests(const struct snapshot *snapshot)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->clients.count; i++)
        n += snapshot_client_is_unanswered(snapshot->clients.items[i]) &&
             !snapshot_client_is_mjpeg(snapshot->clients.items[i]);
    return n;
}

struct snapshot_stats snapshot_get_stats(const struct snapshot *snapshot)
{
    struct snapshot_stats stats = snapshot->stats;
    if (snapshot->feed != NULL)
        stats.decoded = picture_feed_decoded(snapshot->feed);
    for (size_t i = 0; i < snapshot->clients.count; i++)
        stats.bytes_out += snapshot_client_bytes(snapshot->clients.items[i]);
    return stats;
}
