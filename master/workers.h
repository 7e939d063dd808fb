/*
 * All workers: keeps the table of them, forks spare ones ahead of need, reaps those that end.
 * Master, loop thread.  Knows nothing about cameras: camera_table.c decides what a worker is for.
 * worker_link.h lists the limits for a worker.
 *
 * The nursery (nursery_link.h) forks them, but they are the master's own children: whatever becomes
 * of the nursery, the master kills and reaps them, and they do not outlive the master
 * (PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG).
 */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include "master/conf.h"
#include "master/takeover.h"
#include "master/worker_link.h"

#include <uv.h>

#define WORKERS_RESTART_MS 1000 /* pause after a worker that died before it was READY */
#define WORKERS_PATIENCE_MS                                                                       \
    3000                          /* how long starts may fail before workers_health() reports it, \
                                   * and before workers that wait for theirs are given up */
#define WORKERS_ANNOUNCE_MS 10000 /* time for the nursery to answer; then it is replaced */

struct workers;

/* How a worker can end without being asked to. */
enum worker_failure {
    WORKER_FAILED_SANDBOX, /* it tried what only an attacker's code would (sandbox_seccomp.h) */
    WORKER_FAILED_KILLED,  /* by us: it missed a deadline or broke a rule (worker_link.h) */
    WORKER_FAILED_SIGNAL,  /* crashed, or killed by others */
    WORKER_FAILED_STATUS,  /* exited with an error */
    WORKER_FAILURE_COUNT
};

/**
 * Start the nursery.
 *
 * @param conf    Borrowed; log and spare settings are read when a process is started.
 * @param events  Borrowed.
 * @param out     Caller owns; workers_close().
 * @return 0 or negative errno: the nursery's program cannot be started.
 */
int workers_open(uv_loop_t *loop, const struct conf *conf, const struct worker_events *events,
                 struct workers **out);

/** No worker is forked before this. */
void workers_begin(struct workers *workers);

/** Call it after a drain: kill the remaining workers, end the nursery, free, then call closed(). */
void workers_close(struct workers *workers, void (*closed)(void *ctx), void *ctx);

/** How many worker processes have a camera or are ending. */
size_t workers_busy(const struct workers *workers);

/* What clients hold of the workers. */
struct workers_held {
    size_t busy;      /* as workers_busy() */
    size_t requested; /* those that serve a camera because clients requested it */
    size_t own;       /* those of one client */
    size_t leaving;   /* of that client, told to end and still there */
};

/** Count them, for this client. */
struct workers_held workers_held_by(const struct workers *workers, const struct client_key *client);

/** @return its name in metrics. */
const char *worker_failure_name(enum worker_failure failure);

/** @return a count for each of the WORKER_FAILURE_COUNT failures since the start.  Borrowed. */
const uint64_t *workers_failures(const struct workers *workers);

/** @return how many nurseries have ended. */
uint64_t workers_nursery_deaths(const struct workers *workers);

/** Does the nursery run, and is it warm? */
bool workers_have_nursery(const struct workers *workers);

/** @return why no worker has started for WORKERS_PATIENCE_MS; NULL: workers start.  Borrowed. */
const char *workers_health(const struct workers *workers);

/** This child is libuv's, not a stranger to be reaped; 0: there is none. */
void workers_expect_child(struct workers *workers, pid_t pid);

/** Could another program take all workers with a camera as they are? */
bool workers_are_settled(const struct workers *workers);

/**
 * Take in a TAKEOVER_WORKER, which serves the owner from now on.
 * @return NULL: it could not be taken, and is killed.
 */
struct worker *workers_restore(struct workers *workers, const struct takeover_record *record,
                               struct takeover *takeover, void *owner, const char *camera);

/* What a worker that ended with the last master left to its clients' next one. */
struct worker_remains {
    bool there;             /* false: its clients have no worker */
    struct handover *slots; /* NULL: nothing that can be believed */
};

/**
 * For the program after this one: the memory of a BUSY worker that will end with this one.
 * @return false: it is about to end.
 */
bool worker_save_remains(const struct worker *w, struct takeover_writer *writer);

/**
 * Take in a TAKEOVER_REMAINS.  Waits until the worker's process has ended, at the latest until
 * by_ms (clock_ms()).  @param remains  Caller owns; worker_remains_clear().
 */
void worker_restore_remains(const struct takeover_record *record, struct takeover *takeover,
                            int64_t by_ms, struct worker_remains *remains);

void worker_remains_clear(struct worker_remains *remains);

/** Tell the program that takes this one's place which children it has to end: those without a
 * camera, but for workers whose process is not known yet, which end when their channels close. */
void workers_save(const struct workers *workers, struct takeover_writer *w);

/**
 * Take a worker that has no camera yet: a spare one, or one that is still being forked.  No event
 * comes before this returns, also when the nursery has just died: it waits for the next one.
 *
 * @param owner   passed to the events.
 * @param camera  name or stream ID, for the log.  Copied.
 * @param client  for whom it counts, and in whose turn it starts; NULL: the configuration wants it.
 * @param hold    it is not forked before workers_let_start(): what it is sent waits.
 * @return NULL when none is available: no nursery, no descriptors, or the last ones died before
 *         they were READY.  The worker belongs to the table; the pointer is valid until on_gone()
 *         or worker_release().
 */
struct worker *workers_take(struct workers *workers, void *owner, const char *camera,
                            const struct client_key *client, bool hold);

/** A worker that is held has its turn now. */
void workers_let_start(struct workers *workers, struct worker *worker);

/** A worker that is held will not start: its owner's on_gone() is called, unless it was released.
 */
void workers_give_up(struct worker *worker);

#endif /* MASTER_WORKERS_H */
