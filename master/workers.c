#include "master/workers.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/nursery_link.h"
#include "master/process_info.h"
#include "master/workers_private.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TICK_MS 1000
#define HANDLES 2 /* tick and sigchld */
/* Workers that begin at a time: as many as one nursery keeps busy.  More would only take the
 * processor from the master, from cameras that stream and from each other. */
#define STARTS_AT_ONCE 4

static void on_handle_closed(uv_handle_t *handle);
static void start_waiting(struct workers *ws);

/* The handles close last: they reap workers, and kill those that do not end. */
static void close_handles_when_alone(struct workers *ws)
{
    if (!ws->closing.asked || ws->closing.held != HANDLES ||
        uv_is_closing((uv_handle_t *)&ws->tick))
        return;
    uv_close((uv_handle_t *)&ws->tick, on_handle_closed);
    uv_close((uv_handle_t *)&ws->sigchld, on_handle_closed);
}

static void release(struct workers *ws)
{
    if (closing_release(&ws->closing))
        closing_finish(&ws->closing, ws);
    else
        close_handles_when_alone(ws);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* --- whether workers can be started --------------------------------------- */

__attribute__((format(printf, 2, 3))) static void cannot_start(struct workers *ws, const char *fmt,
                                                               ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(ws->why, sizeof(ws->why), fmt, ap);
    va_end(ap);
    if (ws->failing_ms == 0)
        ws->failing_ms = clock_ms();
}

static void cannot_ask(struct workers *ws, int error)
{
    if (error == -ENOTCONN)
        cannot_start(ws, "%s", nursery_link_trouble(ws->nursery));
    else
        cannot_start(ws, "cannot ask for a worker: %s", strerrordesc_np(-error));
}

const char *workers_health(const struct workers *workers)
{
    bool failing =
        workers->failing_ms != 0 && clock_ms() - workers->failing_ms >= WORKERS_PATIENCE_MS;
    return failing ? workers->why : NULL;
}

bool workers_have_nursery(const struct workers *workers)
{
    return nursery_link_is_warm(workers->nursery);
}

/* --- the table ------------------------------------------------------------ */

static void on_worker_ready(void *table)
{
    struct workers *ws = table;
    ws->failing_ms = 0;
    start_waiting(ws);
}

static void on_worker_ending(void *table, const struct worker *w)
{
    struct workers *ws = table;
    if (w->phase != IPC_PH_BOOT || w->held || ws->closing.asked)
        return;
    ws->stillborn_ms = clock_ms();
    cannot_start(ws, "workers end before they are ready; the log may say why");
}

static void on_worker_freed(void *table)
{
    release(table);
}

/* Make the memory that a worker will share with us, and leave it in the channel for it. */
static int send_memory(int channel, struct handover **handover)
{
    const struct ipc_slots message = {.version = HANDOVER_VERSION};
    int fd = -1;
    int rc = handover_new(handover, &fd);
    if (rc == 0)
        rc = ipc_send(channel, IPC_SLOTS, &message, &fd);
    fd_close(&fd);
    return rc;
}

/* Ask the nursery for the workers that wait, STARTS_AT_ONCE at a time.  If it cannot be
 * asked they go on waiting.  No owner is told here: workers_take() may not have returned yet. */
static void start_waiting(struct workers *ws)
{
    size_t starts = workers_count_starts(ws);
    struct worker *w;
    if (ws->closing.asked || !ws->begun)
        return;
    while (starts < STARTS_AT_ONCE && (w = workers_next_to_start(ws)) != NULL) {
        int rc = nursery_link_spawn(ws->nursery, w->id, &w->unforked);
        if (rc != 0) {
            cannot_ask(ws, rc);
            if (ws->refused_ms == 0)
                ws->refused_ms = clock_ms();
            return;
        }
        ws->refused_ms = 0;
        worker_asked(w);
        starts++;
    }
}

/* The server closes, or the nursery could not be asked for so long: nothing will be forked for
 * those that wait. */
static void drop_waiting(struct workers *ws)
{
    bool refused = ws->refused_ms != 0 && clock_ms() - ws->refused_ms >= WORKERS_PATIENCE_MS;
    struct worker *w;
    struct worker *next;
    if (!refused && !ws->closing.asked)
        return;
    ws->refused_ms = 0;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        if (workers_waits_for_start(w))
            worker_fail(w);
    }
}

/* One more, which starts in its turn. @return NULL if that is impossible now. */
static struct worker *spawn_worker(struct workers *ws)
{
    int ours = -1;
    int theirs = -1;
    if (ws->closing.asked)
        return NULL;
    struct handover *handover = NULL;
    int rc = nursery_link_is_open(ws->nursery) ? 0 : -ENOTCONN;
    if (rc == 0)
        rc = fd_seqpacket_pair(&ours, &theirs);
    if (rc == 0)
        rc = send_memory(ours, &handover);
    if (rc != 0) {
        cannot_ask(ws, rc);
        fd_close(&ours);
        fd_close(&theirs);
        handover_free(&handover);
        return NULL;
    }
    struct worker *w = worker_open(&ws->env, ws->next_id++, &ours, &theirs, &handover);
    LIST_INSERT_HEAD(&ws->list, w, link);
    closing_hold(&ws->closing);
    return w;
}

/* Did a worker die within this time before it was READY? */
static bool starts_failed(const struct workers *ws, int64_t within_ms)
{
    return ws->stillborn_ms != 0 && clock_ms() - ws->stillborn_ms < within_ms;
}

static size_t count_spares(const struct workers *ws)
{
    return ws->env.counts[WORKER_STARTING] + ws->env.counts[WORKER_SPARE];
}

/* After a worker failed to start, wait for the next tick instead of forking as fast as possible.
 * While no worker can be started, try one more than are there: it shows when they can. */
static void fill_spares(struct workers *ws)
{
    size_t wanted = ws->conf->server.spare_workers;
    if (starts_failed(ws, WORKERS_RESTART_MS))
        return;
    if (ws->failing_ms != 0 && wanted <= ws->env.counts[WORKER_SPARE])
        wanted = ws->env.counts[WORKER_SPARE] + 1;
    while (count_spares(ws) < wanted && spawn_worker(ws) != NULL) {
    }
    start_waiting(ws);
}

/* After a reload asked for fewer, the surplus ones end as their channels close. */
static void shed_spares(struct workers *ws)
{
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL && count_spares(ws) > ws->conf->server.spare_workers;
         w = next) {
        next = LIST_NEXT(w, link);
        if (w->state == WORKER_SPARE)
            worker_close(w);
    }
}

struct worker *workers_take(struct workers *workers, void *owner, const char *camera,
                            const struct client_key *client, bool hold)
{
    assert(owner != NULL);
    struct worker *chosen = NULL;
    struct worker *w;
    LIST_FOREACH(w, &workers->list, link)
    {
        if (hold && !workers_waits_for_start(w))
            continue;
        bool better = w->state == WORKER_SPARE || chosen == NULL || chosen->state != WORKER_SPARE;
        if (better && (w->state == WORKER_SPARE || w->state == WORKER_STARTING))
            chosen = w; /* one that is ready, or else the one whose turn comes first */
    }
    /* Better no worker than one that dies with its client. */
    if ((chosen == NULL || chosen->state == WORKER_STARTING) &&
        starts_failed(workers, INT64_C(2) * WORKERS_RESTART_MS))
        return NULL;
    if (chosen == NULL)
        chosen = spawn_worker(workers);
    if (chosen == NULL)
        return NULL;
    worker_take(chosen, owner, camera);
    worker_count_for(chosen, client);
    chosen->held = hold;
    fill_spares(workers);
    return chosen;
}

void workers_let_start(struct workers *workers, struct worker *worker)
{
    worker->held = false;
    start_waiting(workers);
}

void workers_give_up(struct worker *worker)
{
    assert(worker->held);
    worker_fail(worker);
}

size_t workers_busy(const struct workers *workers)
{
    const size_t *counts = workers->env.counts;
    return counts[WORKER_BUSY] + counts[WORKER_LEAVING] + counts[WORKER_ENDING];
}

const char *worker_failure_name(enum worker_failure failure)
{
    static const char *const names[WORKER_FAILURE_COUNT] = {
        [WORKER_FAILED_SANDBOX] = "sandbox",
        [WORKER_FAILED_KILLED] = "killed",
        [WORKER_FAILED_SIGNAL] = "signal",
        [WORKER_FAILED_STATUS] = "status",
    };
    assert(failure < WORKER_FAILURE_COUNT);
    return names[failure];
}

uint64_t workers_nursery_deaths(const struct workers *workers)
{
    return workers->nursery_deaths;
}

const uint64_t *workers_failures(const struct workers *workers)
{
    return workers->failures;
}

/* --- how they end --------------------------------------------------------- */

static void count_end(struct workers *ws, const struct worker *w, pid_t pid, int status)
{
    struct log_context about = {.camera = w->camera[0] != '\0' ? w->camera : NULL};
    enum worker_failure failure = WORKER_FAILED_STATUS;
    if (ws->closing.asked && w->killed)
        return; /* the server is closing, and killed it itself */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        failure = WORKER_FAILED_SANDBOX;
        log_errorx(&about,
                   "worker %u (pid %d) was ended by its sandbox: it tried what only an attacker "
                   "would; the kernel's log may name the system call",
                   w->id, (int)pid);
    } else if (WIFSIGNALED(status)) {
        failure = w->killed ? WORKER_FAILED_KILLED : WORKER_FAILED_SIGNAL;
        log_errorx(&about, "worker %u (pid %d) was killed by signal %d (%s)%s", w->id, (int)pid,
                   WTERMSIG(status), strsignal(WTERMSIG(status)),
                   WTERMSIG(status) == SIGKILL && !w->killed
                       ? ", by somebody else: the kernel does that when memory runs out"
                       : "");
    } else if (WEXITSTATUS(status) != 0) {
        log_errorx(&about, "worker %u (pid %d) ended with status %d", w->id, (int)pid,
                   WEXITSTATUS(status));
    } else {
        log_debug(&about, "worker %u (pid %d) has left", w->id, (int)pid);
        return;
    }
    ws->failures[failure]++;
}

static void reap_worker(struct workers *ws, struct worker *w)
{
    pid_t pid = w->pid;
    int status;
    if (waitpid(pid, &status, WNOHANG) != pid)
        return;
    worker_ended(w);
    count_end(ws, w, pid, status); /* freed later, by the loop */
}

static struct worker *find_process(const struct workers *ws, pid_t pid)
{
    struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->pid == pid)
            return w;
    }
    return NULL;
}

static bool waits_for_pid(const struct workers *ws)
{
    const struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->pid == 0 && !w->reaped && !workers_waits_for_start(w))
            return true;
    }
    return false;
}

/* Reap children left by a nursery that died halfway through a fork.  They can be told from workers
 * only when every worker's pid is known; libuv reaps the nursery itself. */
static void reap_strangers(struct workers *ws)
{
    while (!waits_for_pid(ws)) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0 ||
            info.si_pid == nursery_link_pid(ws->nursery) || info.si_pid == ws->expected)
            return;
        struct worker *w = find_process(ws, info.si_pid);
        if (w != NULL) {
            reap_worker(ws, w); /* it has ended just now */
            continue;
        }
        log_debug(NULL, "process %d, which the nursery left, has ended", (int)info.si_pid);
        (void)waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void reap(struct workers *ws)
{
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        if (w->pid > 0)
            reap_worker(ws, w);
    }
    reap_strangers(ws);
    start_waiting(ws);
    drop_waiting(ws);
}

/* --- what the nursery says ------------------------------------------------- */

static struct worker *find_worker(const struct workers *ws, uint32_t id)
{
    struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->id == id && w->pid == 0 && !w->reaped)
            return w;
    }
    return NULL;
}

static void on_spawned(void *owner, const struct ipc_spawned *m, int *log)
{
    struct workers *ws = owner;
    struct worker *w = find_worker(ws, m->worker_id);
    if (w != NULL && m->pid > 1)
        worker_announce(w, (pid_t)m->pid, log);
    reap(ws); /* it may have ended already */
}

static void on_failed(void *owner, const struct ipc_failed *m)
{
    struct workers *ws = owner;
    struct worker *w = find_worker(ws, m->worker_id);
    log_errorx(NULL, "the nursery cannot fork a worker: %s", strerrordesc_np((int)m->error));
    if (w != NULL)
        worker_fail(w);
    cannot_start(ws, "the nursery cannot fork a worker: %s", strerrordesc_np((int)m->error));
}

/* Its workers go on, except those whose pid it never announced: it may not have forked them.  Those
 * that it was never asked for wait for the next one. */
static void on_nursery_died(void *owner)
{
    struct workers *ws = owner;
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        if (w->pid == 0 && !w->reaped && !workers_waits_for_start(w))
            worker_fail(w);
    }
    ws->nursery_deaths++;
    cannot_start(ws, "%s", nursery_link_trouble(ws->nursery));
    reap(ws);
}

static void on_nursery_closed(void *owner)
{
    struct workers *ws = owner;
    ws->nursery = NULL;
    release(ws);
}

static const struct nursery_link_events nursery_events = {on_spawned, on_failed, on_nursery_died,
                                                          on_nursery_closed};

/* --- once a second, and at SIGCHLD ---------------------------------------- */

/* @return true: the nursery has left a request for a worker unanswered for too long. */
static bool nursery_is_overdue(const struct workers *ws, int64_t now_ms)
{
    const struct worker *w;
    if (!nursery_link_is_warm(ws->nursery) ||
        now_ms - nursery_link_warm_ms(ws->nursery) <= WORKERS_ANNOUNCE_MS)
        return false; /* what it was asked for while it was warming up comes now */
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->pid == 0 && !w->reaped && !workers_waits_for_start(w) &&
            now_ms - w->asked.at_ms > WORKERS_ANNOUNCE_MS)
            return true;
    }
    return false;
}

/* Time that the nursery waits for a processor does not count against it. */
static void excuse_nursery(struct workers *ws)
{
    struct worker *w;
    int64_t ms = process_more_waited_ms(nursery_link_pid(ws->nursery), &ws->nursery_waited_ms);
    LIST_FOREACH(w, &ws->list, link)
    {
        if (w->pid == 0)
            worker_excuse(w, ms);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct workers *ws = timer->data;
    int64_t now_ms = clock_ms();
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        worker_check(w, now_ms);
    }
    if (ws->nursery != NULL) {
        nursery_link_tick(ws->nursery);
        excuse_nursery(ws);
    }
    if (nursery_is_overdue(ws, now_ms)) {
        log_errorx(NULL, "the nursery does not answer: it is killed");
        nursery_link_replace(ws->nursery);
    }
    fill_spares(ws);
    shed_spares(ws);
    reap(ws);
}

static void on_sigchld(uv_signal_t *handle, int signum)
{
    (void)signum;
    reap(handle->data);
}

/* --- life ----------------------------------------------------------------- */

static void start_handles(struct workers *ws, uv_loop_t *loop)
{
    (void)uv_timer_init(loop, &ws->tick);
    (void)uv_signal_init(loop, &ws->sigchld);
    ws->tick.data = ws->sigchld.data = ws;
    (void)uv_timer_start(&ws->tick, on_tick, TICK_MS, TICK_MS);
    (void)uv_signal_start(&ws->sigchld, on_sigchld, SIGCHLD);
    for (int i = 0; i < HANDLES; i++)
        closing_hold(&ws->closing);
}

int workers_open(uv_loop_t *loop, const struct conf *conf, const struct worker_events *events,
                 struct workers **out)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
        return -errno; /* workers would not become our children */
    struct workers *ws = xcalloc(1, sizeof(*ws));
    ws->conf = conf;
    ws->env = (struct worker_env){.loop = loop,
                                  .events = events,
                                  .on_ready = on_worker_ready,
                                  .on_ending = on_worker_ending,
                                  .on_freed = on_worker_freed,
                                  .table = ws};
    ws->next_id = 1;
    LIST_INIT(&ws->list);
    start_handles(ws, loop);
    closing_hold(&ws->closing); /* the nursery */
    int rc = nursery_link_open(loop, conf, &nursery_events, ws, &ws->nursery);
    if (rc != 0) {
        workers_close(ws, NULL, NULL);
        return rc;
    }
    fill_spares(ws);
    *out = ws;
    return 0;
}

void workers_begin(struct workers *workers)
{
    workers->begun = true;
    start_waiting(workers);
}

/* Workers with a camera have had their time; spare ones end when their channels close. */
static void end_workers(struct workers *ws)
{
    struct worker *w;
    struct worker *next;
    for (w = LIST_FIRST(&ws->list); w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        if (w->state == WORKER_BUSY || w->state == WORKER_LEAVING)
            worker_kill(w, "has not ended in time");
        else
            worker_close(w);
    }
}

void workers_close(struct workers *workers, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&workers->closing, closed, ctx);
    end_workers(workers);
    nursery_link_close(workers->nursery);
}
