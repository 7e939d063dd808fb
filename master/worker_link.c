#include "master/worker_link.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/process_info.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Messages read in one turn: a worker that never stops sending must not starve the others. */
#define MESSAGES_AT_ONCE 64
/* How long a worker that makes way may go on with writes that have begun. */
#define WORKER_YIELD_MS 1000

static const bool may_become[WORKER_STATE_COUNT][WORKER_STATE_COUNT] = {
    [WORKER_STARTING] = {[WORKER_SPARE] = true, [WORKER_BUSY] = true, [WORKER_ENDING] = true},
    [WORKER_SPARE] = {[WORKER_BUSY] = true, [WORKER_ENDING] = true},
    [WORKER_BUSY] = {[WORKER_LEAVING] = true, [WORKER_ENDING] = true},
    [WORKER_LEAVING] = {[WORKER_ENDING] = true},
};

static void set_state(struct worker *w, enum worker_state state)
{
    assert(may_become[w->state][state]);
    w->env->counts[w->state]--;
    w->env->counts[state]++;
    w->state = state;
}

static void set_time(struct worker_time *time, int64_t at_ms)
{
    *time = (struct worker_time){.at_ms = at_ms};
}

/* --- its end -------------------------------------------------------------- */

static void release(struct worker *w)
{
    struct worker_env *env = w->env;
    if (!closing_release(&w->closing))
        return;
    fd_close(&w->unforked);
    handover_free(&w->handover);
    LIST_REMOVE(w, link);
    env->counts[w->state]--;
    closing_finish(&w->closing, w);
}

static void on_poll_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_log_closed(void *ctx)
{
    release(ctx);
}

void worker_close(struct worker *w)
{
    if (w->state == WORKER_ENDING)
        return;
    set_state(w, WORKER_ENDING);
    set_time(&w->end_by, clock_ms() + WORKER_END_MS);
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
    (void)shutdown(w->channel, SHUT_WR); /* a parcel may hold it open (workers_takeover.c) */
    fd_close(&w->channel);
    outbox_clear(&w->outbox);
    (void)closing_ask(&w->closing, w->env->on_freed, w->env->table);
    w->env->on_ending(w->env->table, w);
}

static void tell_owner(struct worker *w)
{
    void *owner = w->owner;
    w->owner = NULL;
    if (owner != NULL)
        w->env->events->on_gone(owner);
}

void worker_kill(struct worker *w, const char *why)
{
    if (w->killed)
        return;
    log_errorx(NULL, "worker %u (pid %d) %s: it is killed", w->id, (int)w->pid, why);
    w->killed = true;
    if (w->pid > 0)
        (void)kill(w->pid, SIGKILL); /* not reaped yet, so the pid cannot be reused */
    worker_close(w);
}

/* Whoever breaks the rules of the channel may have broken its slots, too. */
static void kill_liar(struct worker *w, const char *why)
{
    handover_free(&w->handover);
    worker_kill(w, why);
}

void worker_ended(struct worker *w)
{
    w->pid = 0;
    w->reaped = true;
    worker_close(w);
    tell_owner(w);
    if (w->log != NULL) {
        struct log_source *log = w->log;
        w->log = NULL;
        log_source_close(log, on_log_closed, w);
    }
    release(w);
}

void worker_fail(struct worker *w)
{
    assert(w->pid == 0);
    worker_ended(w);
}

/* --- its descriptors ------------------------------------------------------ */

/* Clients that are refused keep theirs for a second after they have left: so two for each. */
static void raise_limit(const struct worker *w)
{
    struct rlimit limit;
    if (w->pid <= 0 || w->files == IPC_WORKER_FILES ||
        prlimit(w->pid, RLIMIT_NOFILE, NULL, &limit) == -1)
        return;
    limit.rlim_cur = w->files < limit.rlim_max ? w->files : limit.rlim_max;
    (void)prlimit(w->pid, RLIMIT_NOFILE, &limit, NULL);
}

void worker_expect_clients(struct worker *worker, size_t count)
{
    if (IPC_WORKER_FILES / 2 + 2 * count <= worker->files)
        return;
    worker->files = IPC_WORKER_FILES + 2 * count; /* some more, so that it is not each time */
    raise_limit(worker);
}

/* --- what it says --------------------------------------------------------- */

#define X(U, l, type, fds, ph) static int on_##l(struct worker *w, const type *m, int *fd);
IPC_FROM_WORKER(X)
#undef X

static int on_ready(struct worker *w, const struct ipc_ready *m, int *fd)
{
    (void)fd;
    if (m->version != IPC_VERSION) {
        log_errorx(NULL,
                   "worker speaks version %u of the messages, not %u: is its program of the same "
                   "release?",
                   m->version, IPC_VERSION);
        return -EPROTO;
    }
    set_time(&w->heard, clock_ms());
    raise_limit(w);        /* it has lowered it in the meantime */
    w->phase = IPC_PH_RUN; /* the nursery reports its pid; a worker's own claim is not believed */
    if (w->state == WORKER_STARTING)
        set_state(w, WORKER_SPARE);
    w->env->on_ready(w->env->table);
    return 0;
}

static int on_state(struct worker *w, const struct ipc_state *m, int *fd)
{
    (void)fd;
    if (m->state >= IPC_CAMERA_STATE_COUNT || m->error >= HTTP_ERROR_COUNT)
        return -EPROTO;
    if (w->owner != NULL)
        w->env->events->on_state(w->owner, m);
    return 0;
}

/* An honest worker leaves them out when a thread of it hangs, and only then. */
static int on_stats(struct worker *w, const struct ipc_stats *m, int *fd)
{
    (void)fd;
    set_time(&w->heard, clock_ms());
    if (w->owner != NULL)
        w->env->events->on_stats(w->owner, m);
    return 0;
}

static int on_idle(struct worker *w, const struct ipc_idle *m, int *fd)
{
    (void)fd;
    if (w->owner != NULL)
        w->env->events->on_idle(w->owner, m);
    return 0;
}

static int on_left(struct worker *w, const struct ipc_left *m, int *fd)
{
    (void)fd;
    if (m->count > IPC_LEFT_MAX)
        return -EPROTO;
    if (w->owner == NULL)
        return 0;
    if (!w->env->events->on_left(w->owner, m))
        return -EPROTO;
    w->messages -= m->count > 0;
    return 0;
}

static int on_return(struct worker *w, const struct ipc_return *m, int *fd)
{
    if (m->len > sizeof(m->bytes))
        return -EPROTO;
    if (w->owner == NULL)
        return 0;
    if (!w->env->events->on_return(w->owner, m, fd))
        return -EPROTO;
    w->messages--;
    return 0;
}

static int dispatch(struct worker *w, struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph) \
    case IPC_##U:              \
        return on_##l(w, (const type *)(const void *)msg->payload, &msg->fd);
        IPC_FROM_WORKER(X)
#undef X
    default:
        return -EPROTO; /* a message that goes the other way */
    }
}

static void on_channel(uv_poll_t *handle, int status, int events);

static void poll_channel(struct worker *w)
{
    int events = UV_READABLE | (outbox_is_empty(&w->outbox) ? 0 : UV_WRITABLE);
    (void)uv_poll_start(&w->poll, events, on_channel);
}

/* Nobody will read what is sent: it has ended, which its end of the channel says, too, or it only
 * reads no more. */
static void note_shut(struct worker *w)
{
    if (w->shut.at_ms == 0)
        set_time(&w->shut, clock_ms());
    outbox_clear(&w->outbox);
    poll_channel(w);
}

static void flush_outbox(struct worker *w)
{
    size_t before = w->outbox.count;
    int rc = outbox_flush(&w->outbox, w->channel);
    if (w->outbox.count < before)
        set_time(&w->read, clock_ms());
    if (rc == 0)
        poll_channel(w);
    else if (rc == -EPIPE)
        note_shut(w); /* reading reports other faults, too */
}

/* @return as ipc_recv(); 1: there may be more. */
static int receive(struct worker *w)
{
    struct ipc_msg msg;
    int rc = 1;
    for (int n = 0; n < MESSAGES_AT_ONCE && rc == 1 && w->state != WORKER_ENDING; n++) {
        rc = ipc_recv(w->channel, w->phase, &msg);
        if (rc != 1)
            break;
        w->messages++;
        rc = dispatch(w, &msg) == 0 ? 1 : -EPROTO;
        ipc_msg_free(&msg);
    }
    return rc;
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
    struct worker *w = handle->data;
    if (status == 0 && (events & UV_WRITABLE) != 0)
        flush_outbox(w);
    int rc = receive(w);
    if (rc == -ECONNRESET) /* it closed with messages unread; what it sent before is still there */
        rc = receive(w);
    if (status < 0 && rc == -EAGAIN)
        rc = 0;
    if (rc == -EPROTO)
        kill_liar(w, "broke the protocol of its channel");
    else if (w->messages > WORKER_MESSAGES_MAX)
        kill_liar(w, "sends messages without end");
    else if (rc == 0 || (rc < 0 && rc != -EAGAIN && rc != -EMFILE))
        worker_close(w);
}

/* --- what it must do in time ---------------------------------------------- */

/* SIOCOUTQ counts what the peer has not read, whatever the peer claims. */
static void look_whether_it_reads(struct worker *w, int64_t now_ms)
{
    int unread = 0;
    if (ioctl(w->channel, SIOCOUTQ, &unread) == -1)
        unread = 0;
    if ((unread == 0 && outbox_is_empty(&w->outbox)) || unread < w->unread)
        set_time(&w->read, now_ms);
    w->unread = unread;
}

static void excuse(struct worker_time *time, int64_t ms)
{
    int64_t left_ms = WORKER_EXCUSED_MAX_MS - time->excused_ms;
    if (ms > left_ms)
        ms = left_ms;
    time->at_ms += ms;
    time->excused_ms += ms;
}

void worker_excuse(struct worker *w, int64_t ms)
{
    if (ms <= 0)
        return;
    excuse(&w->asked, ms);
    excuse(&w->heard, ms);
    excuse(&w->read, ms);
    if (w->shut.at_ms != 0)
        excuse(&w->shut, ms);
    if (w->end_by.at_ms != 0)
        excuse(&w->end_by, ms);
}

/* @return what it did that no worker of ours does, even when it hangs; NULL: nothing. */
static const char *find_lie(const struct worker *w, int64_t now_ms)
{
    if (w->state == WORKER_ENDING)
        return now_ms > w->end_by.at_ms ? "closed its channel and did not end" : NULL;
    if (w->state == WORKER_LEAVING && now_ms > w->end_by.at_ms)
        return "did not leave when told to";
    if (w->shut.at_ms != 0 && now_ms - w->shut.at_ms > WORKER_END_MS)
        return "reads no more messages and did not end";
    if (now_ms - w->read.at_ms > WORKER_SILENCE_MS &&
        now_ms - w->heard.at_ms < WORKER_SILENCE_MS / 2)
        return "has read none of its messages for 10 s";
    if (process_threads(w->pid) > WORKER_THREADS_MAX)
        return "started more threads than any camera needs";
    return NULL;
}

void worker_check(struct worker *w, int64_t now_ms)
{
    if (w->log != NULL)
        log_source_tick(w->log);
    w->messages = 0;
    if (w->killed && now_ms > w->end_by.at_ms && w->owner != NULL) {
        handover_free(&w->handover); /* the kernel keeps it, and it may still write */
        tell_owner(w);
    }
    if (w->killed || w->pid == 0)
        return; /* the nursery has a deadline of its own to announce it */
    if (w->state != WORKER_ENDING)
        look_whether_it_reads(w, now_ms);
    worker_excuse(w, process_more_waited_ms(w->pid, &w->waited_ms));
    const char *lie = find_lie(w, now_ms);
    if (lie != NULL)
        kill_liar(w, lie);
    else if (w->state == WORKER_BUSY && w->end_by.at_ms != 0 && now_ms > w->end_by.at_ms)
        worker_kill(w, "did not make way when told to");
    else if (w->state != WORKER_ENDING && now_ms - w->heard.at_ms > WORKER_SILENCE_MS)
        worker_kill(w, "has been silent for 10 s");
}

/* --- what it is told ------------------------------------------------------ */

int worker_send(struct worker *worker, enum ipc_type type, const void *payload, int *fd)
{
    if (worker->state == WORKER_ENDING) { /* nobody will read it */
        if (fd != NULL)
            fd_close(fd);
        return 0;
    }
    bool waited = !outbox_is_empty(&worker->outbox);
    int rc = outbox_send(&worker->outbox, worker->channel, type, payload, fd);
    if (!waited && !outbox_is_empty(&worker->outbox))
        poll_channel(worker);
    if (rc == -EPIPE)
        note_shut(worker);
    return rc;
}

int worker_yield(struct worker *worker)
{
    const struct ipc_yield yield = {.grace_ms = WORKER_YIELD_MS};
    int rc = worker_send(worker, IPC_YIELD, &yield, NULL);
    if (rc == 0 && worker->state == WORKER_BUSY)
        set_time(&worker->end_by, clock_ms() + WORKER_END_MS);
    return rc;
}

void worker_take(struct worker *w, void *owner, const char *camera)
{
    set_state(w, WORKER_BUSY);
    w->owner = owner;
    (void)snprintf(w->camera, sizeof(w->camera), "%s", camera);
    if (w->log != NULL)
        log_source_set_camera(w->log, camera);
}

void worker_release(struct worker *worker)
{
    worker->owner = NULL;
    if (worker->state == WORKER_ENDING)
        return;
    set_state(worker, WORKER_LEAVING);
    set_time(&worker->end_by, clock_ms() + WORKER_END_MS);
}

struct handover_slot *worker_slot(struct worker *worker, uint32_t ticket)
{
    return handover_slot(worker->handover, ticket);
}

void worker_count_for(struct worker *worker, const struct client_key *client)
{
    worker->requested = client != NULL;
    worker->client = client != NULL ? *client : (struct client_key){0};
}

pid_t worker_pid(const struct worker *worker)
{
    return worker->pid;
}

/* --- its beginning -------------------------------------------------------- */

void worker_announce(struct worker *w, pid_t pid, int *log)
{
    w->pid = pid;
    if (w->end_by.at_ms != 0) /* it could not end before it had begun */
        set_time(&w->end_by, clock_ms() + WORKER_END_MS);
    w->log = log_source_open(w->env->loop, log, "worker", pid);
    log_source_set_camera(w->log, w->camera);
    raise_limit(w);
    closing_hold(&w->closing);
    if (w->killed)
        (void)kill(pid, SIGKILL);
}

void worker_asked(struct worker *w)
{
    set_time(&w->asked, clock_ms());
    w->heard = w->read = w->asked;
}

struct worker *worker_open(struct worker_env *env, uint32_t id, int *channel, int *theirs,
                           struct handover **handover)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    w->env = env;
    w->id = id;
    w->channel = fd_take(channel);
    w->unforked = fd_take(theirs);
    w->handover = *handover;
    *handover = NULL;
    w->phase = IPC_PH_BOOT;
    w->files = IPC_WORKER_FILES;
    worker_asked(w);
    if (uv_poll_init(env->loop, &w->poll, w->channel) != 0)
        abort(); /* a fresh socket: this fails only by our own mistake */
    w->poll.data = w;
    outbox_init(&w->outbox);
    closing_hold(&w->closing); /* the channel */
    closing_hold(&w->closing); /* the process, or the news that there is none */
    env->counts[WORKER_STARTING]++;
    poll_channel(w);
    return w;
}

/* --- from one program to the next ------------------------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
struct worker_record {
    int32_t pid;
    int32_t channel;
    int32_t memory;
    int32_t log;
    uint32_t id;
    uint32_t ipc_version;
    uint32_t handover_version;
    uint32_t reserved;
};
#pragma GCC diagnostic pop

bool worker_is_settled(const struct worker *w)
{
    if (w->state != WORKER_BUSY)
        return w->state == WORKER_SPARE || w->state == WORKER_STARTING;
    return w->phase == IPC_PH_RUN && w->pid > 0 && w->log != NULL && w->handover != NULL &&
           w->end_by.at_ms == 0 && outbox_is_empty(&w->outbox);
}

void worker_save(const struct worker *w, struct takeover_writer *writer)
{
    const struct worker_record r = {
        .pid = w->pid,
        .channel = takeover_pass(writer, w->channel),
        .memory = takeover_pass(writer, handover_descriptor(w->handover)),
        .log = takeover_pass(writer, log_source_descriptor(w->log)),
        .id = w->id,
        .ipc_version = IPC_VERSION,
        .handover_version = HANDOVER_VERSION,
    };
    takeover_put(writer, TAKEOVER_WORKER, &r, sizeof(r), NULL, 0);
}

struct worker *worker_restore(struct worker_env *env, const struct takeover_record *record,
                              struct takeover *takeover)
{
    struct worker_record r;
    struct handover *handover = NULL;
    struct worker *w = NULL;
    takeover_get(record, &r, sizeof(r));
    int channel = takeover_claim(takeover, r.channel);
    int memory = takeover_claim(takeover, r.memory);
    int log = takeover_claim(takeover, r.log);
    bool known = r.ipc_version == IPC_VERSION && r.handover_version == HANDOVER_VERSION;
    if (known && r.pid > 1 && channel != -1 && log != -1 && memory != -1 &&
        handover_adopt(&memory, &handover) == 0) {
        int theirs = -1; /* it has it */
        w = worker_open(env, r.id, &channel, &theirs, &handover);
        w->phase = IPC_PH_RUN;
        worker_announce(w, r.pid, &log);
    } else if (r.pid > 1) {
        (void)kill(r.pid, SIGKILL); /* our child, not reaped yet */
    }
    fd_close(&channel);
    fd_close(&memory);
    fd_close(&log);
    return w;
}
