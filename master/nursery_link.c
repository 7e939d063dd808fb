#include "master/nursery_link.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NURSERY_FD 3
#define PROGRAM "cam-httpflv-worker"

struct nursery_link {
    uv_loop_t *loop;
    const struct conf *conf;
    const struct nursery_link_events *events;
    void *owner;
    char program[PATH_MAX];
    uv_process_t process;
    bool running;    /* the process; its handle is open until on_process_closed() */
    int channel;     /* -1: none */
    uv_poll_t *poll; /* of the channel */
    enum ipc_phase phase;
    uv_timer_t timer; /* until the next start; when closing: until it is killed */
    bool closing;
};

static void on_restart(uv_timer_t *timer);

/* --- its end -------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    link->events->on_closed(link->owner);
    free(link);
}

static void close_when_done(struct nursery_link *link)
{
    if (link->closing && !link->running && link->poll == NULL)
        uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    if (link->poll == (uv_poll_t *)(void *)handle)
        link->poll = NULL;
    free(handle);
    close_when_done(link);
}

static void drop_channel(struct nursery_link *link)
{
    if (link->channel == -1)
        return;
    uv_close((uv_handle_t *)link->poll, on_poll_closed);
    fd_close(&link->channel);
}

static void on_process_closed(uv_handle_t *handle)
{
    struct nursery_link *link = handle->data;
    link->running = false;
    if (!link->closing)
        (void)uv_timer_start(&link->timer, on_restart, NURSERY_LINK_RESTART_MS, 0);
    close_when_done(link);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal_number)
{
    struct nursery_link *link = process->data;
    if (!link->closing)
        log_errorx(NULL, "nursery ended (status %lld, signal %d): starting another",
                   (long long)status, signal_number);
    drop_channel(link);
    uv_close((uv_handle_t *)process, on_process_closed);
    link->events->on_died(link->owner);
}

void nursery_link_replace(struct nursery_link *link)
{
    drop_channel(link);
    if (link->running)
        (void)uv_process_kill(&link->process, SIGKILL);
}

/* --- its channel ---------------------------------------------------------- */

static void on_nursery(struct nursery_link *link, const struct ipc_ready *m)
{
    link->phase = IPC_PH_RUN;
    log_debug(NULL, "nursery %u is warm", m->pid);
}

static void on_spawned(struct nursery_link *link, const struct ipc_spawned *m)
{
    link->events->on_spawned(link->owner, m);
}

static void on_exited(struct nursery_link *link, const struct ipc_exited *m)
{
    link->events->on_exited(link->owner, m);
}

static int dispatch(struct nursery_link *link, const struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph)                                  \
    case IPC_##U:                                               \
        on_##l(link, (const type *)(const void *)msg->payload); \
        return 0;
        IPC_FROM_NURSERY(X)
#undef X
    default:
        return -EPROTO; /* a message of another direction */
    }
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct nursery_link *link = handle->data;
    struct ipc_msg msg;
    int rc = status < 0 ? 0 : 1;
    while (rc == 1) {
        rc = ipc_recv(link->channel, link->phase, &msg);
        if (rc == 1) {
            rc = dispatch(link, &msg) == 0 ? 1 : -EPROTO;
            ipc_msg_free(&msg);
        }
    }
    if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EMFILE)) {
        log_errorx(NULL, "channel to the nursery is closed");
        nursery_link_replace(link);
    }
}

int nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel)
{
    const struct ipc_spawn message = {.worker_id = worker_id};
    if (link->channel == -1)
        return -ENOTCONN;
    return ipc_send(link->channel, IPC_SPAWN, &message, channel);
}

void nursery_link_kill(struct nursery_link *link, uint32_t worker_id)
{
    const struct ipc_kill message = {.worker_id = worker_id};
    if (link->channel != -1)
        (void)ipc_send(link->channel, IPC_KILL, &message, NULL);
}

bool nursery_link_is_warm(const struct nursery_link *link)
{
    return link->channel != -1 && link->phase == IPC_PH_RUN;
}

pid_t nursery_link_pid(const struct nursery_link *link)
{
    return link->running ? link->process.pid : 0;
}

/* --- its start ------------------------------------------------------------ */

/* Beside this program, as in the build tree, or where `make install` puts it. */
static int find_program(char *out, size_t size)
{
    static const char *const places[] = {"/" PROGRAM, "/../libexec/cam-httpflv/" PROGRAM};
    char self[PATH_MAX];
    size_t len = sizeof(self);
    int rc = uv_exepath(self, &len);
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

/* The environment without our own settings, which may be secrets.  Caller owns; free(). */
static char **make_environment(void)
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

static int spawn(struct nursery_link *link, int theirs)
{
    const struct conf *conf = link->conf;
    char fd_text[] = "3";
    char level[8];
    char format[8];
    char sandbox[8];
    (void)snprintf(level, sizeof(level), "%s", log_level_name(conf->server.log_level));
    (void)snprintf(format, sizeof(format), "%s", log_format_name(conf->server.log_format));
    (void)snprintf(sandbox, sizeof(sandbox), "%s", sandbox_mode_name(conf->server.sandbox));
    char *argv[] = {link->program, fd_text, level, format, sandbox, NULL};
    uv_stdio_container_t stdio[NURSERY_FD + 1] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
        {.flags = UV_INHERIT_FD, .data.fd = theirs},
    };
    char **environment = make_environment();
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = link->program,
        .args = argv,
        .env = environment,
        .stdio = stdio,
        .stdio_count = NURSERY_FD + 1,
    };
    link->process.data = link;
    link->running = true; /* until its handle is closed, also when it never ran */
    int rc = uv_spawn(link->loop, &link->process, &options);
    free(environment);
    if (rc != 0)
        uv_close((uv_handle_t *)&link->process, on_process_closed);
    return rc;
}

static int start(struct nursery_link *link)
{
    int ours = -1;
    int theirs = -1;
    int rc = fd_seqpacket_pair(&ours, &theirs);
    if (rc != 0) {
        (void)uv_timer_start(&link->timer, on_restart, NURSERY_LINK_RESTART_MS, 0);
        return rc;
    }
    rc = spawn(link, theirs);
    fd_close(&theirs);
    if (rc != 0) {
        fd_close(&ours);
        return rc;
    }
    link->channel = ours;
    link->phase = IPC_PH_BOOT;
    link->poll = xcalloc(1, sizeof(*link->poll));
    (void)uv_poll_init(link->loop, link->poll, ours);
    link->poll->data = link;
    (void)uv_poll_start(link->poll, UV_READABLE, on_channel);
    return 0;
}

static void on_restart(uv_timer_t *timer)
{
    struct nursery_link *link = timer->data;
    int rc = start(link);
    if (rc != 0)
        log_errorx(NULL, "cannot start %s: %s", link->program, uv_strerror(rc));
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
    *out = link;
    int rc = find_program(link->program, sizeof(link->program));
    return rc != 0 ? rc : start(link);
}

static void on_end_deadline(uv_timer_t *timer)
{
    struct nursery_link *link = timer->data;
    log_errorx(NULL, "the nursery does not end: killing it");
    nursery_link_replace(link);
}

void nursery_link_close(struct nursery_link *link)
{
    link->closing = true;
    drop_channel(link); /* end of file: it ends */
    (void)uv_timer_start(&link->timer, on_end_deadline, NURSERY_LINK_END_MS, 0);
    close_when_done(link);
}
