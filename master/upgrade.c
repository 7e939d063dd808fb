#include "master/upgrade.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/camera_store.h"
#include "master/conn.h"
#include "master/fd_store.h"
#include "master/listener.h"
#include "master/log_source.h"
#include "master/process_path.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 20

static void on_poll(uv_timer_t *timer);

void upgrade_open(struct upgrade *u, struct server *server, struct service *service,
                  char *const *argv)
{
    *u = (struct upgrade){.server = server, .service = service, .argv = argv};
    u->listeners[ROUTE_PORT_STREAM] = u->listeners[ROUTE_PORT_SNAPSHOT] = -1;
    if (process_path_started(u->program, sizeof(u->program)) != 0)
        u->program[0] = '\0';
    (void)uv_timer_init(server->loop, &u->timer);
    u->timer.data = u;
}

/* --- this program goes on ------------------------------------------------------ */

static void reopen(struct upgrade *u, enum route_port kind)
{
    int fd = fd_take(&u->listeners[kind]);
    int rc = fd == -1 ? 0
                      : listener_open(u->server, kind, u->server->conf->server.bind, 0, fd,
                                      &u->server->listeners[kind]);
    if (rc != 0)
        log_errorx(NULL, "upgrade: cannot listen again: %s", uv_strerror(rc));
}

static void resume(struct upgrade *u)
{
    reopen(u, ROUTE_PORT_STREAM);
    reopen(u, ROUTE_PORT_SNAPSHOT);
    conn_resume_all(u->server);
    camera_table_resume(u->server->cameras);
    fd_store_open(u->server->fd_store);
}

static void end(struct upgrade *u)
{
    bool paused = u->phase == UPGRADE_PARKING || u->phase == UPGRADE_SETTLING;
    u->phase = UPGRADE_NONE;
    (void)uv_timer_stop(&u->timer);
    if (paused)
        resume(u);
    service_notify_ready(u->service);
}

void upgrade_cancel(struct upgrade *u)
{
    if (u->phase == UPGRADE_NONE)
        return;
    log_warnx(NULL, "upgrade: given up, the server stops");
    if (u->phase == UPGRADE_TRIAL) /* not reaped, so the pid is still its own */
        (void)uv_process_kill(&u->trial, SIGKILL);
    end(u);
}

void upgrade_close(struct upgrade *u)
{
    fd_close(&u->listeners[ROUTE_PORT_STREAM]);
    fd_close(&u->listeners[ROUTE_PORT_SNAPSHOT]);
    uv_close((uv_handle_t *)&u->timer, NULL);
}

/* --- the other program takes over ------------------------------------------------ */

/* With default dispositions, as execve() sets them, these would end the process. */
static void signals_that_wait(sigset_t *set)
{
    static const int signals[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR2, SIGCHLD};
    (void)sigemptyset(set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaddset(set, signals[i]);
}

static void block_signals(void)
{
    sigset_t set;
    signals_that_wait(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void upgrade_unblock_signals(void)
{
    sigset_t set;
    signals_that_wait(&set);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void upgrade_save(const struct server *server, struct takeover_writer *w)
{
    const struct fd_store *store = server->fd_store;
    struct takeover_server s = {.next_conn_id = server->next_conn_id, .parcel = store->number};
    if (w->way == TAKEOVER_IF_KILLED) {
        s.began_us = store->began_us;
        s.short_runs = store->short_runs;
    }
    takeover_put(w, TAKEOVER_SERVER, &s, sizeof(s), NULL, 0);
    camera_table_save(server->cameras, w);
    if (w->way == TAKEOVER_IF_KILLED)
        return; /* connections and rates will be others by then */
    takeover_put(w, TAKEOVER_RATES, &server->rate_limit, sizeof(server->rate_limit), NULL, 0);
    conn_save_all(server, w);
}

/* @return only if the program could not be replaced: negative errno. */
static int replace(struct upgrade *u, int memory)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", memory);
    if (setenv(TAKEOVER_VARIABLE, number, 1) == -1)
        return -errno;
    log_info(NULL, "upgrade: %s takes over", u->program);
    log_end_queue();
    block_signals();
    (void)execv(u->program, u->argv);
    int rc = -errno;
    upgrade_unblock_signals();
    log_start_queue();
    (void)unsetenv(TAKEOVER_VARIABLE);
    return rc;
}

static void take_over(struct upgrade *u)
{
    struct takeover_writer w = {.way = TAKEOVER_BY_EXECVE};
    fd_store_withdraw(u->server->fd_store); /* the new program may be one that reads no parcels */
    upgrade_save(u->server, &w);
    int memory = takeover_finish(&w, u->listeners);
    int rc = memory < 0 ? memory : replace(u, memory);
    takeover_writer_free(&w, false);
    if (memory >= 0)
        fd_close(&memory);
    log_errorx(NULL, "upgrade: %s cannot take over: %s; this program goes on", u->program,
               strerrordesc_np(-rc));
    end(u);
}

/* Nothing is to be done with this program's sockets: the next one has them. */
static void leave(struct upgrade *u)
{
    int rc = fd_store_leave(u->server->fd_store, u->listeners);
    if (rc == -EAGAIN && clock_ms() < u->by_ms)
        return; /* the next poll tries again */
    if (rc != 0)
        log_errorx(NULL, "restart: cannot give systemd what the next program needs: %s",
                   strerrordesc_np(-rc));
    (void)uv_timer_stop(&u->timer);
    u->phase = UPGRADE_NONE;
    u->left(u->ctx, rc == 0);
}

/* @return false: the new program would have to bind a port anew, and might not be allowed to. */
static bool pause_listeners(struct upgrade *u)
{
    bool all = true;
    for (int kind = 0; kind < TAKEOVER_LISTENERS; kind++) {
        bool listens = u->server->listeners[kind] != NULL;
        u->listeners[kind] = listener_pause(&u->server->listeners[kind]);
        all = all && (u->listeners[kind] != -1 || !listens);
    }
    return all;
}

static void pause_server(struct upgrade *u)
{
    u->phase = UPGRADE_PARKING;
    u->by_ms = clock_ms() + UPGRADE_PARK_MS;
    fd_store_pause(u->server->fd_store);
    if (!pause_listeners(u) && u->left == NULL) {
        log_errorx(NULL, "upgrade: a listening socket cannot be kept, no descriptor is left; this "
                         "program goes on");
        end(u);
        return;
    }
    conn_pause_all(u->server);
    (void)uv_timer_start(&u->timer, on_poll, 0, POLL_MS);
}

/* Those that have not settled in time make way, and so do all. @return true: done. */
static bool settle_workers(struct upgrade *u, bool late)
{
    bool settled = camera_table_settle(u->server->cameras, u->live);
    if (settled || !u->live || !late)
        return settled;
    u->live = false;
    return camera_table_settle(u->server->cameras, false);
}

/* Whoever stops the service does not wait for a worker: it is killed, and its memory says how far
 * its clients got. */
static bool is_settled(struct upgrade *u, bool late)
{
    bool settled = settle_workers(u, late) || (late && u->left != NULL);
    return settled && (u->server->store->queued == 0 || late);
}

static void on_poll(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;
    if (u->phase == UPGRADE_PARKING &&
        (conn_count_unparked(u->server) == 0 || clock_ms() > u->by_ms)) {
        conn_close_arriving(u->server);
        u->phase = UPGRADE_SETTLING;
        u->by_ms = clock_ms() + UPGRADE_SETTLE_MS;
    }
    if (u->phase == UPGRADE_LEAVING)
        leave(u);
    if (u->phase != UPGRADE_SETTLING)
        return;
    if (!is_settled(u, clock_ms() >= u->by_ms))
        return;
    camera_store_give_up(u->server->store);
    conn_answer_waiting(u->server);
    if (u->left == NULL) {
        take_over(u);
        return;
    }
    u->phase = UPGRADE_LEAVING;
    u->by_ms = clock_ms() + UPGRADE_LEAVE_MS;
    leave(u);
}

void upgrade_leave(struct upgrade *u, upgrade_left_fn left, void *ctx)
{
    u->left = left;
    u->ctx = ctx;
    u->live = false;
    pause_server(u);
}

/* --- trying it -------------------------------------------------------------------- */

static void on_trial_closed(uv_handle_t *handle)
{
    struct upgrade *u = handle->data;
    u->trial_runs = false;
}

static void on_trial_end(uv_process_t *process, int64_t status, int signal_number)
{
    struct upgrade *u = process->data;
    log_source_close(u->log, NULL, NULL);
    u->log = NULL;
    uv_close((uv_handle_t *)process, on_trial_closed);
    if (u->phase != UPGRADE_TRIAL)
        return; /* given up: the server stops, and its cameras may be gone */
    camera_table_expect_child(u->server->cameras, 0);
    (void)uv_timer_stop(&u->timer);
    if ((status == 0 || status == UPGRADE_WITHOUT_WORKERS) && signal_number == 0) {
        u->live = status == 0;
        pause_server(u);
        return;
    }
    log_errorx(NULL,
               "upgrade: %s --check-upgrade failed (status %d, signal %d); this program goes on",
               u->program, (int)status, signal_number);
    end(u);
}

static void on_trial_deadline(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;
    log_errorx(NULL, "upgrade: %s --check-upgrade has not ended within %d s: it is killed",
               u->program, UPGRADE_TRIAL_MS / 1000);
    (void)uv_process_kill(&u->trial, SIGKILL);
}

/* The same arguments, and one more.  Caller owns; free(). */
static char **trial_arguments(struct upgrade *u, char *last)
{
    size_t count = 0;
    while (u->argv[count] != NULL)
        count++;
    char **argv = xcalloc(count + 2, sizeof(*argv));
    memcpy(argv, u->argv, count * sizeof(*argv));
    argv[count] = last;
    return argv;
}

static int spawn_trial(struct upgrade *u, int log)
{
    char argument[64] = "--check-upgrade=";
    size_t len = strlen(argument);
    upgrade_version(argument + len, sizeof(argument) - len);
    char **argv = trial_arguments(u, argument);
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = log},
                                    {.flags = UV_INHERIT_FD, .data.fd = log}};
    const uv_process_options_t options = {.exit_cb = on_trial_end,
                                          .file = u->program,
                                          .args = argv,
                                          .stdio = stdio,
                                          .stdio_count = 3};
    u->trial.data = u;
    u->trial_runs = true; /* until its handle is closed, even if it never ran */
    int rc = uv_spawn(u->server->loop, &u->trial, &options);
    free(argv);
    if (rc != 0)
        uv_close((uv_handle_t *)&u->trial, on_trial_closed);
    return rc;
}

static int try_program(struct upgrade *u)
{
    int log[2] = {-1, -1};
    int rc = u->program[0] != '\0' ? log_source_pipe(log) : -ENOENT;
    if (rc == 0)
        rc = spawn_trial(u, log[1]);
    if (rc == 0) {
        camera_table_expect_child(u->server->cameras, u->trial.pid);
        u->log = log_source_open(u->server->loop, &log[0], "upgrade", u->trial.pid);
        (void)uv_timer_start(&u->timer, on_trial_deadline, UPGRADE_TRIAL_MS, 0);
    }
    fd_close(&log[0]);
    fd_close(&log[1]);
    return rc;
}

void upgrade_start(struct upgrade *u)
{
    if (u->phase != UPGRADE_NONE || u->trial_runs) {
        log_warnx(NULL, "upgrade: one is under way already");
        return;
    }
    log_info(NULL, "upgrade: %s is tried", u->program);
    u->phase = UPGRADE_TRIAL;
    service_notify_reloading(u->service);
    int rc = try_program(u);
    if (rc == 0)
        return;
    log_errorx(NULL, "upgrade: cannot run %s: %s; this program goes on", u->program,
               uv_strerror(rc));
    end(u);
}
