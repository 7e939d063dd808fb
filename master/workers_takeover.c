/* Workers while another program takes this one's place (takeover.h).  Master, loop thread. */
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/workers_private.h"

#include <errno.h>
#include <poll.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* A worker that ends with this program. */
struct remains_record {
    int32_t memory;
    int32_t life; /* hangs up when it has ended: see sign_of_life() */
    int32_t pid;  /* for the log alone: it may be another process by then */
    uint32_t handover_version;
};
#pragma GCC diagnostic pop

void workers_expect_child(struct workers *workers, pid_t pid)
{
    workers->expected = pid;
}

bool workers_are_settled(const struct workers *workers)
{
    const struct worker *w;
    LIST_FOREACH(w, &workers->list, link)
    {
        if (!worker_is_settled(w))
            return false;
    }
    return true;
}

struct worker *workers_restore(struct workers *workers, const struct takeover_record *record,
                               struct takeover *takeover, void *owner, const char *camera)
{
    struct worker *w = worker_restore(&workers->env, record, takeover);
    if (w == NULL)
        return NULL;
    LIST_INSERT_HEAD(&workers->list, w, link);
    closing_hold(&workers->closing);
    if (workers->next_id <= w->id)
        workers->next_id = w->id + 1;
    worker_take(w, owner, camera);
    return w;
}

static void save_process(struct takeover_writer *w, pid_t pid)
{
    const struct takeover_process process = {.pid = pid};
    if (pid > 1)
        takeover_put(w, TAKEOVER_PROCESS, &process, sizeof(process), NULL, 0);
}

void workers_save(const struct workers *workers, struct takeover_writer *w)
{
    const struct worker *worker;
    LIST_FOREACH(worker, &workers->list, link)
    {
        if (worker->state != WORKER_BUSY)
            save_process(w, worker->pid);
    }
    save_process(w, nursery_link_pid(workers->nursery));
}

/* --- workers that end with their master ----------------------------------------- */

/* The read end of its stderr, which nobody else writes to.  Until it is announced, the channel: its
 * other end is ours, under way in the nursery's, or a process's that ends with this one, for a
 * nursery forks nothing for a master that has ended.  @return -1: it is about to end. */
static int sign_of_life(const struct worker *w)
{
    return w->log != NULL ? log_source_descriptor(w->log) : w->channel;
}

bool worker_save_remains(const struct worker *w, struct takeover_writer *writer)
{
    int life = sign_of_life(w);
    if (life == -1 || w->handover == NULL)
        return false;
    const struct remains_record r = {
        .memory = takeover_pass_last(writer, handover_descriptor(w->handover)),
        .life = takeover_pass_last(writer, life),
        .pid = w->pid,
        .handover_version = HANDOVER_VERSION,
    };
    takeover_put(writer, TAKEOVER_REMAINS, &r, sizeof(r), NULL, 0);
    return true;
}

/* The kernel kills workers with their master, but not in the same instant. */
static bool has_ended(int life, int64_t by_ms)
{
    struct pollfd polled = {.fd = life};
    int rc;
    do {
        int64_t left_ms = by_ms - clock_ms();
        rc = poll(&polled, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (rc == -1 && errno == EINTR);
    return rc == 1 && (polled.revents & POLLHUP) != 0;
}

void worker_restore_remains(const struct takeover_record *record, struct takeover *takeover,
                            int64_t by_ms, struct worker_remains *remains)
{
    struct remains_record r;
    worker_remains_clear(remains);
    remains->there = true;
    takeover_get(record, &r, sizeof(r));
    int memory = takeover_claim(takeover, r.memory);
    int life = takeover_claim(takeover, r.life);
    if (life != -1 && !has_ended(life, by_ms))
        log_errorx(NULL,
                   "worker (pid %d) of the last master still runs: its clients are "
                   "disconnected",
                   (int)r.pid);
    else if (life != -1 && memory != -1 && r.handover_version == HANDOVER_VERSION)
        (void)handover_adopt(&memory, &remains->slots);
    fd_close(&memory);
    fd_close(&life);
}

void worker_remains_clear(struct worker_remains *remains)
{
    handover_free(&remains->slots);
    remains->there = false;
}
