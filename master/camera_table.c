#include "master/camera_table.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/url.h"
#include "common/xalloc.h"
#include "master/camera_settings.h"
#include "master/camera_table_private.h"
#include "master/stats_clamp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000
#define RATE_MIN_MS 500 /* the report that comes with a state may follow another one at once */

/* --- all of them ---------------------------------------------------------- */

void camera_each(struct camera *cam, camera_fn do_it, void *ctx)
{
    struct camera *past;
    do_it(cam, ctx);
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        do_it(past, ctx);
    }
}

void camera_table_each(struct camera_table *t, camera_fn do_it, void *ctx)
{
    for (size_t i = t->admission.cameras.count; i > 0; i--)
        camera_each(t->admission.cameras.list[i - 1], do_it, ctx);
}

/* --- remembering ---------------------------------------------------------- */

static void forget(struct camera *cam)
{
    assert(cam->worker == NULL);
    camera_set_remove(&cam->table->admission.cameras, cam);
}

/* Must the next request know anything about this camera? */
static bool worth_keeping(const struct camera *cam)
{
    int64_t now_ms = clock_ms();
    return cam->worker != NULL || cam->guests.count > 0 || cam->always_on ||
           !LIST_EMPTY(&cam->predecessors) || now_ms < cam->refused_until_ms ||
           (cam->named && camera_health_is_known(&cam->health)) ||
           (cam->crashes > 0 && now_ms - cam->crashed_ms < CRASH_FORGIVEN_MS);
}

void camera_table_release(struct camera *cam)
{
    if (cam->heir != NULL && cam->worker == NULL)
        camera_predecessor_free(cam);
    else if (cam->heir == NULL && !worth_keeping(cam))
        forget(cam);
}

/* Named cameras do not count: there are no more of them than the configuration has. */
static bool is_only_remembered(const struct camera *cam)
{
    return !camera_is_served(cam) && !cam->named && cam->guests.count == 0;
}

/* Forget the oldest camera that is only remembered, if they are too many. */
static void make_room(struct camera_table *t)
{
    struct camera *oldest = NULL;
    size_t count = 0;
    for (size_t i = t->admission.cameras.count; i > 0; i--) {
        struct camera *cam = t->admission.cameras.list[i - 1];
        if (!is_only_remembered(cam))
            continue;
        oldest = cam;
        count++;
    }
    if (count >= CAMERA_MEMORY_MAX)
        forget(oldest);
}

struct camera *camera_table_add(struct camera_table *t, const struct camera_url *url,
                                const char *key, enum ipc_transport transport)
{
    if (t->admission.cameras.count >= CAMERA_MEMORY_MAX)
        make_room(t);
    struct camera *cam = camera_set_add(&t->admission.cameras, url, key, transport);
    cam->table = t;
    return cam;
}

/* --- workers -------------------------------------------------------------- */

static void begin_state(struct camera *cam)
{
    cam->state_since_ms = clock_ms();
    cam->state_since_us = clock_us();
}

/* The health of a camera survives its workers; a failure counts when nobody has pictures. */
static struct camera_health *health_of(struct camera *cam)
{
    return cam->heir != NULL ? &cam->heir->health : &cam->health;
}

static void note_health(struct camera *cam, const struct ipc_state *state)
{
    const struct camera *serving = camera_serving(cam->heir != NULL ? cam->heir : cam);
    if (serving == cam || camera_state(serving) != IPC_CAMERA_STREAMING)
        camera_health_on_state(health_of(cam), state, clock_us());
}

static void on_state(void *owner, const struct ipc_state *state)
{
    struct camera *cam = owner;
    const uint32_t before = cam->state.state;
    bool was_connected = before == IPC_CAMERA_CONNECTING || before == IPC_CAMERA_STREAMING;
    if (state->state == IPC_CAMERA_BACKOFF && was_connected && state->error > HTTP_ERROR_NONE &&
        state->error < HTTP_ERROR_COUNT) {
        cam->reconnects[state->error]++;
        cam->table->gone.reconnects[state->error]++;
    }
    if (state->state != cam->state.state)
        begin_state(cam);
    cam->state = *state;
    note_health(cam, state);
    camera_login_state(cam, state, before);
    camera_succession_state(cam);
}

static void on_stats(void *owner, const struct ipc_stats *stats)
{
    struct camera *cam = owner;
    int64_t now_ms = clock_ms();
    int64_t elapsed_ms = cam->stats_ms != 0 ? now_ms - cam->stats_ms : 0;
    struct ipc_stats said = *stats;
    if (cam->heir != NULL && cam->stats_ms == 0)
        cam->counted_before = *stats;
    stats_subtract(&said, &cam->counted_before);
    stats_clamp(&said, &cam->stats, elapsed_ms);
    if (elapsed_ms >= RATE_MIN_MS)
        cam->bit_rate_bps = (said.bytes_in - cam->stats.bytes_in) * 8000 / (uint64_t)elapsed_ms;
    cam->stats = said;
    cam->stats_ms = now_ms;
    cam->reports++;
    camera_health_on_picture(health_of(cam), said.picture_us, clock_us());
    if (cam->stats.viewers > cam->guests.viewers.total) /* it has no more than it was given */
        cam->stats.viewers = (uint32_t)cam->guests.viewers.total;
}

struct camera_totals camera_table_totals(const struct camera_table *table)
{
    struct camera_totals totals = table->gone;
    for (size_t i = 0; i < table->admission.cameras.count; i++) {
        const struct camera *cam = table->admission.cameras.list[i], *past;
        camera_stats_add(&totals.stats, &cam->stats);
        totals.stats.viewers += camera_stats(cam).viewers;
        LIST_FOREACH(past, &cam->predecessors, link)
        {
            camera_stats_add(&totals.stats, &past->stats);
        }
    }
    totals.nursery_deaths = workers_nursery_deaths(table->workers);
    totals.clients_kept = table->clients.kept;
    totals.clients_cut = table->clients.cut;
    memcpy(totals.worker_failures, workers_failures(table->workers),
           sizeof(totals.worker_failures));
    return totals;
}

static bool on_left(void *owner, const struct ipc_left *left)
{
    struct camera *cam = owner;
    for (uint32_t i = 0; i < left->count; i++) {
        if (!camera_clients_left(&cam->table->clients, cam, left->tickets[i]))
            return false;
    }
    return true;
}

void camera_table_detach(struct camera *cam)
{
    camera_stats_add(&cam->table->gone.stats, &cam->stats);
    camera_login_end(cam);
    cam->worker = NULL;
    cam->yielding = false;
    cam->clients_sent = 0;
    memset(&cam->state, 0, sizeof(cam->state));
    memset(&cam->stats, 0, sizeof(cam->stats));
    cam->stats_ms = 0;
    cam->bit_rate_bps = 0;
    begin_state(cam);
}

/* The worker was told to end: this camera's next client gets another worker. */
static void release(struct camera *cam)
{
    bool needless = cam->login_waits_ms != 0 && cam->guests.count == 0;
    worker_release(cam->worker);
    if (needless)
        workers_give_up(cam->worker); /* it would start only to end */
    camera_clients_drop(&cam->table->clients, cam);
    camera_table_detach(cam);
}

int camera_table_leave(struct camera *cam)
{
    const struct ipc_leave nothing = {0};
    int rc = worker_send(cam->worker, IPC_LEAVE, &nothing, NULL);
    if (rc == 0)
        release(cam);
    return rc;
}

int camera_table_end(struct camera *cam, uint32_t grace_ms)
{
    const struct ipc_drain drain = {.grace_ms = grace_ms};
    int rc = worker_send(cam->worker, IPC_DRAIN, &drain, NULL);
    if (rc == 0)
        release(cam);
    return rc;
}

/* The worker may leave, unless a client is on its way to it. */
static void on_idle(void *owner, const struct ipc_idle *idle)
{
    struct camera *cam = owner;
    if (idle->clients_seen != cam->clients_sent || camera_table_leave(cam) != 0)
        return; /* the worker asks again */
    camera_table_release(cam);
}

static bool on_return(void *owner, const struct ipc_return *connection, int *fd)
{
    struct camera *cam = owner;
    return camera_clients_return(&cam->table->clients, cam, connection, fd);
}

static const struct worker_events worker_events = {.on_state = on_state,
                                                   .on_stats = on_stats,
                                                   .on_idle = on_idle,
                                                   .on_left = on_left,
                                                   .on_return = on_return,
                                                   .on_gone = camera_succession_gone};

int camera_table_start(struct camera *cam, bool connect)
{
    bool waits = camera_login_is_awaited(cam);
    struct worker *w = cam->table->paused ? NULL
                                          : workers_take(cam->table->workers, cam, cam->id,
                                                         camera_starter(cam), waits);
    if (w == NULL)
        return -EAGAIN;
    struct ipc_assign assign = {
        .settings =
            camera_settings(cam, cam->table->admission.conf, &cam->table->admission.cameras),
        .transport = (uint32_t)cam->transport,
        .connect = connect,
    };
    (void)snprintf(assign.camera_id, sizeof(assign.camera_id), "%s", cam->id);
    (void)snprintf(assign.url, sizeof(assign.url), "%s", cam->key);
    camera_begin_attempt(cam);
    cam->worker = w;
    cam->state = (struct ipc_state){0}; /* not the one of the last program's worker */
    camera_login_begin(cam, waits);
    int rc = worker_send(w, IPC_ASSIGN, &assign, NULL);
    assert(rc == 0 || rc == -EPIPE); /* the first message of an empty queue */
    camera_clients_give(&cam->table->clients, cam);
    return 0;
}

/* --- life ----------------------------------------------------------------- */

static bool wants_to_start(const struct camera *cam)
{
    return cam->always_on && !cam->stopped && cam->worker == NULL &&
           camera_quarantine_ms(cam) == 0 && !camera_login_is_refused(cam);
}

/* Nobody asks for it whose request would have the password tried again. */
static void renew_always_on(struct camera_table *t)
{
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        struct camera *cam = t->admission.cameras.list[i];
        if (cam->always_on && !cam->stopped && !camera_login_is_refused(cam))
            camera_login_renew(cam);
    }
}

static void start_always_on(struct camera_table *t)
{
    size_t active = camera_admission_active(&t->admission);
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        struct camera *cam = t->admission.cameras.list[i];
        size_t more = !camera_is_served(cam);
        if (wants_to_start(cam) && active + more <= t->admission.conf->server.max_cameras &&
            camera_table_start(cam, false) == 0) /* if that fails, the next tick tries again */
            active += more;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct camera_table *t = timer->data;
    for (size_t i = t->admission.cameras.count; i > 0; i--) {
        if (!worth_keeping(t->admission.cameras.list[i - 1]))
            forget(t->admission.cameras.list[i - 1]);
    }
    renew_always_on(t);
    start_always_on(t);
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        camera_succession_tick(t->admission.cameras.list[i]);
        camera_find_starter(t->admission.cameras.list[i]);
        if (!camera_clients_obey(t->admission.cameras.list[i]))
            worker_kill(t->admission.cameras.list[i]->worker,
                        "keeps viewers that have closed their connections");
    }
}

int camera_table_open(uv_loop_t *loop, const struct conf *conf, camera_return_fn returned,
                      void *ctx, struct camera_table **out)
{
    struct camera_table *t = xcalloc(1, sizeof(*t));
    t->loop = loop;
    (void)uv_random(NULL, NULL, &t->admission.logins.seed, sizeof(t->admission.logins.seed), 0,
                    NULL);
    (void)uv_random(NULL, NULL, &t->admission.starts.seed, sizeof(t->admission.starts.seed), 0,
                    NULL);
    t->admission.named_starts.seed = t->admission.starts.seed;
    t->admission.conf = conf;
    camera_clients_init(&t->clients, &t->admission.viewers, returned, ctx);
    int rc = workers_open(loop, conf, &worker_events, &t->workers);
    if (rc != 0) {
        free(t);
        return rc;
    }
    closing_hold(&t->closing); /* the workers */
    closing_hold(&t->closing); /* the tick */
    closing_hold(&t->closing); /* the logins' turns */
    (void)uv_timer_init(loop, &t->turns);
    t->turns.data = t;
    camera_table_configure(t);
    (void)uv_timer_init(loop, &t->tick);
    t->tick.data = t;
    (void)uv_timer_start(&t->tick, on_tick, 0, TICK_MS);
    *out = t;
    return 0;
}

void camera_table_begin(struct camera_table *table)
{
    workers_begin(table->workers);
}

static void on_part_closed(struct camera_table *t)
{
    if (!closing_release(&t->closing))
        return;
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        struct camera *cam = t->admission.cameras.list[i];
        while (!LIST_EMPTY(&cam->predecessors))
            camera_predecessor_free(LIST_FIRST(&cam->predecessors));
        camera_clients_drop(&t->clients, cam);
    }
    camera_set_clear(&t->admission.cameras);
    client_share_clear(&t->admission.viewers);
    login_memory_clear(&t->admission.logins);
    closing_finish(&t->closing, t);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_workers_closed(void *ctx)
{
    on_part_closed(ctx);
}

void camera_table_close(struct camera_table *table, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&table->closing, closed, ctx);
    uv_close((uv_handle_t *)&table->tick, on_timer_closed);
    uv_close((uv_handle_t *)&table->turns, on_timer_closed);
    workers_close(table->workers, on_workers_closed, table);
}

void camera_table_drain(struct camera_table *table, uint32_t grace_ms)
{
    (void)uv_timer_stop(&table->tick);
    for (size_t i = 0; i < table->admission.cameras.count; i++) {
        struct camera *cam = table->admission.cameras.list[i];
        (void)camera_predecessor_end(cam, grace_ms);
        if (cam->worker != NULL)
            (void)camera_table_end(cam, grace_ms);
        else
            camera_clients_refuse(&table->clients, cam, HTTP_ERROR_DRAINING,
                                  "the server is stopping");
    }
}

size_t camera_table_busy(const struct camera_table *table)
{
    return workers_busy(table->workers);
}

const char *camera_table_health(const struct camera_table *table)
{
    return workers_health(table->workers);
}

bool camera_table_has_nursery(const struct camera_table *table)
{
    return workers_have_nursery(table->workers);
}

const struct camera_set *camera_table_set(const struct camera_table *table)
{
    return &table->admission.cameras;
}

struct camera_list camera_table_list(const struct camera_table *table)
{
    return (struct camera_list){(const struct camera *const *)table->admission.cameras.list,
                                table->admission.cameras.count};
}

const struct camera *camera_table_find(const struct camera_table *table,
                                       const struct camera_url *url, enum ipc_transport transport)
{
    char key[IPC_URL_MAX];
    (void)url_format(url, key);
    return camera_set_find(&table->admission.cameras, key, transport);
}
