/*
 * One worker, as the master sees it: its process, its channel, its log lines, and whether it does
 * what it is told.  Master, loop thread.  workers.c has the table of them.
 *
 *   STARTING --READY--> SPARE --taken--> BUSY --LEAVE or DRAIN--> LEAVING
 *       |                 |               |                          |
 *       +-----------------+-- its channel is closed: by either side --+--> ENDING --reaped--> freed
 *
 * One may be taken while it is STARTING: its messages wait in the channel.
 *
 * A worker may have been taken over by its camera.  So there is a deadline for each thing that it
 * has to do, measured by the master alone, and SIGKILL for whichever misses one:
 *
 *   to say something (STATS, once a second)         WORKER_SILENCE_MS
 *   to read what was sent to it (SIOCOUTQ)          WORKER_SILENCE_MS
 *   to end: told to, or having closed its channel   WORKER_END_MS
 *   no more messages than                           WORKER_MESSAGES_MAX a second
 *   no more threads than                            WORKER_THREADS_MAX, looked at once a second
 *
 * Its process is the master's child (nursery.c), so its pid cannot be another's until it is reaped.
 */
#ifndef MASTER_WORKER_LINK_H
#define MASTER_WORKER_LINK_H

#include "common/closing.h"
#include "common/ipc.h"
#include "master/log_source.h"
#include "master/outbox.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#define WORKER_SILENCE_MS 10000
#define WORKER_END_MS 5000
#define WORKER_MESSAGES_MAX 512
#define WORKER_THREADS_MAX 128

enum worker_state {
    WORKER_STARTING,
    WORKER_SPARE,
    WORKER_BUSY,
    WORKER_LEAVING,
    WORKER_ENDING,
    WORKER_STATE_COUNT
};

/* To its owner. */
struct worker_events {
    void (*on_state)(void *owner, const struct ipc_state *state);
    void (*on_stats)(void *owner, const struct ipc_stats *stats);
    void (*on_idle)(void *owner, const struct ipc_idle *idle);
    /* @return false: that cannot be; it is killed. */
    bool (*on_left)(void *owner, const struct ipc_left *left);
    /* A connection that the worker kept.  *fd is Moved if it becomes -1. @return false: not its
     * own. */
    bool (*on_return)(void *owner, const struct ipc_return *connection, int *fd);
    /* The worker has ended without having been told to; the pointer is invalid from now on. */
    void (*on_gone)(void *owner);
};

struct worker;

/* What all workers of a table share. */
struct worker_env {
    uv_loop_t *loop;
    const struct worker_events *events; /* to the owner */
    size_t counts[WORKER_STATE_COUNT];  /* workers by state: only worker_link.c writes */
    void (*on_ready)(void *table);
    void (*on_ending)(void *table, const struct worker *w); /* its channel is closed */
    void (*on_freed)(void *table);
    void *table;
};

/* Members are for worker_link.c, and for workers.c to read. */
struct worker {
    LIST_ENTRY(worker) link;
    struct worker_env *env;
    uint32_t id;
    enum worker_state state;
    enum ipc_phase phase;           /* BOOT until it is READY */
    void *owner;                    /* only while BUSY */
    char camera[IPC_CAMERA_ID_MAX]; /* of that owner, for the log; it stays */
    int channel;
    uv_poll_t poll;
    struct outbox outbox; /* what the channel has no room for */
    pid_t pid;            /* 0: not announced yet, or reaped */
    bool reaped;          /* or no process came of it */
    struct log_source *log;
    bool killed;
    unsigned messages; /* since the last check */
    int unread;        /* bytes in the channel at the last check */
    int64_t asked_ms;  /* the nursery, for it */
    int64_t heard_ms;
    int64_t read_ms; /* when it last had read something, or had nothing to read */
    int64_t end_by_ms;
    struct closing closing;
};

/* --- for its owner ---------------------------------------------------------- */

/** Send a message; it may wait in the worker's outbox. @return as outbox_send(). */
int worker_send(struct worker *worker, enum ipc_type type, const void *payload, int *fd);

/** It was told to end, and has WORKER_END_MS: no event comes, it is not to be used again. */
void worker_release(struct worker *worker);

/** The worker's process, 0 while it is not known. */
pid_t worker_pid(const struct worker *worker);

/* --- for the table ---------------------------------------------------------- */

/** A worker that was asked for.  @param channel  Moved. */
struct worker *worker_open(struct worker_env *env, uint32_t id, int *channel);

/** It runs: its process, and the pipe of its log.  @param log  Moved. */
void worker_announce(struct worker *w, pid_t pid, int *log);

/** No process came of it. */
void worker_fail(struct worker *w);

/** Its process was reaped. */
void worker_ended(struct worker *w);

/** Give it an owner, whose events come from now on.  STARTING or SPARE.  @param camera  for the
 * log. */
void worker_take(struct worker *w, void *owner, const char *camera);

/** Close its channel; an honest one ends. */
void worker_close(struct worker *w);

/** Kill it and say why: "worker 7 (pid 8) WHY: it is killed". */
void worker_kill(struct worker *w, const char *why);

/** Once a second: kill it if it has missed a deadline. */
void worker_check(struct worker *w, int64_t now_ms);

#endif /* MASTER_WORKER_LINK_H */
