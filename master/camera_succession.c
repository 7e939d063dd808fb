/*
 * From one worker of a camera to the next, and from one camera to the one that has got its name.
 * Master, loop thread.
 *
 * Clients move when a worker's process has ended, never before (camera_clients.h): it has died, or
 * it was told to make way.  A client that asked for a camera by its name moves to the camera that
 * has the name by then.  So a reload that gives a name another URL needs only to make the old
 * camera's worker end at the right time: at once if it does not stream, else when the new one does.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/url.h"
#include "master/camera_table_private.h"

#include <string.h>

static void start_successor(struct camera *cam);

/* --- which camera a client belongs to --------------------------------------- */

/* @return the configured camera that a client asked for by name, if it is not this one any more. */
static const struct conf_camera *moves_to(const struct camera *cam, uint32_t ticket)
{
    const struct guest *guest = guest_list_find(&cam->guests, ticket);
    const char *name = guest != NULL && guest->visit != NULL ? visit_name(guest->visit) : "";
    const struct conf_camera *c =
        name[0] != '\0' ? conf_find_camera(cam->table->admission.conf, name) : NULL;
    bool here = c == NULL || (c->transport == cam->transport && strcmp(c->key, cam->key) == 0);
    return here ? NULL : c;
}

/* @return where the first client that must move moves to, and how many there are. */
static const struct conf_camera *find_moves(const struct camera *cam, unsigned *count)
{
    const struct conf_camera *first = NULL;
    *count = 0;
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        const struct conf_camera *c = moves_to(cam, ticket);
        if (c != NULL)
            (*count)++;
        if (first == NULL)
            first = c;
    }
    return first;
}

static struct camera *camera_of(struct camera_table *t, const struct conf_camera *c)
{
    struct camera *cam = camera_set_find(&t->admission.cameras, c->key, c->transport);
    return cam != NULL ? cam : camera_table_add(t, &c->url, c->key, c->transport);
}

/* @return NULL: the client stays. */
static struct camera *target_of(const struct camera *cam, uint32_t ticket)
{
    const struct conf_camera *c = moves_to(cam, ticket);
    if (c != NULL)
        return camera_of(cam->table, c);
    return guest_list_find(&cam->guests, ticket) != NULL ? cam->heir : NULL;
}

/* Its clients wait from now on, however long it had none. */
static void begin_wait(struct camera *target)
{
    if (target->worker == NULL && target->guests.count == 0)
        target->gone_ms = clock_ms();
}

static void move_clients(struct camera *cam)
{
    const struct log_context ctx = camera_log(cam);
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        struct camera *target = target_of(cam, ticket);
        if (target == NULL)
            continue;
        begin_wait(target);
        camera_clients_move(&cam->table->clients, cam, ticket, target);
        if (target->worker == NULL)
            start_successor(target);
        log_debug(&ctx, "a client moves to %s", target->id);
    }
    cam->moves = false;
}

/* --- the next worker --------------------------------------------------------- */

/* Count a death, unless the worker had done its work for a while: then it begins a new row. */
static void count_death(struct camera *cam)
{
    int64_t now_ms = clock_ms();
    bool proven = cam->state.state == IPC_CAMERA_STREAMING &&
                  now_ms - cam->state_since_ms >= CAMERA_PROVEN_MS;
    int64_t since_ms = now_ms - cam->crashed_ms;
    int64_t forgiven = since_ms / CAMERA_FORGIVE_ONE_MS;
    cam->forgiven -= forgiven < cam->forgiven ? (unsigned)forgiven : cam->forgiven;
    if (since_ms >= CRASH_FORGIVEN_MS || (proven && cam->forgiven++ < CAMERA_FORGIVEN_MAX))
        cam->crashes = 0;
    cam->crashes++;
    cam->crashed_ms = now_ms;
    cam->worker_deaths++;
    camera_note_change(cam);
    cam->table->gone.worker_deaths++;
}

static void disconnect_clients(struct camera *cam, enum http_error error, const char *why)
{
    const struct log_context ctx = camera_log(cam);
    log_warnx(&ctx, "%u clients are disconnected: %s", cam->guests.count, why);
    camera_clients_refuse(&cam->table->clients, cam, error, why);
}

/* The camera may have clients without a worker: start one for them.  If none can be started now,
 * the next tick tries again. */
static void start_successor(struct camera *cam)
{
    if (cam->guests.count == 0 || cam->worker != NULL)
        return;
    if (camera_quarantine_ms(cam) > 0)
        disconnect_clients(cam, HTTP_ERROR_OVERLOADED, "the camera is quarantined");
    else if (camera_login_is_refused(cam))
        disconnect_clients(cam, HTTP_ERROR_CAMERA_UNAUTHORIZED, "the camera rejects the password");
    else if (cam->table->paused)
        cam->gone_ms = clock_ms(); /* they wait for the end of the pause, then for a worker */
    else if (camera_table_start(cam, false) != 0 && clock_ms() - cam->gone_ms > CAMERA_SUCCEED_MS)
        disconnect_clients(cam, HTTP_ERROR_OVERLOADED, "no worker process can be started");
}

void camera_succession_gone(void *owner)
{
    struct camera *cam = owner;
    if (cam->table->closing.asked) {
        camera_clients_drop(&cam->table->clients, cam);
        camera_table_detach(cam);
        if (cam->heir != NULL)
            camera_predecessor_free(cam);
        return;
    }
    const struct log_context ctx = camera_log(cam);
    if (!cam->yielding) {
        count_death(cam->heir != NULL ? cam->heir : cam);
        log_errorx(&ctx, "the camera's worker died");
    }
    cam->gone_ms = clock_ms();
    camera_clients_judge(&cam->table->clients, cam);
    camera_table_detach(cam);
    if (camera_quarantine_ms(cam) > 0)
        camera_health_on_quarantine(&cam->health, clock_us());
    if (camera_quarantine_ms(cam) > 0)
        log_warnx(&ctx, "quarantined: its workers died %u times in a row; the next try is in %d s",
                  cam->crashes, (int)(camera_quarantine_ms(cam) / 1000));
    move_clients(cam);
    start_successor(cam);
    camera_table_release(cam);
}

int camera_succession_yield(struct camera *cam)
{
    int rc = cam->worker != NULL && !cam->yielding ? worker_yield(cam->worker) : 0;
    if (rc != -EAGAIN && cam->login_waits_ms != 0)
        camera_login_end(cam); /* it ends as soon as it has begun */
    if (rc != -EAGAIN)
        cam->yielding = cam->worker != NULL;
    return rc;
}

/* --- another URL for a name --------------------------------------------------- */

static bool streams(const struct camera *cam)
{
    return camera_state(cam) == IPC_CAMERA_STREAMING;
}

/* If the new camera cannot be connected now, the next tick tries again. */
static void connect_target(struct camera *target)
{
    if (target->worker == NULL && camera_quarantine_ms(target) == 0 &&
        !camera_login_is_refused(target))
        (void)camera_table_start(target, true);
}

static void prepare_move(struct camera *cam, void *nothing)
{
    unsigned count;
    (void)nothing;
    const struct conf_camera *c = find_moves(cam, &count);
    const struct log_context ctx = camera_log(cam);
    cam->moves = c != NULL;
    cam->move_error = HTTP_ERROR_NONE;
    if (c != NULL && cam->worker == NULL)
        move_clients(cam);
    if (c == NULL || cam->worker == NULL)
        return;
    struct camera *target = camera_of(cam->table, c);
    log_info(&ctx, "%s has another URL: %u clients move there%s", c->name, count,
             streams(cam) && !streams(target) ? " when it streams" : "");
    if (!streams(cam) || streams(target))
        (void)camera_succession_yield(cam);
    else
        connect_target(target);
}

/* The new camera may have lost its worker before it streamed, the old one's may not have taken the
 * message, the clients may have left. */
static void go_on_moving(struct camera *cam, void *nothing)
{
    unsigned count;
    (void)nothing;
    if (!cam->moves)
        return;
    const struct conf_camera *c = find_moves(cam, &count);
    cam->moves = c != NULL;
    struct camera *target = c != NULL ? camera_of(cam->table, c) : NULL;
    if (target != NULL && streams(target))
        (void)camera_succession_yield(cam);
    else if (target != NULL && cam->move_error == HTTP_ERROR_NONE)
        connect_target(target);
}

void camera_succession_tick(struct camera *cam)
{
    if (cam->worker == NULL)
        camera_clients_drop_gone(&cam->table->clients, cam);
    start_successor(cam);
    camera_each(cam, go_on_moving, NULL);
    camera_predecessor_tick(cam);
}

void camera_succession_renamed(struct camera_table *t)
{
    camera_table_each(t, prepare_move, NULL);
}

/* The new camera has failed: the old one goes on. */
static void note_failure(struct camera *old, const struct camera *target)
{
    const struct log_context ctx = camera_log(target);
    if (old->move_error == HTTP_ERROR_NONE)
        log_warnx(&ctx, "the new URL fails (%s): the clients of the old one, %s, stay there",
                  http_error_code((enum http_error)target->state.error), old->shown);
    old->move_error = (enum http_error)target->state.error;
}

static bool has_failed(const struct camera *cam)
{
    return cam->state.error != HTTP_ERROR_NONE && cam->state.state == IPC_CAMERA_BACKOFF;
}

/* The clients of the old camera may be waiting for this one, whose state has changed. */
static void tell_waiting(struct camera *old, void *target)
{
    unsigned count;
    const struct camera *cam = target;
    const struct conf_camera *c = old->moves && old != cam ? find_moves(old, &count) : NULL;
    if (c == NULL || c->transport != cam->transport || strcmp(c->key, cam->key) != 0)
        return;
    if (streams(cam))
        (void)camera_succession_yield(old);
    else if (has_failed(cam))
        note_failure(old, cam);
}

void camera_succession_state(struct camera *cam)
{
    if (cam->moves && has_failed(cam))
        (void)camera_succession_yield(cam); /* the old one has failed: no reason to wait */
    if (cam->heir != NULL)
        return;
    camera_predecessor_heir_state(cam);
    camera_table_each(cam->table, tell_waiting, cam);
}
