#include "master/nursery_link.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/log_source.h"
#include "master/process_path.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NURSERY_FD 3
#define PROGRAM "cam-httpflv-worker"
#define TROUBLE_MAX 128

struct nursery_link {
    uv_loop_t *loop;
    const struct conf *conf;
    const struct nursery_link_events *events;
    void *owner;
    char program[PATH_MAX];
    char trouble[TROUBLE_MAX];
    uv_process_t process;
    bool running;    /* the process runs, or its handle is not closed yet */
    int channel;     /* -1: none */
    uv_poll_t *poll; /* watches the channel */
    enum ipc_phase phase;
    int64_t started_ms;
    int64_t warm_ms;
    struct log_source *log;
    uv_timer_t timer;       /* runs until the next start, or until the nursery is killed */
    struct closing closing; /* parts: process, channel, log, and last the timer */
};

static void on_restart(uv_timer_t *timer);
static void on_end_deadline(uv_timer_t *timer);
static void read_channel(struct nursery_link *link);

/* --- its end -------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    if (closing_release(&link->closing))
        closing_finish(&link->closing, link);
}

static void close_timer_when_alone(struct nursery_link *link)
{
    if (link->closing.asked && link->closing.held == 1)
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

/* A part other than the timer has ended. */
static void release(struct nursery_link *link)
{
    (void)closing_release(&link->closing);
    close_timer_when_alone(link);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    free(handle);
    release(link);
}

static void on_log_closed(void *ctx)
{
    release(ctx);
}

static void drop_channel(struct nursery_link *link)
{
    if (link->channel == -1)
        return;
    uv_close((uv_handle_t *)link->poll, on_poll_closed);
    link->poll = NULL;
    fd_close(&link->channel);
}

static void drop_log(struct nursery_link *link)
{
    struct log_source *log = link->log;
    link->log = NULL;
    if (log != NULL)
        log_source_close(log, on_log_closed, link);
}

static void on_process_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    link->running = false;
    if (!link->closing.asked)
        (void)uv_timer_start(&link->timer, on_restart, NURSERY_LINK_RESTART_MS, 0);
    release(link);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct nursery_link *link = process->data;
    read_channel(link); /* workers that it announced before it died */
    drop_channel(link);
    drop_log(link);
    (void)snprintf(link->trouble, sizeof(link->trouble), "%s ended (status %lld, signal %d)",
                   PROGRAM, (long long)status, signal_number);
    if (!link->closing.asked)
        log_errorx(NULL, "nursery ended (status %lld, signal %d): starting another",
                   (long long)status, signal_number);
    uv_close((uv_handle_t *)process, on_process_closed);
    link->events->on_died(link->owner);
}

void nursery_link_replace(struct nursery_link *link)
{
    if (link->running)
        (void)uv_process_kill(&link->process, SIGKILL);
    else
        drop_channel(link);
}

/* --- its channel ---------------------------------------------------------- */

static void on_nursery(struct nursery_link *link, const struct ipc_ready *m, int *fd)
{
    (void)fd;
    link->phase = IPC_PH_RUN;
    link->warm_ms = clock_ms();
    log_debug(NULL, "nursery %u is warm", m->pid);
}

static void on_spawned(struct nursery_link *link, const struct ipc_spawned *m, int *fd)
{
    link->events->on_spawned(link->owner, m, fd);
}

static void on_failed(struct nursery_link *link, const struct ipc_failed *m, int *fd)
{
    (void)fd;
    link->events->on_failed(link->owner, m);
}

static int dispatch(struct nursery_link *link, struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph)                                            \
    case IPC_##U:                                                         \
        on_##l(link, (const type *)(const void *)msg->payload, &msg->fd); \
        return 0;
        IPC_FROM_NURSERY(X)
#undef X
    default:
        return -EPROTO; /* a message that goes the other way */
    }
}

/* @return as ipc_recv(). */
static int receive(struct nursery_link *link)
{
    struct ipc_msg msg;
    int rc = 1;
    while (rc == 1) {
        rc = ipc_recv(link->channel, link->phase, &msg);
        if (rc == 1) {
            rc = dispatch(link, &msg) == 0 ? 1 : -EPROTO;
            ipc_msg_free(&msg);
        }
    }
    return rc;
}

static void read_channel(struct nursery_link *link)
{
    if (link->channel != -1)
        (void)receive(link);
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct nursery_link *link = handle->data;
    int rc = status < 0 ? 0 : receive(link);
    if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EMFILE)) {
        log_errorx(NULL, "channel to the nursery is closed");
        drop_channel(link);
        (void)uv_timer_start(&link->timer, on_end_deadline, NURSERY_LINK_END_MS, 0);
    }
}

int nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel)
{
    const struct ipc_spawn message = {.worker_id = worker_id};
    if (link->channel == -1)
        return -ENOTCONN;
    return ipc_send(link->channel, IPC_SPAWN, &message, channel);
}

bool nursery_link_is_open(const struct nursery_link *link)
{
    return link->channel != -1;
}

int64_t nursery_link_warm_ms(const struct nursery_link *link)
{
    return link->warm_ms;
}

bool nursery_link_is_warm(const struct nursery_link *link)
{
    return link != NULL && link->channel != -1 && link->phase == IPC_PH_RUN;
}

const char *nursery_link_trouble(const struct nursery_link *link)
{
    return link->trouble;
}

void nursery_link_tick(struct nursery_link *link)
{
    if (link->log != NULL)
        log_source_tick(link->log);
    if (link->running && link->phase == IPC_PH_BOOT &&
        clock_ms() - link->started_ms > NURSERY_LINK_WARM_MS) {
        log_errorx(NULL, "the nursery is not ready after %d s: it is killed",
                   NURSERY_LINK_WARM_MS / 1000);
        nursery_link_replace(link);
    }
}

pid_t nursery_link_pid(const struct nursery_link *link)
{
    return link != NULL && link->running ? link->process.pid : 0;
}

/* --- its start ------------------------------------------------------------ */

int nursery_link_find_program(char *out, size_t size)
{
    static const char *const places[] = {"/" PROGRAM, "/../libexec/cam-httpflv/" PROGRAM};
    char self[PATH_MAX];
    int rc = process_path_self(self, sizeof(self));
    if (rc != 0)
        return rc;
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(out, size, "%s%s", self, places[i]);
        if (n > 0 && (size_t)n < size && access(out, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

char **nursery_link_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **kept = xcalloc(count + 1, sizeof(*kept));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "CAM_HTTPFLV_", strlen("CAM_HTTPFLV_")) != 0)
            kept[n++] = environ[i];
    }
    return kept;
}

/* Its stdout and stderr are a pipe to us, so that it holds none of our own descriptors. */
static int spawn(struct nursery_link *link, int channel, int log)
{
    const struct conf *conf = link->conf;
    char fd_text[] = "3";
    char level[8];
    char sandbox[8];
    (void)snprintf(level, sizeof(level), "%s", log_level_name(conf->server.log_level));
    (void)snprintf(sandbox, sizeof(sandbox), "%s", sandbox_mode_name(conf->server.sandbox));
    char *argv[] = {link->program, fd_text, level, sandbox, NULL};
    uv_stdio_container_t stdio[NURSERY_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = log},
        {.flags = UV_INHERIT_FD, .data.fd = log},
        {.flags = UV_INHERIT_FD, .data.fd = channel},
    };
    char **environment = nursery_link_environment();
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = link->program,
        .args = argv,
        .env = environment,
        .stdio = stdio,
        .stdio_count = NURSERY_FD + 1,
    };
    link->process.data = link;
    link->running = true; /* until its handle is closed, even if it never ran */
    closing_hold(&link->closing);
    int rc = uv_spawn(link->loop, &link->process, &options);
    free(environment);
    if (rc != 0)
        uv_close((uv_handle_t *)&link->process, on_process_closed);
    return rc;
}

static void open_channel(struct nursery_link *link, int *channel)
{
    link->channel = fd_take(channel);
    link->phase = IPC_PH_BOOT;
    link->poll = xcalloc(1, sizeof(*link->poll));
    (void)uv_poll_init(link->loop, link->poll, link->channel);
    link->poll->data = link;
    closing_hold(&link->closing);
    (void)uv_poll_start(link->poll, UV_READABLE, on_channel);
}

/* @return 0, or negative errno: the next try follows after NURSERY_LINK_RESTART_MS. */
static int start(struct nursery_link *link)
{
    int ours = -1;
    int theirs = -1;
    int log[2] = {-1, -1};
    link->started_ms = clock_ms();
    int rc = fd_seqpacket_pair(&ours, &theirs);
    if (rc == 0)
        rc = log_source_pipe(log);
    if (rc != 0)
        (void)uv_timer_start(&link->timer, on_restart, NURSERY_LINK_RESTART_MS, 0);
    else
        rc = spawn(link, theirs, log[1]); /* starts the timer on failure */
    if (rc == 0) {
        open_channel(link, &ours);
        closing_hold(&link->closing);
        link->log = log_source_open(link->loop, &log[0], "nursery", link->process.pid);
        (void)snprintf(link->trouble, sizeof(link->trouble), "%s is starting", PROGRAM);
    } else {
        (void)snprintf(link->trouble, sizeof(link->trouble), "cannot start %s: %s", PROGRAM,
                       uv_strerror(rc));
    }
    fd_close(&ours);
    fd_close(&theirs);
    fd_close(&log[0]);
    fd_close(&log[1]);
    return rc;
}

static void on_restart(uv_timer_t *timer)
{
    struct nursery_link *link = timer->data;
    if (start(link) != 0)
        log_errorx(NULL, "%s", link->trouble);
}

/* --- life ----------------------------------------------------------------- */

int nursery_link_open(uv_loop_t *loop, const struct conf *conf,
                      const struct nursery_link_events *events, void *owner,
                      struct nursery_link **out)
{
    struct nursery_link *link = xcalloc(1, sizeof(*link));
    link->loop = loop;
    link->conf = conf;
    link->events = events;
    link->owner = owner;
    link->channel = -1;
    (void)uv_timer_init(loop, &link->timer);
    link->timer.data = link;
    closing_hold(&link->closing);
    *out = link;
    int rc = nursery_link_find_program(link->program, sizeof(link->program));
    return rc != 0 ? rc : start(link);
}

static void on_end_deadline(uv_timer_t *timer)
{
    struct nursery_link *link = timer->data;
    log_errorx(NULL, "the nursery does not end: it is killed");
    nursery_link_replace(link);
}

void nursery_link_close(struct nursery_link *link)
{
    (void)closing_ask(&link->closing, link->events->on_closed, link->owner);
    drop_channel(link); /* at the end of file, the nursery ends */
    if (!link->running)
        drop_log(link);
    (void)uv_timer_start(&link->timer, on_end_deadline, NURSERY_LINK_END_MS, 0);
    close_timer_when_alone(link);
}
