#include "master/server.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/camera_store.h"
#include "master/conf_load.h"
#include "master/conf_option.h"
#include "master/conn.h"
#include "master/fd_store.h"
#include "master/greeting.h"
#include "master/identity.h"
#include "master/listener.h"
#include "master/request.h"
#include "master/sandbox_check.h"
#include "master/server_shared.h"
#include "master/service.h"
#include "master/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define DRAIN_POLL_MS 50
#define STATUS_MS 1000

struct run {
    struct server server;
    struct conf *conf; /* the same as server.conf, but writable: a reload replaces it */
    int argc;
    char *const *argv;
    uv_loop_t loop;
    struct service service;
    struct camera_store store;
    uv_signal_t sighup;
    uv_signal_t sigterm;
    uv_signal_t sigint;
    uv_signal_t sigusr2;
    struct upgrade upgrade;
    struct fd_store fd_store;
    struct takeover *takeover; /* what the last program had; NULL: nothing is known of one */
    bool restarted;            /* it was another process, the last start of this service */
    int left[2];               /* its listening sockets, by enum route_port; -1: none */
    bool stopping;
    uv_timer_t drain;
    int64_t drain_until_ms;
    uv_timer_t status;
    bool told_trouble; /* systemd knows that no worker can be started */
};

/* Every viewer needs a descriptor in a worker, and passes through the master. */
static void raise_descriptor_limit(struct server *server)
{
    struct rlimit limit;
    server->max_conns = SERVER_MAX_CONNS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
        log_warn(NULL, "cannot raise the limit of descriptors");
    else if (limit.rlim_cur / 2 < server->max_conns)
        server->max_conns = (size_t)limit.rlim_cur / 2;
}

/* --- stopping ------------------------------------------------------------- */

static void on_cameras_closed(void *ctx)
{
    struct run *r = ctx;
    listener_close(&r->server.listeners[ROUTE_PORT_SNAPSHOT]);
    uv_close((uv_handle_t *)&r->sighup, NULL);
    uv_close((uv_handle_t *)&r->sigterm, NULL);
    uv_close((uv_handle_t *)&r->sigint, NULL);
    uv_close((uv_handle_t *)&r->sigusr2, NULL);
    upgrade_close(&r->upgrade);
    fd_store_close(&r->fd_store);
    fd_close(&r->left[ROUTE_PORT_STREAM]);
    fd_close(&r->left[ROUTE_PORT_SNAPSHOT]);
    uv_close((uv_handle_t *)&r->drain, NULL);
    uv_close((uv_handle_t *)&r->status, NULL);
    service_close(&r->service);
}

static void on_drain(uv_timer_t *timer)
{
    struct run *r = timer->data;
    size_t busy = camera_table_busy(r->server.cameras);
    bool in_time = clock_ms() < r->drain_until_ms;
    if (busy > 0 && in_time)
        return;
    if (busy > 0)
        log_warnx(NULL, "%zu workers have not ended in time: killing them", busy);
    /* Take no more requests: they would ask about cameras that are gone. */
    listener_close(&r->server.listeners[ROUTE_PORT_SNAPSHOT]);
    conn_close_all(&r->server, !in_time);
    if (r->server.conns > 0 && in_time)
        return;
    (void)uv_timer_stop(timer);
    camera_table_close(r->server.cameras, on_cameras_closed, r);
}

/* Take no new clients; the snapshot port stays open so that /healthz says `draining`. */
static void drain(struct run *r)
{
    r->server.draining = true;
    fd_store_pause(&r->fd_store);
    fd_store_withdraw(&r->fd_store);
    listener_close(&r->server.listeners[ROUTE_PORT_STREAM]);
    camera_table_drain(r->server.cameras, SERVER_GRACE_MS);
    r->drain_until_ms = clock_ms() + SERVER_GRACE_MS - DRAIN_POLL_MS;
    (void)uv_timer_start(&r->drain, on_drain, 0, DRAIN_POLL_MS);
}

/* Close without a word to any client: systemd has their sockets, too. */
static void on_left(void *ctx, bool stored)
{
    struct run *r = ctx;
    if (!stored) {
        drain(r);
        return;
    }
    log_info(NULL,
             "restart: %zu viewers wait for the next program, unless systemd stops the "
             "service",
             r->server.stored_viewers);
    r->server.draining = true;
    listener_close(&r->server.listeners[ROUTE_PORT_STREAM]); /* one that could not be paused */
    conn_close_all(&r->server, true);
    camera_table_close(r->server.cameras, on_cameras_closed, r);
}

static void on_stop_signal(uv_signal_t *handle, int signum)
{
    struct run *r = handle->data;
    bool leaves = service_has_store(&r->service);
    if (r->stopping)
        return;
    r->stopping = true;
    upgrade_cancel(&r->upgrade);
    log_info(NULL, "signal %d: %s", signum,
             leaves ? "making way for the next program" : "draining");
    service_notify_stopping(&r->service);
    if (leaves)
        upgrade_leave(&r->upgrade, on_left, r);
    else
        drain(r);
}

/* --- status --------------------------------------------------------------- */

static void tell_status(struct run *r, const char *trouble)
{
    if (trouble == NULL)
        trouble = r->server.reload_failed
                      ? "cameras can be watched; the last reload failed, see the log"
                      : "cameras can be watched";
    service_notify_status(&r->service, trouble);
}

/* libuv closes connections for which there is no descriptor, without a word. */
static void look_for_descriptors(struct server *server)
{
    static struct log_limit limit;
    unsigned suppressed;
    int fd = eventfd(0, EFD_CLOEXEC);
    int error = errno;
    if (fd == -1) {
        server->seconds_without_descriptors++;
        if (log_limit_pass(&limit, 1, 60000, &suppressed))
            log_errorx(NULL, "no descriptor is left (%s): connections are closed unanswered",
                       strerrordesc_np(error));
    }
    fd_close(&fd);
}

static void on_status(uv_timer_t *timer)
{
    struct run *r = timer->data;
    look_for_descriptors(&r->server);
    if (r->stopping)
        return;
    const char *trouble = camera_table_health(r->server.cameras);
    if ((trouble != NULL) == r->told_trouble)
        return;
    r->told_trouble = trouble != NULL;
    tell_status(r, trouble);
    if (trouble != NULL)
        log_errorx(NULL, "no worker can be started: %s", trouble);
    else
        log_info(NULL, "workers can be started again");
}

/* --- reading the configuration again -------------------------------------- */

/* Keep the old values of options that only a restart can change. */
static void keep_start_options(const struct conf *old, struct conf *fresh)
{
    char buf[256] = "";
    struct conf_text changed = {.buf = buf, .size = sizeof(buf)};
    conf_option_keep(old, fresh, &changed);
    if (changed.len > 0)
        log_warnx(NULL, "reload: a restart is needed to change %s", buf);
}

static void reload(struct run *r)
{
    struct conf fresh;
    char text[CONF_TEXT_MAX];
    int rc = conf_load_again(&fresh, r->conf->file.path, r->argc, r->argv, text, sizeof(text));
    r->server.reload_failed = rc != CONF_RUN;
    if (rc != CONF_RUN) {
        log_errorx(NULL, "reload: %s; the configuration stays as it was", text);
        return;
    }
    keep_start_options(r->conf, &fresh);
    conf_free(r->conf);
    *r->conf = fresh; /* in place: everybody reads it through this pointer */
    explicit_bzero(&fresh, sizeof(fresh));
    log_open(r->conf->server.log_level, r->conf->server.log_format);
    greeting_log_advice(r->conf);
    greeting_log_folder(r->conf);
    camera_table_reload(r->server.cameras);
    server_expire_texts(&r->server);
    log_info(NULL, "reload: the configuration was read again; named cameras: %zu",
             r->conf->camera_count);
}

static void on_reload_signal(uv_signal_t *handle, int signum)
{
    struct run *r = handle->data;
    (void)signum;
    if (r->stopping)
        return;
    service_notify_reloading(&r->service);
    reload(r);
    service_notify_ready(&r->service);
    tell_status(r, camera_table_health(r->server.cameras));
}

/* --- another program takes over -------------------------------------------- */

static void on_upgrade_signal(uv_signal_t *handle, int signum)
{
    struct run *r = handle->data;
    (void)signum;
    if (!r->stopping)
        upgrade_start(&r->upgrade);
}

static struct takeover *open_takeover(void)
{
    struct takeover *t;
    enum takeover_news news = takeover_open(&t);
    if (news == TAKEOVER_UNKNOWN)
        log_errorx(NULL, "upgrade: the last program hands over in a version that this one does not "
                         "know: its clients are disconnected");
    else if (news == TAKEOVER_BROKEN)
        log_errorx(NULL, "upgrade: " TAKEOVER_VARIABLE " does not name what a program handed over");
    return t;
}

/* Whoever restarts the service may have given it other ports: what listens elsewhere is closed,
 * before it could be in the way. */
static int take_left_socket(struct run *r, enum route_port kind, uint32_t port)
{
    int fd = takeover_listener(r->takeover, kind);
    if (fd != -1 && r->restarted &&
        !listener_is_at(fd, r->server.conf->server.bind, (uint16_t)port)) {
        if (r->service.sockets[kind] == -1) /* else it may be that one: cam-httpflv.socket's */
            (void)shutdown(fd, SHUT_RDWR);  /* the parcel has it until nothing can fail any more */
        fd_close(&fd);
    }
    return fd;
}

/* What the program before in this process left, or else the last start of this service. */
static void take_left(struct run *r)
{
    struct takeover *t;
    const struct conf *conf = r->server.conf;
    (void)fd_store_read(&r->fd_store, &t);
    r->restarted = r->takeover == NULL && t != NULL;
    if (r->restarted)
        r->takeover = t;
    else
        takeover_close(&t);
    if (r->takeover == NULL)
        return;
    r->left[ROUTE_PORT_STREAM] = take_left_socket(r, ROUTE_PORT_STREAM, conf->server.flv_port);
    r->left[ROUTE_PORT_SNAPSHOT] =
        take_left_socket(r, ROUTE_PORT_SNAPSHOT, conf->server.snapshot_port);
}

/* Nothing fails any more.  What the last start left stays until systemd has as much of us, and no
 * worker begins before that: so we may be killed at any time. */
static void take_in(struct run *r)
{
    fd_store_keep_newest(&r->fd_store);
    if (r->takeover != NULL)
        upgrade_restore(&r->server, r->takeover, r->restarted ? "restart" : "upgrade");
    takeover_close(&r->takeover);
    fd_store_open(&r->fd_store);
    fd_store_drop_left(&r->fd_store);
    camera_table_begin(r->server.cameras);
}

static void watch_signal(struct run *r, uv_signal_t *handle, uv_signal_cb on_signal, int signum)
{
    (void)uv_signal_init(&r->loop, handle);
    handle->data = r;
    (void)uv_signal_start(handle, on_signal, signum);
}

/* --- starting ------------------------------------------------------------- */

/* Of the program before in this process, of systemd, or of the last start. @return -1: none. */
static int take_socket(struct run *r, enum route_port kind)
{
    int left = fd_take(&r->left[kind]);
    int fd = r->restarted || left == -1 ? service_take_socket(&r->service, kind) : -1;
    if (fd == -1)
        return left;
    fd_close(&left); /* the same socket once more, or one that the unit has no more */
    return fd;
}

static int listen_on(struct run *r, enum route_port kind, uint32_t port)
{
    const char *address = r->server.conf->server.bind;
    int rc = listener_open(&r->server, kind, address, (uint16_t)port, take_socket(r, kind),
                           &r->server.listeners[kind]);
    if (rc != 0)
        log_errorx(NULL, "cannot listen on %s port %u: %s", address, port, uv_strerror(rc));
    return rc;
}

/* The new user may be unable to read what root could: better to say so now than at a reload. */
static int change_identity(struct run *r)
{
    struct conf trial;
    char text[CONF_TEXT_MAX];
    int rc = identity_change(r->conf->server.user, r->conf->server.group);
    if (rc == 1 && conf_load_again(&trial, r->conf->file.path, r->argc, r->argv, text,
                                   sizeof(text)) == CONF_RUN)
        conf_free(&trial);
    else if (rc == 1)
        log_warnx(NULL, "SIGHUP will change nothing: as user %s, %s", r->conf->server.user, text);
    return rc < 0 ? rc : 0;
}

static void greet(const struct run *r)
{
    struct sockaddr_storage streams;
    struct sockaddr_storage snapshots;
    listener_get_address(r->server.listeners[ROUTE_PORT_STREAM], &streams);
    listener_get_address(r->server.listeners[ROUTE_PORT_SNAPSHOT], &snapshots);
    greeting_log_address(r->conf, (const struct sockaddr *)&streams,
                         (const struct sockaddr *)&snapshots);
}

static void on_returned(void *ctx, const struct ipc_return *connection, const union address *from,
                        int *fd)
{
    conn_adopt(ctx, connection, from, fd, request_answer);
}

/* Opens the ports first: they may need root.  @return EXIT_SUCCESS, or EXIT_FAILURE with all
 * closed. */
static int start(struct run *r)
{
    struct server *server = &r->server;
    int rc = service_open(&r->service, &r->loop);
    if (rc != 0) {
        log_errorx(NULL, "systemd has to hand over two stream sockets: streams, then snapshots");
        goto fail;
    }
    if (sandbox_check(r->conf) != 0)
        goto fail;
    take_left(r);
    if (listen_on(r, ROUTE_PORT_STREAM, r->conf->server.flv_port) != 0 ||
        listen_on(r, ROUTE_PORT_SNAPSHOT, r->conf->server.snapshot_port) != 0 ||
        change_identity(r) != 0)
        goto fail;
    greet(r);
    greeting_log_folder(r->conf);
    rc = camera_table_open(&r->loop, r->conf, on_returned, server, &server->cameras);
    if (rc != 0) {
        log_errorx(NULL, "cannot start cam-httpflv-worker: %s", uv_strerror(rc));
        goto fail;
    }
    take_in(r);
    service_notify_ready(&r->service);
    tell_status(r, NULL);
    (void)uv_timer_start(&r->status, on_status, STATUS_MS, STATUS_MS);
    return EXIT_SUCCESS;
fail:
    takeover_close(&r->takeover); /* systemd has it all for the next start */
    listener_close(&server->listeners[ROUTE_PORT_STREAM]);
    on_cameras_closed(r);
    return EXIT_FAILURE;
}

/* What needs no loop. */
static void init_server(struct server *server, struct conf *conf)
{
    server->conf = conf;
    server->started_s = (int64_t)time(NULL);
    raise_descriptor_limit(server);
    TAILQ_INIT(&server->open_conns);
    TAILQ_INIT(&server->text_readers);
    (void)uv_random(NULL, NULL, &server->rate_limit.seed, sizeof(server->rate_limit.seed), 0, NULL);
}

static void open_handles(struct run *r)
{
    (void)uv_timer_init(&r->loop, &r->drain);
    (void)uv_timer_init(&r->loop, &r->status);
    r->drain.data = r->status.data = r;
    watch_signal(r, &r->sighup, on_reload_signal, SIGHUP);
    watch_signal(r, &r->sigterm, on_stop_signal, SIGTERM);
    watch_signal(r, &r->sigint, on_stop_signal, SIGINT);
    watch_signal(r, &r->sigusr2, on_upgrade_signal, SIGUSR2);
    fd_store_init(&r->fd_store, &r->server, &r->service, upgrade_save);
    r->server.fd_store = &r->fd_store;
    upgrade_open(&r->upgrade, &r->server, &r->service, r->argv);
    upgrade_unblock_signals();
}

static void clear_server(struct server *server)
{
    text_cache_clear(&server->metrics);
    text_cache_clear(&server->streams);
    text_cache_clear(&server->list);
    client_share_clear(&server->conn_share);
    refusal_log_flush(&server->refusal_log, "refused");
}

int server_run(struct conf *conf, int argc, char *const *argv)
{
    static struct run r; /* once per process, and too big for a stack */
    r.left[ROUTE_PORT_STREAM] = r.left[ROUTE_PORT_SNAPSHOT] = -1;
    r.conf = conf;
    r.argc = argc;
    r.argv = argv;
    (void)signal(SIGPIPE, SIG_IGN); /* stderr may be a pipe, too */
    (void)signal(SIGXFSZ, SIG_IGN); /* or a file */
    r.takeover = open_takeover();
    log_start_queue();
    greeting_log_program(conf);
    greeting_log_advice(conf);
    init_server(&r.server, conf);
    camera_store_init(&r.store, &r.server, conf);
    r.server.store = &r.store;
    if (uv_loop_init(&r.loop) != 0) {
        log_error(NULL, "cannot make an event loop");
        takeover_close(&r.takeover);
        log_end_queue();
        return EXIT_FAILURE;
    }
    r.server.loop = &r.loop;
    open_handles(&r);

    int status = start(&r);
    (void)uv_run(&r.loop, UV_RUN_DEFAULT);
    clear_server(&r.server);
    (void)uv_loop_close(&r.loop);
    log_end_queue();
    return status;
}
