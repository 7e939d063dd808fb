#include "master/camera_table.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/url.h"
#include "common/xalloc.h"
#include "master/camera_settings.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000
#define CRASH_FORGIVEN_MS 60000
#define CAMERA_STOP_GRACE_MS 5000
#define LEAVING_MAX 64 /* workers of streams that ended, beyond max_cameras */
/* Clients of snapshots and MJPEG that a worker takes at a time (snapshot.h). */
#define CAMERA_MAX_PICTURES 512

struct camera_table {
    uv_loop_t *loop;
    const struct conf *conf;
    struct workers *workers;
    struct camera_set cameras;
    size_t active;                  /* with a worker */
    struct client_share viewers;    /* of all cameras */
    struct client_share connecting; /* cameras that somebody asked for and that have not streamed */
    struct camera_totals gone;      /* of workers that have ended */
    uv_timer_t tick;
    struct closing closing; /* the workers and the tick */
};

static struct log_context log_ctx(const struct camera *cam)
{
    return (struct log_context){.camera = cam->id};
}

/* --- remembering ---------------------------------------------------------- */

static void forget(struct camera *cam)
{
    assert(cam->worker == NULL);
    camera_set_remove(&cam->table->cameras, cam);
}

/* Must the next request know anything about this camera? */
static bool worth_keeping(const struct camera *cam)
{
    int64_t now_ms = clock_ms();
    return cam->worker != NULL || cam->always_on || now_ms < cam->refused_until_ms ||
           (cam->crashes > 0 && now_ms - cam->crashed_ms < CRASH_FORGIVEN_MS);
}

static void forget_oldest(struct camera_table *t)
{
    for (size_t i = 0; i < t->cameras.count; i++) {
        struct camera *cam = t->cameras.list[i];
        if (cam->worker == NULL && !cam->always_on) {
            forget(cam);
            return;
        }
    }
}

static struct camera *add(struct camera_table *t, const struct camera_url *url, const char *key,
                          enum ipc_transport transport)
{
    if (t->cameras.count - t->active >= CAMERA_MEMORY_MAX)
        forget_oldest(t);
    struct camera *cam = camera_set_add(&t->cameras, url, key, transport);
    cam->table = t;
    return cam;
}

/* --- workers -------------------------------------------------------------- */

/* It streams, or has no worker any more: it is not in its starter's share. */
static void end_connecting(struct camera *cam)
{
    if (cam->connecting)
        client_share_give(&cam->table->connecting, &cam->starter);
    cam->connecting = false;
}

static void begin_connecting(struct camera *cam, const struct client_key *client)
{
    cam->starter = *client;
    cam->connecting = true;
    client_share_take(&cam->table->connecting, client);
}

static void on_state(void *owner, const struct ipc_state *state)
{
    struct camera *cam = owner;
    bool was_connected =
        cam->state.state == IPC_CAMERA_CONNECTING || cam->state.state == IPC_CAMERA_STREAMING;
    if (state->state == IPC_CAMERA_BACKOFF && was_connected && state->error > HTTP_ERROR_NONE &&
        state->error < HTTP_ERROR_COUNT) {
        cam->reconnects[state->error]++;
        cam->table->gone.reconnects[state->error]++;
    }
    if (state->state != cam->state.state)
        cam->state_since_ms = clock_ms();
    cam->state = *state;
    if (state->error == HTTP_ERROR_CAMERA_UNAUTHORIZED && state->retry_ms > 0)
        cam->refused_until_ms = clock_ms() + state->retry_ms;
    if (state->state == IPC_CAMERA_STREAMING) {
        cam->refused_until_ms = 0;
        end_connecting(cam);
    }
}

static void on_stats(void *owner, const struct ipc_stats *stats)
{
    struct camera *cam = owner;
    int64_t now_ms = clock_ms();
    if (cam->stats_ms != 0 && now_ms > cam->stats_ms && stats->bytes_in >= cam->stats.bytes_in)
        cam->bit_rate_bps =
            (stats->bytes_in - cam->stats.bytes_in) * 8000 / (uint64_t)(now_ms - cam->stats_ms);
    cam->stats = *stats;
    cam->stats_ms = now_ms;
    if (cam->stats.viewers > cam->guests.viewers)
        cam->stats.viewers = cam->guests.viewers; /* it cannot have more than it was given */
}

struct camera_totals camera_table_totals(const struct camera_table *table)
{
    struct camera_totals totals = table->gone;
    for (size_t i = 0; i < table->cameras.count; i++) {
        camera_stats_add(&totals.stats, &table->cameras.list[i]->stats);
        totals.stats.viewers += table->cameras.list[i]->stats.viewers;
    }
    memcpy(totals.worker_failures, workers_failures(table->workers),
           sizeof(totals.worker_failures));
    return totals;
}

/* @return false: there is no such guest. */
static bool guest_left(struct camera *cam, uint32_t ticket)
{
    struct guest guest;
    if (!guest_list_remove(&cam->guests, ticket, &guest))
        return false;
    if (guest_is_viewer(guest.kind))
        client_share_give(&cam->table->viewers, &guest.client);
    return true;
}

static bool on_left(void *owner, const struct ipc_left *left)
{
    struct camera *cam = owner;
    for (uint32_t i = 0; i < left->count; i++) {
        if (!guest_left(cam, left->tickets[i]))
            return false;
    }
    return true;
}

static void detach(struct camera *cam)
{
    camera_stats_add(&cam->table->gone.stats, &cam->stats);
    cam->worker = NULL;
    cam->table->active--;
    cam->clients_sent = 0;
    end_connecting(cam);
    for (uint32_t t = guest_list_any(&cam->guests); t < cam->guests.room;
         t = guest_list_any(&cam->guests))
        (void)guest_left(cam, t);
    guest_list_clear(&cam->guests);
    memset(&cam->state, 0, sizeof(cam->state));
    memset(&cam->stats, 0, sizeof(cam->stats));
    cam->stats_ms = 0;
    cam->bit_rate_bps = 0;
    cam->state_since_ms = clock_ms();
}

/* The worker was told to end: the next client of this camera gets another one. */
static void release(struct camera *cam)
{
    worker_release(cam->worker);
    detach(cam);
}

/* Tell the worker to leave. @return 0, or negative errno: it cannot be told now. */
static int leave(struct camera *cam)
{
    const struct ipc_leave nothing = {0};
    int rc = worker_send(cam->worker, IPC_LEAVE, &nothing, NULL);
    if (rc == 0)
        release(cam);
    return rc;
}

/* It may leave, unless a client is on its way to it. */
static void on_idle(void *owner, const struct ipc_idle *idle)
{
    struct camera *cam = owner;
    if (idle->clients_seen != cam->clients_sent || leave(cam) != 0)
        return; /* it asks again */
    if (!worth_keeping(cam))
        forget(cam);
}

static void on_gone(void *owner)
{
    struct camera *cam = owner;
    detach(cam);
    if (!cam->table->closing.asked) {
        struct log_context ctx = log_ctx(cam);
        cam->crashes = clock_ms() - cam->crashed_ms < CRASH_FORGIVEN_MS ? cam->crashes + 1 : 1;
        cam->crashed_ms = clock_ms();
        cam->worker_deaths++;
        cam->table->gone.worker_deaths++;
        log_errorx(&ctx, "the camera's worker died, its viewers are disconnected");
    }
    if (!worth_keeping(cam))
        forget(cam);
}

static const struct worker_events worker_events = {on_state, on_stats, on_idle, on_left, on_gone};

/* The first crash costs nothing, a camera that crashes its worker again and again waits. */
static bool in_crash_backoff(const struct camera *cam)
{
    if (cam->crashes < 2)
        return false;
    unsigned doublings = cam->crashes - 2 < 5 ? cam->crashes - 2 : 5;
    int64_t wait_ms = (int64_t)CAMERA_CRASH_BACKOFF_MS << doublings;
    if (wait_ms > CAMERA_CRASH_BACKOFF_MAX_MS)
        wait_ms = CAMERA_CRASH_BACKOFF_MAX_MS;
    return clock_ms() - cam->crashed_ms < wait_ms;
}

/* @return 0 or negative errno. */
static int start_worker(struct camera *cam)
{
    struct worker *w = workers_take(cam->table->workers, cam, cam->id);
    if (w == NULL)
        return -EAGAIN;
    struct ipc_assign assign = {
        .settings = camera_settings(cam, cam->table->conf, &cam->table->cameras),
        .transport = (uint32_t)cam->transport,
    };
    (void)snprintf(assign.camera_id, sizeof(assign.camera_id), "%s", cam->id);
    (void)snprintf(assign.url, sizeof(assign.url), "%s", cam->key);
    cam->worker = w;
    cam->table->active++;
    int rc = worker_send(w, IPC_ASSIGN, &assign, NULL);
    assert(rc == 0 || rc == -EPIPE); /* the first message of an empty queue */
    return 0;
}

/* --- handing over --------------------------------------------------------- */

/* What may be refused to a client because it has its share, not because there is none. */
static bool has_share(const struct camera_table *t, const struct client_share *share,
                      const struct client_key *client, size_t limit)
{
    return client_share_allows(share, client, limit, t->conf->server.client_share);
}

static enum http_error may_watch(const struct camera_table *t, const struct camera *cam,
                                 const struct client_key *client, const char **message)
{
    uint32_t per_camera = t->conf->server.max_viewers_per_camera;
    size_t limit = t->conf->server.max_viewers;
    if (cam != NULL && per_camera > 0 && cam->guests.viewers >= per_camera) {
        *message = "this camera has as many viewers as [server] max_viewers_per_camera allows";
        return HTTP_ERROR_TOO_MANY_VIEWERS;
    }
    if (t->viewers.total >= limit) {
        *message = "the server has as many viewers as [server] max_viewers allows";
        return HTTP_ERROR_TOO_MANY_VIEWERS;
    }
    if (!has_share(t, &t->viewers, client, limit)) {
        *message = "your address has its share of the server's viewers ([server] client_share)";
        return HTTP_ERROR_CLIENT_SHARE;
    }
    return HTTP_ERROR_NONE;
}

/* Snapshots and MJPEG; when all are taken, the worker says so. */
static enum http_error may_take_pictures(const struct camera_table *t, const struct camera *cam,
                                         const struct client_key *client, const char **message)
{
    if (cam == NULL || cam->guests.pictures.total >= CAMERA_MAX_PICTURES ||
        has_share(t, &cam->guests.pictures, client, CAMERA_MAX_PICTURES))
        return HTTP_ERROR_NONE;
    *message = "your address has its share of this camera's snapshots ([server] client_share)";
    return HTTP_ERROR_CLIENT_SHARE;
}

/* Nobody is there and nobody has to be: one that does not stream rather than one that does. */
static struct camera *find_unwanted(const struct camera_table *t)
{
    struct camera *streaming = NULL;
    for (size_t i = 0; i < t->cameras.count; i++) {
        struct camera *cam = t->cameras.list[i];
        if (cam->worker == NULL || cam->always_on || cam->guests.count > 0)
            continue;
        if (camera_state(cam) != IPC_CAMERA_STREAMING)
            return cam;
        if (streaming == NULL)
            streaming = cam;
    }
    return streaming;
}

/* Places that only cameras of the configuration get: as many as have no worker, up to half. */
static size_t places_kept(const struct camera_table *t)
{
    size_t half = t->conf->server.max_cameras / 2;
    size_t absent = t->conf->camera_count;
    for (size_t i = 0; i < t->cameras.count; i++)
        absent -= t->cameras.list[i]->named && t->cameras.list[i]->worker != NULL && absent > 0;
    return absent < half ? absent : half;
}

/* May a worker be started?  A camera that nobody watches may have to leave for it. */
static enum http_error may_start(struct camera_table *t, bool named,
                                 const struct client_key *client, const char **message)
{
    size_t max = t->conf->server.max_cameras;
    size_t limit = named ? max : max - places_kept(t);
    struct camera *unwanted = t->active >= limit ? find_unwanted(t) : NULL;
    if (!named && t->connecting.total < max && !has_share(t, &t->connecting, client, max)) {
        *message = "your address has its share of the cameras being connected "
                   "([server] client_share)";
        return HTTP_ERROR_CLIENT_SHARE;
    }
    if (unwanted != NULL && leave(unwanted) == 0 && !worth_keeping(unwanted))
        forget(unwanted);
    if (t->active >= limit) {
        *message = limit < max ? "the places that are left of [server] max_cameras are for cameras "
                                 "of the configuration"
                               : "the server has as many cameras as [server] max_cameras allows";
        return HTTP_ERROR_TOO_MANY_CAMERAS;
    }
    if (workers_busy(t->workers) >= max + LEAVING_MAX) {
        *message = "workers of streams that were stopped are still leaving; try again in a moment";
        return HTTP_ERROR_OVERLOADED;
    }
    return HTTP_ERROR_NONE;
}

static enum http_error may_serve(const struct camera *cam, const char **message)
{
    if (cam != NULL && clock_ms() < cam->refused_until_ms) {
        *message = "the camera rejected the user name or password; it is not asked again for "
                   "five minutes, because cameras lock accounts";
        return HTTP_ERROR_CAMERA_UNAUTHORIZED;
    }
    if (cam != NULL && cam->worker == NULL && in_crash_backoff(cam)) {
        *message = "this camera's worker has crashed repeatedly; try again in a moment";
        return HTTP_ERROR_OVERLOADED;
    }
    return HTTP_ERROR_NONE;
}

/* @param cam  NULL: not known yet. */
static enum http_error admit(struct camera_table *t, struct camera *cam, const char *key,
                             const struct camera_request *request, const char **message)
{
    bool named = camera_set_configured(&t->cameras, key, request->transport) != NULL;
    enum ipc_client_kind kind = (enum ipc_client_kind)request->message->kind;
    enum http_error error = may_serve(cam, message);
    if (error == HTTP_ERROR_NONE && guest_is_viewer(kind))
        error = may_watch(t, cam, request->client, message);
    if (error == HTTP_ERROR_NONE && kind != IPC_CLIENT_STREAM)
        error = may_take_pictures(t, cam, request->client, message);
    if (error == HTTP_ERROR_NONE && (cam == NULL || cam->worker == NULL))
        error = may_start(t, named, request->client, message);
    return error;
}

/* @return 0 or negative errno. */
static int send_client(struct camera *cam, const struct camera_request *request, int *fd)
{
    struct ipc_client *m = request->message;
    enum ipc_client_kind kind = (enum ipc_client_kind)m->kind;
    m->ticket = guest_list_add(&cam->guests, request->client, kind);
    if (guest_is_viewer(kind))
        client_share_take(&cam->table->viewers, request->client);
    int rc = worker_send(cam->worker, IPC_CLIENT, m, fd);
    if (rc == 0)
        cam->clients_sent++;
    else if (cam->worker != NULL)
        (void)guest_left(cam, m->ticket);
    return rc;
}

enum http_error camera_table_handover(struct camera_table *table,
                                      const struct camera_request *request, int *fd,
                                      const char **message)
{
    char key[IPC_URL_MAX];
    (void)url_format(request->url, key);
    struct camera *cam = camera_set_find(&table->cameras, key, request->transport);
    enum http_error error = admit(table, cam, key, request, message);
    if (error != HTTP_ERROR_NONE)
        return error;
    if (cam == NULL)
        cam = add(table, request->url, key, request->transport);
    cam->stopped = false;
    if (cam->worker == NULL) {
        if (start_worker(cam) != 0) {
            if (!worth_keeping(cam))
                forget(cam);
            *message = "no worker process can be started at the moment";
            return HTTP_ERROR_OVERLOADED;
        }
        if (!cam->named)
            begin_connecting(cam, request->client);
    }
    if (send_client(cam, request, fd) != 0) {
        *message = "the camera's worker cannot take more requests at the moment";
        return HTTP_ERROR_OVERLOADED;
    }
    return HTTP_ERROR_NONE;
}

/* --- life ----------------------------------------------------------------- */

static void start_always_on(struct camera_table *t)
{
    for (size_t i = 0; i < t->cameras.count; i++) {
        struct camera *cam = t->cameras.list[i];
        if (cam->always_on && !cam->stopped && cam->worker == NULL && !in_crash_backoff(cam) &&
            clock_ms() >= cam->refused_until_ms && t->active < t->conf->server.max_cameras)
            (void)start_worker(cam); /* if it cannot be started now, the next tick tries again */
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct camera_table *t = timer->data;
    for (size_t i = t->cameras.count; i > 0; i--) {
        if (!worth_keeping(t->cameras.list[i - 1]))
            forget(t->cameras.list[i - 1]);
    }
    start_always_on(t);
}

/* The cameras of the file that are connected without being asked for. */
static void add_always_on(struct camera_table *t)
{
    for (size_t i = 0; i < t->conf->camera_count; i++) {
        const struct conf_camera *c = &t->conf->cameras[i];
        if (!c->always_on)
            continue;
        struct camera *cam = camera_set_find(&t->cameras, c->key, c->transport);
        if (cam == NULL)
            cam = add(t, &c->url, c->key, c->transport);
        cam->always_on = true;
    }
}

void camera_table_reload(struct camera_table *table)
{
    camera_set_configure(&table->cameras, table->conf);
    for (size_t i = 0; i < table->cameras.count; i++)
        table->cameras.list[i]->always_on = table->cameras.list[i]->stopped = false;
    add_always_on(table);
    for (size_t i = 0; i < table->cameras.count; i++) {
        struct camera *cam = table->cameras.list[i];
        struct log_context ctx = log_ctx(cam);
        if (cam->worker == NULL)
            continue;
        struct ipc_settings settings = camera_settings(cam, cam->table->conf, &cam->table->cameras);
        if (worker_send(cam->worker, IPC_SETTINGS, &settings, NULL) != 0)
            log_warnx(&ctx, "the worker cannot take the new settings; its next one has them");
    }
}

int camera_table_stop(struct camera_table *table, const char *id)
{
    const struct ipc_drain drain = {.grace_ms = CAMERA_STOP_GRACE_MS};
    struct camera *cam = camera_set_find_id(&table->cameras, id);
    if (cam == NULL)
        return -ENOENT;
    int rc = cam->worker != NULL ? worker_send(cam->worker, IPC_DRAIN, &drain, NULL) : 0;
    if (rc == -EAGAIN)
        return rc; /* it reads nothing; if it has died the channel will say so */
    struct log_context ctx = log_ctx(cam);
    log_info(&ctx, "stopped by request");
    cam->stopped = true;
    cam->refused_until_ms = 0;
    cam->crashes = 0;
    if (cam->worker != NULL && rc == 0)
        release(cam);
    if (!worth_keeping(cam))
        forget(cam);
    return 0;
}

int camera_table_open(uv_loop_t *loop, const struct conf *conf, struct camera_table **out)
{
    struct camera_table *t = xcalloc(1, sizeof(*t));
    t->loop = loop;
    t->conf = conf;
    int rc = workers_open(loop, conf, &worker_events, &t->workers);
    if (rc != 0) {
        free(t);
        return rc;
    }
    closing_hold(&t->closing); /* the workers */
    closing_hold(&t->closing); /* the tick */
    camera_set_configure(&t->cameras, conf);
    add_always_on(t);
    (void)uv_timer_init(loop, &t->tick);
    t->tick.data = t;
    (void)uv_timer_start(&t->tick, on_tick, 0, TICK_MS);
    *out = t;
    return 0;
}

static void on_part_closed(struct camera_table *t)
{
    if (!closing_release(&t->closing))
        return;
    camera_set_clear(&t->cameras);
    client_share_clear(&t->viewers);
    client_share_clear(&t->connecting);
    closing_finish(&t->closing, t);
}

static void on_tick_closed(uv_handle_t *handle)
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
    uv_close((uv_handle_t *)&table->tick, on_tick_closed);
    workers_close(table->workers, on_workers_closed, table);
}

void camera_table_drain(struct camera_table *table, uint32_t grace_ms)
{
    const struct ipc_drain drain = {.grace_ms = grace_ms};
    (void)uv_timer_stop(&table->tick);
    for (size_t i = 0; i < table->cameras.count; i++) {
        struct camera *cam = table->cameras.list[i];
        if (cam->worker != NULL && worker_send(cam->worker, IPC_DRAIN, &drain, NULL) == 0)
            release(cam);
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

struct camera_list camera_table_list(const struct camera_table *table)
{
    return (struct camera_list){(const struct camera *const *)table->cameras.list,
                                table->cameras.count};
}

const struct camera *camera_table_find(const struct camera_table *table,
                                       const struct camera_url *url, enum ipc_transport transport)
{
    char key[IPC_URL_MAX];
    (void)url_format(url, key);
    return camera_set_find(&table->cameras, key, transport);
}

const struct camera *camera_table_find_id(const struct camera_table *table, const char *id)
{
    return camera_set_find_id(&table->cameras, id);
}
