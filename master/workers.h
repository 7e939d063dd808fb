/*
 * The workers: which there are, spare ones ahead of need, and how they end.  Master, loop thread.
 * Knows nothing about cameras: camera_table.c decides what a worker is for.  worker_link.h has what
 * a worker is held to.
 *
 * The nursery (nursery_link.h) forks them, but they are the master's own children: whatever becomes
 * of the nursery, the master kills and reaps them, and they do not outlive it
 * (PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG).
 */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include "master/conf.h"
#include "master/worker_link.h"

#include <uv.h>

#define WORKERS_RESTART_MS 1000   /* after one that died before it was READY */
#define WORKERS_PATIENCE_MS 3000  /* without any that starts, before workers_health() says so */
#define WORKERS_ANNOUNCE_MS 10000 /* from asking the nursery to its answer; then it is replaced */

struct workers;

/* How workers end that were not asked to. */
enum worker_failure {
    WORKER_FAILED_SANDBOX, /* it tried what only somebody else's code would (sandbox_seccomp.h) */
    WORKER_FAILED_SIGNAL,  /* crashed, or killed because it missed a deadline */
    WORKER_FAILED_STATUS,  /* gave up */
    WORKER_FAILURE_COUNT
};

/**
 * Start the nursery and the spare workers.
 *
 * @param conf    Borrowed; log and spare settings are read when a process is started.
 * @param events  Borrowed.
 * @param out     Caller owns; workers_close().
 * @return 0 or negative errno: the nursery's program cannot be started.
 */
int workers_open(uv_loop_t *loop, const struct conf *conf, const struct worker_events *events,
                 struct workers **out);

/** All workers have been told to drain: kill what is left, end the nursery, free; then closed(). */
void workers_close(struct workers *workers, void (*closed)(void *ctx), void *ctx);

/** How many worker processes have a camera, or are on their way out. */
size_t workers_busy(const struct workers *workers);

/** @return its word in metrics. */
const char *worker_failure_name(enum worker_failure failure);

/** @return how many have ended like that, ever.  Borrowed, WORKER_FAILURE_COUNT of them. */
const uint64_t *workers_failures(const struct workers *workers);

/** Does the nursery run, warm? */
bool workers_have_nursery(const struct workers *workers);

/** @return why no worker has been startable for WORKERS_PATIENCE_MS; NULL: they are.  Borrowed. */
const char *workers_health(const struct workers *workers);

/**
 * A worker that has no camera yet: a spare one, or one that is only being forked.
 *
 * @param owner   passed to the events.
 * @param camera  name or stream ID, for the log.  Copied.
 * @return NULL when none can be had: nursery gone, no descriptors, or the last ones died before
 *         they were READY.  The worker belongs to the table; the pointer is valid until
 *         on_gone() or worker_release().
 */
struct worker *workers_take(struct workers *workers, void *owner, const char *camera);

#endif /* MASTER_WORKERS_H */
