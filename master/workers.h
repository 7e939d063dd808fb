/*
 * The workers, as the master sees them: start, spare ones, channels, silence, end.
 * Master, loop thread.  Knows nothing about cameras: camera_table.c decides what a worker is for.
 *
 * Deadlines: a worker reports once a second; one that has said nothing for WORKERS_SILENCE_MS is
 * killed.  When the nursery dies (nursery_link.h), its workers go on and become the master's own
 * children (PR_SET_CHILD_SUBREAPER).  A nursery that does not kill a worker when told to is killed
 * itself.
 */
#ifndef MASTER_WORKERS_H
#define MASTER_WORKERS_H

#include "common/ipc.h"
#include "master/conf.h"

#include <uv.h>

#define WORKERS_SILENCE_MS 10000
#define WORKERS_RESTART_MS 1000 /* after one that died before it was READY */

struct workers;
struct worker;

/* How workers end that were not asked to. */
enum worker_failure {
    WORKER_FAILED_SANDBOX, /* it tried what only somebody else's code would (sandbox_seccomp.h) */
    WORKER_FAILED_SIGNAL,  /* crashed, or killed because it was silent */
    WORKER_FAILED_STATUS,  /* gave up */
    WORKER_FAILURE_COUNT
};

struct workers_events {
    /* From a worker that was taken; owner is what worker_set_owner() said. */
    void (*on_state)(void *owner, const struct ipc_state *state);
    void (*on_stats)(void *owner, const struct ipc_stats *stats);
    void (*on_idle)(void *owner, const struct ipc_idle *idle);
    /* The worker has ended without having been told to; it is freed when this returns. */
    void (*on_gone)(void *owner);
};

/**
 * Start the nursery and the spare workers.
 *
 * @param conf    Borrowed; log and spare settings are read when a process is started.
 * @param events  Borrowed.
 * @param out     Caller owns; workers_close().
 * @return 0 or negative errno: the nursery's program cannot be started.
 */
int workers_open(uv_loop_t *loop, const struct conf *conf, const struct workers_events *events,
                 struct workers **out);

/** All workers have been told to drain: kill what is left, end the nursery, free. */
void workers_close(struct workers *workers, void (*closed)(void *ctx), void *ctx);

/** How many worker processes have a camera, or are on their way out. */
size_t workers_busy(const struct workers *workers);

/** @return how many have ended like that, ever.  Borrowed, WORKER_FAILURE_COUNT of them. */
const uint64_t *workers_failures(const struct workers *workers);

/**
 * A worker that has no camera yet: a spare one, or one that is only being forked.
 *
 * @param owner  passed to the events.
 * @return NULL when none can be had: nursery gone, no descriptors, or the last ones died before
 *         they were READY.  The worker belongs to the table; the pointer is valid until
 *         on_gone().
 */
struct worker *workers_take(struct workers *workers, void *owner);

/** Send a message; it may wait in the worker's outbox. @return as outbox_send(). */
int worker_send(struct worker *worker, enum ipc_type type, const void *payload, int *fd);

/** It was told to end and is nobody's from now on: no event comes, w is not to be used again. */
void worker_release(struct worker *worker);

/** The worker's process, 0 while it is not known. */
pid_t worker_pid(const struct worker *worker);

#endif /* MASTER_WORKERS_H */
