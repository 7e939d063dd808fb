/* See snapshot.h. */
#include "worker/pictures/snapshot.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/xalloc.h"
#include "worker/http/client_set.h"
#include "worker/pictures/snapshot_client.h"
#include "worker/pictures/snapshot_lane.h"
#include "worker/pictures/snapshot_required.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define CHECK_INTERVAL_MS 250
/* At least this many new frames make a job when nobody waits. */
#define AHEAD_FRAMES 2
#define AHEAD_FRAMES_RENDERING 8
/* When the worker stops, answers under way have this long to finish. */
#define CLOSE_MS 2000

struct snapshot {
    struct snapshot_client_env env;
    const struct frame_ring *ring;
    struct client_set clients;
    uv_timer_t check;

    struct snapshot_lane lanes[IPC_PICTURE_COUNT];

    uv_work_t work;
    bool rendering;
    struct snapshot_lane *lane; /* the lane of the job under way, or of the last one */
    bool drop_render;           /* drop the job's result: the camera has gone meanwhile */
    struct render_job render;   /* belongs to the pool thread while rendering */

    struct snapshot_stats stats;
    struct closing closing; /* parts: clients, the feeds, the job under way */
    int64_t close_ms;       /* answers that are not sent by then are lost */
};

static void pump(struct snapshot *s);
static void on_decoded(void *ctx);
static void on_again(void *ctx, struct snapshot_client *client);

/* --- life ----------------------------------------------------------------- */

/* The timer is the last part: it ends clients that do not take their answers. */
static void on_timer_closed(uv_handle_t *handle)
{
    struct snapshot *s = handle->data;
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        rendered_set_clear(&s->lanes[kind].made);
    render_job_reset(&s->render);
    client_set_clear(&s->clients);
    refusal_log_flush(&s->env.refusals, "snapshot refused");
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

/* No JPEG made so far may be given out any more. */
static void forget_rendered(struct snapshot *s)
{
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        rendered_set_clear(&s->lanes[kind].made);
    if (s->rendering)
        s->drop_render = true;
    else
        render_job_reset(&s->render);
}

static bool holds_memory(const struct snapshot *s)
{
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        if (snapshot_lane_holds_memory(&s->lanes[kind]))
            return true;
    return false;
}

/* Give back what nobody has asked for lately. */
static void give_memory_back(struct snapshot *s)
{
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        snapshot_lane_check(&s->lanes[kind], clock_us());
    if (!holds_memory(s) && !s->rendering)
        render_job_reset(&s->render);
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
    if (s->closing.asked)
        return;
    pump(s); /* a client may have run out of patience */
    give_memory_back(s);
    if (!holds_memory(s) && s->clients.count == 0)
        (void)uv_timer_stop(timer);
}

struct snapshot *snapshot_new(uv_loop_t *loop, const struct frame_ring *ring,
                              const struct ipc_limits *limits, const char *camera,
                              const struct client_return *back)
{
    struct snapshot *s = xcalloc(1, sizeof(*s));
    s->env = (struct snapshot_client_env){.loop = loop,
                                          .limits = limits,
                                          .camera = camera,
                                          .on_again = on_again,
                                          .back = back,
                                          .on_closed = on_client_closed,
                                          .ctx = s};
    s->ring = ring;
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++) {
        struct snapshot_lane *lane = &s->lanes[kind];
        *lane = (struct snapshot_lane){.kind = (enum ipc_picture)kind,
                                       .ring = ring,
                                       .clients = &s->clients,
                                       .stats = &s->stats,
                                       .owner = s};
        lane->feed = picture_feed_new(loop, ring, lane->kind, on_decoded, lane);
        closing_hold(&s->closing); /* the feed */
    }
    s->work.data = s;
    s->check.data = s;
    (void)uv_timer_init(loop, &s->check);
    return s;
}

static void on_feed_closed(void *ctx)
{
    struct snapshot_lane *lane = ctx;
    lane->feed = NULL;
    release_part(lane->owner);
}

void snapshot_close(struct snapshot *snapshot, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&snapshot->closing, closed, ctx); /* the feeds are parts */
    snapshot->close_ms = clock_ms() + CLOSE_MS;
    snapshot_fail_unanswered(snapshot, INT64_MAX, HTTP_ERROR_DRAINING, "the server is stopping");
    snapshot_close_streaming(snapshot);
    snapshot_give_back(snapshot);
    (void)uv_timer_start(&snapshot->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        picture_feed_close(snapshot->lanes[kind].feed, on_feed_closed, &snapshot->lanes[kind]);
}

/* --- rendering ------------------------------------------------------------ */

static void run_render(uv_work_t *work)
{
    struct snapshot *s = work->data;
    render_job_run(&s->render);
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
        snapshot_lane_finish_job(s->lane, &s->render);
    }
    pump(s);
    release_part(s);
}

/* Make the due forms of the newest picture, for the clients for whom it is recent enough. */
static void render(struct snapshot_lane *lane)
{
    struct snapshot *s = lane->owner;
    if (s->rendering || !snapshot_lane_begin_job(lane, &s->render))
        return;
    s->lane = lane;
    s->rendering = true;
    closing_hold(&s->closing);
    if (uv_queue_work(s->env.loop, &s->work, run_render, on_rendered) != 0)
        abort(); /* it refuses only a missing function */
}

/* --- when to work --------------------------------------------------------- */

/* Will the new frames have to be decoded anyway?  While a picture is rendered they wait, if they
 * are few: another picture beside the newest, that one and the next takes megabytes. */
static bool should_decode_ahead(const struct snapshot_lane *lane)
{
    size_t least = lane->owner->rendering ? AHEAD_FRAMES_RENDERING : AHEAD_FRAMES;
    return lane->kind == IPC_PICTURE_NEWEST && picture_feed_holds_memory(lane->feed) &&
           picture_feed_backlog(lane->feed) >= least &&
           snapshot_pace_is_fast(&lane->pace, clock_us());
}

static void report_error(struct snapshot *s, int error)
{
    if (error == 0)
        return;
    struct render_failure f = render_failure(error, NULL);
    snapshot_fail_unanswered(s, INT64_MAX, f.error, f.text);
}

/* A job of the feed is done: the clients that waited for it can be served. */
static void on_decoded(void *ctx)
{
    struct snapshot_lane *lane = ctx;
    report_error(lane->owner, picture_feed_error(lane->feed));
    render(lane);
    pump(lane->owner);
}

/*
 * If no JPEG made so far answers a request, make one of the picture that is decoded already, if
 * that is new enough; else decode new frames first.  Do nothing while a picture is being made.
 */
static void pump_lane(struct snapshot_lane *lane)
{
    bool due = snapshot_lane_is_due(lane, NULL) && !lane->owner->rendering;
    if (due && (snapshot_lane_has_due(lane) || !picture_feed_update(lane->feed)))
        render(lane);
    else if (!due && should_decode_ahead(lane))
        (void)picture_feed_update(lane->feed);
}

/* Do all work that is due.  The lane that did not render last has the first turn. */
static void pump(struct snapshot *s)
{
    if (s->closing.asked)
        return;
    int first = s->lane == &s->lanes[IPC_PICTURE_NEWEST] ? IPC_PICTURE_KEY : IPC_PICTURE_NEWEST;
    for (int i = 0; i < IPC_PICTURE_COUNT; i++) {
        snapshot_lane_take_own(&s->lanes[i]);
        snapshot_lane_answer(&s->lanes[i]);
    }
    for (int i = 0; i < IPC_PICTURE_COUNT; i++)
        pump_lane(&s->lanes[(first + i) % IPC_PICTURE_COUNT]);
}

static uint64_t required_seq(const struct snapshot *s, enum ipc_picture kind)
{
    bool has_chain = picture_feed_has_chain(s->lanes[IPC_PICTURE_NEWEST].feed);
    return snapshot_required_seq(s->ring, kind, has_chain);
}

static void note_request(struct snapshot *s, enum ipc_picture kind)
{
    snapshot_pace_request(&s->lanes[kind].pace, clock_us());
    if (!uv_is_active((uv_handle_t *)&s->check))
        (void)uv_timer_start(&s->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
}

void snapshot_on_frame(struct snapshot *snapshot)
{
    struct snapshot *s = snapshot;
    const struct frame *newest = frame_ring_newest_picture(s->ring);
    for (int kind = 0; newest != NULL && kind < IPC_PICTURE_COUNT; kind++)
        snapshot_pace_frame(&s->lanes[kind].pace, newest->dts_us, newest->key);
    uint64_t seqs[IPC_PICTURE_COUNT];
    int64_t now_us = clock_us();
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++)
        seqs[kind] = required_seq(s, (enum ipc_picture)kind);
    for (size_t i = 0; i < s->clients.count; i++) {
        struct snapshot_client *client = s->clients.items[i];
        if (snapshot_client_is_streaming(client) &&
            snapshot_client_on_frame(client, seqs[snapshot_client_kind(client)], now_us))
            note_request(s, snapshot_client_kind(client));
    }
    pump(s);
}

void snapshot_give_back(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->clients.count; i++)
        snapshot_client_give_back(snapshot->clients.items[i]);
}

void snapshot_on_disconnect(struct snapshot *snapshot)
{
    snapshot_give_back(snapshot);
    forget_rendered(snapshot);
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++) {
        snapshot_pace_disconnect(&snapshot->lanes[kind].pace);
        picture_feed_disconnect(snapshot->lanes[kind].feed);
    }
}

/* --- clients -------------------------------------------------------------- */

/* Each client may wait for so many forms: they take turns, so others' do not matter. */
static bool has_room_for(struct snapshot *s, const struct ipc_client *request)
{
    const struct picture_form form = snapshot_client_form(request);
    struct rendered_set due = {.count = 0};
    for (size_t i = 0; i < s->clients.count; i++) {
        uint64_t seq;
        const struct snapshot_client *c = s->clients.items[i];
        const struct picture_form *w = snapshot_client_due(c, &seq);
        if (w != NULL && snapshot_client_request(c)->client == request->client &&
            rendered_set_find(&due, w) == NULL && due.count < SNAPSHOT_FORMS_MAX)
            due.items[due.count++].form = *w;
    }
    return due.count < SNAPSHOT_FORMS_MAX || rendered_set_find(&due, &form) != NULL;
}

/* The seq of snapshot_client_open() for a request. */
static uint64_t seq_for(const struct snapshot *s, const struct ipc_client *request)
{
    /* The client has a picture, and asks for a newer one if there is any. */
    bool conditional = request->if_none_match[0] != '\0' && request->wait_ms == 0;
    bool all = conditional && request->picture == IPC_PICTURE_NEWEST;
    return all ? frame_ring_head(s->ring) : required_seq(s, (enum ipc_picture)request->picture);
}

static void on_again(void *ctx, struct snapshot_client *client)
{
    struct snapshot *s = ctx;
    snapshot_client_require(client, seq_for(s, snapshot_client_request(client)));
    note_request(s, snapshot_client_kind(client));
    pump(s);
}

/* Clients whose connection is kept do not count: they go back to the master soon. */
static size_t count_busy(const struct snapshot *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->clients.count; i++)
        n += !snapshot_client_is_kept(s->clients.items[i]);
    return n;
}

void snapshot_add(struct snapshot *snapshot, int *fd, const struct ipc_client *request)
{
    struct snapshot *s = snapshot;
    bool full = count_busy(s) >= SNAPSHOT_CLIENTS_MAX || !has_room_for(s, request);
    struct snapshot_client *c = snapshot_client_open(&s->env, fd, request, seq_for(s, request));
    client_set_add(&s->clients, c);
    closing_hold(&s->closing);
    note_request(s, snapshot_client_kind(c));
    if (full)
        snapshot_client_fail(c, HTTP_ERROR_OVERLOADED, "too many snapshots at a time");
    if (count_busy(s) > (size_t)2 * SNAPSHOT_CLIENTS_MAX)
        snapshot_client_close(c); /* even if it has not read its answer: descriptors are bounded */
    if (!full)
        pump(s);
}

void snapshot_fail_unanswered(struct snapshot *snapshot, int64_t opened_before_ms,
                              enum http_error error, const char *message)
{
    for (size_t i = 0; i < snapshot->clients.count; i++) {
        if (snapshot_client_waits_since_ms(snapshot->clients.items[i]) < opened_before_ms)
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

static size_t count_clients(const struct snapshot *snapshot,
                            bool (*is_one)(const struct snapshot_client *client))
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->clients.count; i++)
        n += is_one(snapshot->clients.items[i]);
    return n;
}

size_t snapshot_unanswered(const struct snapshot *snapshot)
{
    return count_clients(snapshot, snapshot_client_is_unanswered);
}

bool snapshot_is_whole(const struct snapshot *snapshot)
{
    return count_clients(snapshot, snapshot_client_is_whole) == snapshot->clients.count;
}

size_t snapshot_streaming(const struct snapshot *snapshot)
{
    return count_clients(snapshot, snapshot_client_is_streaming);
}

static bool is_request(const struct snapshot_client *client)
{
    return snapshot_client_is_unanswered(client) && !snapshot_client_is_mjpeg(client);
}

size_t snapshot_requests(const struct snapshot *snapshot)
{
    return count_clients(snapshot, is_request);
}

struct snapshot_stats snapshot_get_stats(const struct snapshot *snapshot)
{
    struct snapshot_stats stats = snapshot->stats;
    stats.refused = snapshot->env.refusals.count;
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++) {
        if (snapshot->lanes[kind].feed != NULL)
            stats.decoded += picture_feed_decoded(snapshot->lanes[kind].feed);
    }
    for (size_t i = 0; i < snapshot->clients.count; i++)
        stats.bytes_out += snapshot_client_bytes(snapshot->clients.items[i]);
    return stats;
}
