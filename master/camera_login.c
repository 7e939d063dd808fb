/*
 * Cameras of one host with the same password: one asks first, and the others' workers are held
 * until its answer (login_guard.h).  So a wrong password is sent once, however many cameras have
 * it. Master, loop thread.
 */
#include "common/clock.h"
#include "common/log.h"
#include "master/camera_table_private.h"

#define LOOK_MS 100 /* how often it is looked whether an answer is overdue */

static struct login_memory *logins_of(const struct camera *cam)
{
    return &cam->table->admission.logins;
}

bool camera_login_is_refused(const struct camera *cam)
{
    int64_t now_ms = clock_ms();
    enum login_verdict verdict = login_guard_ask(logins_of(cam), &cam->url, now_ms);
    return now_ms < cam->refused_until_ms || verdict == LOGIN_REFUSED ||
           (verdict == LOGIN_WAIT && !cam->named);
}

int64_t camera_table_refusal_ms(const struct camera *cam)
{
    int64_t until_ms =
        cam->table != NULL ? login_guard_refused_until_ms(logins_of(cam), &cam->url) : 0;
    if (until_ms < cam->refused_until_ms)
        until_ms = cam->refused_until_ms;
    int64_t left_ms = until_ms - clock_ms();
    return left_ms > 0 ? left_ms : 0;
}

bool camera_login_is_awaited(const struct camera *cam)
{
    return login_guard_is_awaited(logins_of(cam), &cam->url, clock_ms());
}

bool camera_login_is_unanswered(const struct camera *cam)
{
    return cam->logging_in && !cam->yielding && cam->state.state == IPC_CAMERA_CONNECTING;
}

static void on_turn(uv_timer_t *timer)
{
    camera_login_step(timer->data);
}

static void look_after(struct camera_table *t, uint64_t ms)
{
    if (t->logins_wait > 0)
        (void)uv_timer_start(&t->turns, on_turn, ms, LOOK_MS);
}

void camera_login_begin(struct camera *cam, bool waits)
{
    if (waits) {
        cam->login_waits_ms = clock_ms();
        if (cam->table->logins_wait++ == 0)
            look_after(cam->table, LOOK_MS);
        return;
    }
    cam->logging_in = true;
    login_guard_begin(logins_of(cam), &cam->url, clock_ms());
}

/* It has the answer, or none will come. */
static void end_login(struct camera *cam)
{
    if (!cam->logging_in)
        return;
    cam->logging_in = false;
    login_guard_end(logins_of(cam), &cam->url);
    look_after(cam->table, 0); /* by the loop: the caller is in the middle of something */
}

static void end_wait(struct camera *cam)
{
    cam->login_waits_ms = 0;
    cam->table->logins_wait--;
}

void camera_login_end(struct camera *cam)
{
    if (cam->login_waits_ms != 0) {
        end_wait(cam);
        workers_let_start(cam->table->workers, cam->worker);
    }
    end_login(cam);
}

static void note_accepted(struct camera *cam)
{
    login_guard_accepted(logins_of(cam), &cam->url, clock_ms());
    cam->refused_until_ms = 0;
    end_login(cam);
}

/* Sessions that a host has ended, all at once, are made again by their workers, each by itself.  Is
 * one rejected, then those that still wait take turns: in new workers. */
static void make_others_wait(struct camera *rejected)
{
    const struct camera_set *set = &rejected->table->admission.cameras;
    for (size_t i = 0; i < set->count; i++) {
        struct camera *cam = set->list[i];
        if (cam != rejected && cam->worker != NULL && cam->state.state == IPC_CAMERA_BACKOFF &&
            login_is_same(&cam->url, &rejected->url))
            (void)camera_succession_yield(cam);
    }
}

/* The worker says so twice: when the camera has answered, then, with a time, when it has closed the
 * connection.  By then an operator may have asked for another session. */
static void note_rejected(struct camera *cam, const struct ipc_state *state, uint32_t before)
{
    int64_t now_ms = clock_ms();
    bool is_first = before == IPC_CAMERA_CONNECTING || before == IPC_CAMERA_STREAMING;
    bool has_time = state->retry_ms > 0 && state->retry_ms < LOGIN_REFUSED_MS;
    camera_note_change(cam);
    if (is_first && login_guard_rejected(logins_of(cam), &cam->url, now_ms))
        make_others_wait(cam);
    if (is_first || (state->retry_ms > 0 && !cam->yielding))
        cam->refused_until_ms = now_ms + (has_time ? state->retry_ms : LOGIN_REFUSED_MS);
}

void camera_login_state(struct camera *cam, const struct ipc_state *state, uint32_t before)
{
    bool connects = state->state == IPC_CAMERA_CONNECTING;
    if (state->state == IPC_CAMERA_STREAMING || (connects && before == IPC_CAMERA_CONNECTING))
        note_accepted(cam);
    else if (connects && cam->logging_in)
        login_guard_connects(logins_of(cam), &cam->url, clock_ms());
    else if (!connects && state->error == HTTP_ERROR_CAMERA_UNAUTHORIZED)
        note_rejected(cam, state, before);
    if (!connects)
        end_login(cam);
}

void camera_login_renew(struct camera *cam)
{
    bool is_rejected =
        cam->state.state == IPC_CAMERA_IDLE && cam->state.error == HTTP_ERROR_CAMERA_UNAUTHORIZED;
    if (cam->worker != NULL && is_rejected && cam->guests.count == 0 && !cam->yielding &&
        !cam->table->paused)
        (void)camera_table_leave(cam);
}

/* --- turns ------------------------------------------------------------------- */

/* Its worker is not started.  May forget the camera. */
static void give_up(struct camera *cam)
{
    end_wait(cam);
    cam->yielding = true; /* no death */
    workers_give_up(cam->worker);
}

/* No connection is made: its clients get the error.  The guard tells when it may be tried. */
static void refuse(struct camera *cam)
{
    const struct log_context ctx = camera_log(cam);
    const struct ipc_state state = {.state = IPC_CAMERA_BACKOFF,
                                    .error = HTTP_ERROR_CAMERA_UNAUTHORIZED};
    log_warnx(&ctx, "not connected: the camera has just rejected this password");
    if (camera_serving(cam) == cam)
        camera_health_on_state(&cam->health, &state, clock_us());
    camera_note_change(cam);
    give_up(cam);
}

static void take_turn(struct camera *cam)
{
    end_wait(cam);
    camera_login_begin(cam, false);
    workers_let_start(cam->table->workers, cam->worker);
}

/* Those that were asked before it do not answer in the time that they have. */
static bool is_overdue(const struct camera *cam)
{
    int64_t now_ms = clock_ms();
    uint32_t timeout_ms = cam->table->admission.conf->camera.connect_timeout_ms;
    return now_ms - cam->login_waits_ms >= timeout_ms &&
           login_guard_is_overdue(logins_of(cam), &cam->url, timeout_ms, now_ms);
}

static void refuse_if_refused(struct camera *cam)
{
    if (camera_login_is_refused(cam))
        refuse(cam);
}

/* @param do_it  may forget the camera. */
static void each_that_waits(struct camera_table *t, void (*do_it)(struct camera *cam))
{
    const struct camera_set *set = &t->admission.cameras;
    for (size_t i = set->count; i > 0; i = i - 1 < set->count ? i - 1 : set->count) {
        if (set->list[i - 1]->login_waits_ms != 0)
            do_it(set->list[i - 1]);
    }
}

void camera_login_postpone(struct camera_table *t)
{
    each_that_waits(t, give_up);
}

void camera_login_step(struct camera_table *t)
{
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        struct camera *cam = t->admission.cameras.list[i];
        if (cam->login_waits_ms != 0 && !camera_login_is_refused(cam) &&
            (!camera_login_is_awaited(cam) || is_overdue(cam)))
            take_turn(cam);
    }
    each_that_waits(t, refuse_if_refused);
    if (t->logins_wait == 0)
        (void)uv_timer_stop(&t->turns);
}
