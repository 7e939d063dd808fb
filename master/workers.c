#include "master/workers.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/nursery_link.h"
#include "master/outbox.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 1000
/* A worker that talks without end gets its turn like all others. */
#define MESSAGES_AT_ONCE 64
/* From asking the nursery to kill a worker to losing patience with the nursery. */
#define OBEY_MS 10000

/* Life of a worker:  STARTING --READY--> SPARE --taken--> BUSY --told to--> LEAVING.
 * One may be taken while still STARTING: its messages wait in the channel. */
struct worker {
    LIST_ENTRY(worker) link;
    struct workers *workers;
    uint32_t id;
    int channel;
    struct outbox outbox; /* what the channel has no room for */
    uv_poll_t poll;
    enum ipc_phase phase;
    pid_t pid;   /* 0 until SPAWNED */
    void *owner; /* NULL: spare, or leaving */
    bool leaving;
    bool adopted; /* its nursery died: it is the master's child */
    bool kill_sent;
    bool closing;
    int64_t heard_ms;
};

LIST_HEAD(worker_list, worker);

struct workers {
    uv_loop_t *loop;
    const struct conf *conf;
    const struct workers_events *events;
    struct nursery_link *nursery; /* NULL once it has been closed */
    struct worker_list list;
    size_t count;
    size_t spare;         /* STARTING or SPARE */
    int64_t stillborn_ms; /* when a worker last died before READY; 0: never */
    uint32_t next_id;
    uint64_t failures[WORKER_FAILURE_COUNT];

    uv_timer_t tick;
    uv_signal_t sigchld;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void free_when_done(struct workers *ws);

/* --- one worker ----------------------------------------------------------- */

static void kill_worker(struct worker *w)
{
    w->kill_sent = true;
    if (w->adopted && w->pid > 0) {
        (void)kill(w->pid, SIGKILL); /* ours and not reaped: the pid cannot be another's */
        return;
    }
    nursery_link_kill(w->workers->nursery, w->id);
}

static void on_worker_closed(uv_handle_t *handle)
{
    struct worker *w = handle->data;
    struct workers *ws = w->workers;
    ws->count--;
    free(w);
    free_when_done(ws);
}

/* The channel is closed or broken: for the master the worker is gone.  A spare one is replaced at
 * the next tick, not at once: where none can be forked, that would go round and round. */
static void drop_worker(struct worker *w)
{
    if (w->closing)
        return;
    w->closing = true;
    LIST_REMOVE(w, link);
    if (w->owner == NULL && !w->leaving)
        w->workers->spare--;
    if (w->phase == IPC_PH_BOOT)
        w->workers->stillborn_ms = clock_ms();
    uv_close((uv_handle_t *)&w->poll, on_worker_closed);
    fd_close(&w->channel);
    outbox_clear(&w->outbox);
    if (w->owner != NULL)
        w->workers->events->on_gone(w->owner);
}

#define X(U, l, type, fds, ph) static int on_##l(struct worker *w, const type *m);
IPC_FROM_WORKER(X)
#undef X

static int on_ready(struct worker *w, const struct ipc_ready *m)
{
    if (m->version != IPC_VERSION) {
        log_errorx(NULL,
                   "worker speaks version %u of the messages, not %u: is its program of the same "
                   "release?",
                   m->version, IPC_VERSION);
        return -EPROTO;
    }
    w->phase = IPC_PH_RUN; /* its pid is what the nursery says: this one must not be believed */
    return 0;
}

static int on_state(struct worker *w, const struct ipc_state *m)
{
    if (m->state >= IPC_CAMERA_STATE_COUNT || m->error >= HTTP_ERROR_COUNT)
        return -EPROTO;
    if (w->owner != NULL)
        w->workers->events->on_state(w->owner, m);
    return 0;
}

static int on_stats(struct worker *w, const struct ipc_stats *m)
{
    if (w->owner != NULL)
        w->workers->events->on_stats(w->owner, m);
    return 0;
}

static int on_idle(struct worker *w, const struct ipc_idle *m)
{
    if (w->owner != NULL)
        w->workers->events->on_idle(w->owner, m);
    return 0;
}

static int dispatch_worker(struct worker *w, const struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph) \
    case IPC_##U:              \
        return on_##l(w, (const type *)(const void *)msg->payload);
        IPC_FROM_WORKER(X)
#undef X
    default:
        return -EPROTO; /* a message of another direction */
    }
}

static void on_worker_channel(uv_poll_t *handle, int status, int events);

static void poll_worker(struct worker *w)
{
    int events = UV_READABLE | (outbox_is_empty(&w->outbox) ? 0 : UV_WRITABLE);
    (void)uv_poll_start(&w->poll, events, on_worker_channel);
}

static void on_worker_channel(uv_poll_t *handle, int status, int events)
{
    struct worker *w = handle->data;
    if (status == 0 && (events & UV_WRITABLE) != 0 && outbox_flush(&w->outbox, w->channel) == 0)
        poll_worker(w); /* a broken channel says so by reading, too */
    struct ipc_msg msg;
    int rc = status < 0 ? 0 : 1;
    for (int n = 0; n < MESSAGES_AT_ONCE && rc == 1 && !w->closing; n++) {
        rc = ipc_recv(w->channel, w->phase, &msg);
        if (rc != 1)
            break;
        w->heard_ms = clock_ms();
        rc = dispatch_worker(w, &msg) == 0 ? 1 : -EPROTO;
        ipc_msg_free(&msg);
    }
    if (rc == -EPROTO) {
        log_errorx(NULL, "worker %u broke the protocol of its channel", w->id);
        kill_worker(w);
    }
    if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EMFILE))
        drop_worker(w);
}

/* Ask the nursery for one more. @return NULL if that is impossible now. */
static struct worker *spawn_worker(struct workers *ws)
{
    int ours = -1;
    int theirs = -1;
    if (ws->closing || fd_seqpacket_pair(&ours, &theirs) != 0)
        return NULL;
    int rc = nursery_link_spawn(ws->nursery, ws->next_id, &theirs);
    if (rc != 0) {
        if (rc != -ENOTCONN)
            log_warnx(NULL, "cannot ask for a worker: %s", strerrordesc_np(-rc));
        fd_close(&ours);
        fd_close(&theirs);
        return NULL;
    }
    struct worker *w = xcalloc(1, sizeof(*w));
    w->workers = ws;
    w->id = ws->next_id++;
    w->channel = ours;
    w->phase = IPC_PH_BOOT;
    w->heard_ms = clock_ms();
    if (uv_poll_init(ws->loop, &w->poll, w->channel) != 0)
        abort(); /* a fresh socket: only our own mistake could be refused */
    w->poll.data = w;
    outbox_init(&w->outbox);
    poll_worker(w);
    LIST_INSERT_HEAD(&ws->list, w, link);
    ws->count++;
    ws->spare++;
    return w;
}

/* Did a worker die in this time before it was READY? */
static bool starts_failed(const struct workers *ws, int64_t within_ms)
{
    return ws->stillborn_ms != 0 && clock_ms() - ws->stillborn_ms < within_ms;
}

/* A worker that cannot start is no reason to fork as fast as one can: the next tick tries again. */
static void fill_spares(struct workers *ws)
{
    if (starts_failed(ws, WORKERS_RESTART_MS))
        return;
    while (ws->spare < ws->conf->server.spare_workers && spawn_worker(ws) != NULL) {
    }
}

struct worker *workers_take(struct workers *workers, void *owner)
{
    assert(owner != NULL);
    struct worker *chosen = NULL;
    struct worker *w;
    LIST_FOREACH(w, &workers->list, link)
    {
        if (w->owner == NULL && !w->leaving && !w->kill_sent &&
            (chosen == NULL || w->phase == IPC_PH_RUN))
            chosen = w; /* rather one that is up */
    }
    /* Better no worker than one that takes the client with it. */
    if ((chosen == NULL || chosen->phase == IPC_PH_BOOT) &&
        starts_failed(workers, INT64_C(2) * WORKERS_RESTART_MS))
        return NULL;
    if (chosen == NULL)
        chosen = spawn_worker(workers);
    if (chosen == NULL)
        return NULL;
    chosen->owner = owner;
    workers->spare--;
    fill_spares(workers);
    return chosen;
}

int worker_send(struct worker *worker, enum ipc_type type, const void *payload, int *fd)
{
    bool waited = !outbox_is_empty(&worker->outbox);
    int rc = outbox_send(&worker->outbox, worker->channel, type, payload, fd);
    if (!waited && !outbox_is_empty(&worker->outbox))
        poll_worker(worker);
    return rc;
}

void worker_release(struct worker *worker)
{
    worker->leaving = true;
    worker->owner = NULL;
}

pid_t worker_pid(const struct worker *worker)
{
    return worker->pid;
}

size_t workers_busy(const struct workers *workers)
{
    return workers->count - workers->spare;
}

const uint64_t *workers_failures(const struct workers *workers)
{
    return workers->failures;
}

/* --- what the nursery says ---------------------------------------------------------- */

static void on_spawned(void *owner, const struct ipc_spawned *m)
{
    const struct workers *ws = owner;
    struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->id != m->worker_id)
            continue;
        w->pid = (pid_t)m->pid;
        if (w->pid == 0)
            drop_worker(w); /* the nursery has said why */
        return;
    }
}

static void on_exited(void *owner, const struct ipc_exited *m)
{
    struct workers *ws = owner;
    enum worker_failure failure = WORKER_FAILED_STATUS;
    if (WIFSIGNALED(m->wait_status) && WTERMSIG(m->wait_status) == SIGSYS) {
        failure = WORKER_FAILED_SANDBOX;
        log_errorx(NULL,
                   "worker %u (pid %u) was ended by its sandbox: it tried what only an attacker "
                   "would; the kernel's log may name the system call",
                   m->worker_id, m->pid);
    } else if (WIFSIGNALED(m->wait_status)) {
        failure = WORKER_FAILED_SIGNAL;
        log_errorx(NULL, "worker %u (pid %u) was killed by signal %d (%s)", m->worker_id, m->pid,
                   WTERMSIG(m->wait_status), strsignal(WTERMSIG(m->wait_status)));
    } else if (WEXITSTATUS(m->wait_status) != 0) {
        log_errorx(NULL, "worker %u (pid %u) ended with status %d", m->worker_id, m->pid,
                   WEXITSTATUS(m->wait_status));
    } else {
        log_debug(NULL, "worker %u (pid %u) has left", m->worker_id, m->pid);
        return;
    }
    ws->failures[failure]++;
}

/* Its workers go on; those that it may never have forked do not. */
static void on_nursery_died(void *owner)
{
    struct workers *ws = owner;
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        w->adopted = true;
        if (w->pid == 0)
            drop_worker(w);
        else if (w->kill_sent)
            kill_worker(w); /* the nursery may not have read it */
    }
}

static void on_nursery_closed(void *owner)
{
    struct workers *ws = owner;
    ws->nursery = NULL;
    free_when_done(ws);
}

static const struct nursery_link_events nursery_events = {on_spawned, on_exited, on_nursery_died,
                                                          on_nursery_closed};

/* --- once a second, and at SIGCHLD ---------------------------------------- */

/* Whatever a nursery leaves behind is the master's: workers that go on, and those that had ended
 * or were about to.  The nursery itself is for libuv to reap. */
static void reap(struct workers *ws)
{
    for (;;) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0 ||
            info.si_pid == nursery_link_pid(ws->nursery))
            return;
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct workers *ws = timer->data;
    int64_t now_ms = clock_ms();
    struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        int64_t silent_ms = now_ms - w->heard_ms;
        if (silent_ms > WORKERS_SILENCE_MS && !w->kill_sent) {
            log_errorx(NULL, "worker %u (pid %d) has been silent for %d s: killing it", w->id,
                       (int)w->pid, WORKERS_SILENCE_MS / 1000);
            kill_worker(w);
        }
        if (silent_ms > WORKERS_SILENCE_MS + OBEY_MS && !w->adopted &&
            nursery_link_is_warm(ws->nursery)) {
            log_errorx(NULL, "the nursery does not obey: killing it");
            nursery_link_replace(ws->nursery);
        }
    }
    fill_spares(ws);
    reap(ws);
}

static void on_sigchld(uv_signal_t *handle, int signum)
{
    (void)signum;
    reap(handle->data);
}

/* --- life ----------------------------------------------------------------- */

static void on_never_opened(void *ctx)
{
    (void)ctx; /* nobody waits for it */
}

int workers_open(uv_loop_t *loop, const struct conf *conf, const struct workers_events *events,
                 struct workers **out)
{
    struct workers *ws = xcalloc(1, sizeof(*ws));
    ws->loop = loop;
    ws->conf = conf;
    ws->events = events;
    ws->next_id = 1;
    LIST_INIT(&ws->list);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    (void)uv_timer_init(loop, &ws->tick);
    (void)uv_signal_init(loop, &ws->sigchld);
    ws->tick.data = ws->sigchld.data = ws;
    (void)uv_timer_start(&ws->tick, on_tick, TICK_MS, TICK_MS);
    (void)uv_signal_start(&ws->sigchld, on_sigchld, SIGCHLD);
    int rc = nursery_link_open(loop, conf, &nursery_events, ws, &ws->nursery);
    if (rc != 0) {
        workers_close(ws, on_never_opened, NULL);
        return rc;
    }
    fill_spares(ws);
    *out = ws;
    return 0;
}

static void free_when_done(struct workers *ws)
{
    if (!ws->closing || ws->count > 0 || ws->nursery != NULL || ws->tick.data != NULL ||
        ws->sigchld.data != NULL)
        return;
    ws->closed(ws->closed_ctx);
    free(ws);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct workers *ws = handle->data;
    handle->data = NULL;
    free_when_done(ws);
}

void workers_close(struct workers *workers, void (*closed)(void *ctx), void *ctx)
{
    workers->closing = true;
    workers->closed = closed;
    workers->closed_ctx = ctx;
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&workers->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        if (w->owner != NULL || w->leaving)
            kill_worker(w); /* spare ones leave when their channel closes */
        drop_worker(w);
    }
    uv_close((uv_handle_t *)&workers->tick, on_handle_closed);
    uv_close((uv_handle_t *)&workers->sigchld, on_handle_closed);
    nursery_link_close(workers->nursery);
}
