/* What workers.c, workers_schedule.c and workers_takeover.c share.  Master, loop thread. */
#ifndef MASTER_WORKERS_PRIVATE_H
#define MASTER_WORKERS_PRIVATE_H

#include "common/closing.h"
#include "master/nursery_link.h"
#include "master/workers.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#define WHY_MAX 160

LIST_HEAD(worker_list, worker);

struct workers {
    const struct conf *conf;
    struct worker_env env;
    struct nursery_link *nursery;
    int64_t nursery_waited_ms; /* for a processor, at the last tick */
    struct worker_list list;
    int64_t stillborn_ms; /* when a worker last died before READY; 0: never */
    int64_t failing_ms;   /* since when no worker could be started; 0: they can */
    int64_t refused_ms;   /* since when the nursery could not be asked; 0: it can */
    char why[WHY_MAX];
    uint32_t next_id;
    pid_t expected; /* a child of somebody else's, 0: none */
    uint64_t nursery_deaths;
    uint64_t failures[WORKER_FAILURE_COUNT];
    uv_timer_t tick;
    uv_signal_t sigchld;
    bool begun; /* workers_begin() */
    struct closing closing;
};

/** Has the nursery not been asked for its process yet? */
bool workers_waits_for_start(const struct worker *w);

/** How many have been asked for and do not run yet. */
size_t workers_count_starts(const struct workers *ws);

/**
 * Which of those that wait starts next: clients take turns, however many workers one of them wants;
 * the configuration's cameras are one client, and spare workers come last; those that are held
 * have no turn.
 * @return NULL: none waits.
 */
struct worker *workers_next_to_start(const struct workers *ws);

#endif /* MASTER_WORKERS_PRIVATE_H */
