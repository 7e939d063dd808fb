/*
 * One worker, as the master sees it: its process, its channel, its log lines, and whether it does
 * as it is told.  Master, loop thread.  workers.c keeps the table of workers.
 *
 *   STARTING --READY--> SPARE --taken--> BUSY --LEAVE or DRAIN--> LEAVING
 *       |                 |               |                          |
 *       +-----------------+-- its channel is closed: by either side --+--> ENDING --reaped--> freed
 *
 * A STARTING worker may be taken: its messages wait in the channel.
 *
 * A camera may have taken its worker over.  So the master alone measures whether a worker keeps
 * these limits, and kills one that does not:
 *
 *   time without a report (STATS come every second)       WORKER_SILENCE_MS
 *   time without reading its messages (SIOCOUTQ)          WORKER_SILENCE_MS
 *   time to end or make way, when told to                 WORKER_END_MS
 *   time to end with a closed channel, also if it only
 *   reads no more (shutdown())                            WORKER_END_MS
 *   messages a second, besides those about clients        WORKER_MESSAGES_MAX
 *   threads, counted once a second                        WORKER_THREADS_MAX
 *   descriptors (the kernel keeps that limit): 2 for
 *   each client of the server, besides                    IPC_WORKER_FILES
 *
 * Time that it waits for a processor does not count, up to WORKER_EXCUSED_MAX_MS for each of the
 * times above: on a machine that is overloaded, killing workers makes more work.  A worker can wait
 * on purpose, so nothing but what such a time is about gives it a new minute: messages do not let
 * it leave later.
 *
 * LEFT and RETURN are not counted: each uses up tickets, and who comes decides how many there are.
 *
 * Its process is the master's child (nursery.c), so its pid cannot be reused before it is reaped.
 *
 * Its owner learns that it is gone when the process is reaped: until then it might still write to
 * its clients.  What is sent to it meanwhile is lost, as is what it has not read.
 */
#ifndef MASTER_WORKER_LINK_H
#define MASTER_WORKER_LINK_H

#include "common/closing.h"
#include "common/handover.h"
#include "common/ipc.h"
#include "master/client_key.h"
#include "master/log_source.h"
#include "master/outbox.h"
#include "master/takeover.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#define WORKER_SILENCE_MS 10000
#define WORKER_END_MS 5000
#define WORKER_EXCUSED_MAX_MS 60000
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

/* Events for the worker's owner. */
struct worker_events {
    void (*on_state)(void *owner, const struct ipc_state *state);
    void (*on_stats)(void *owner, const struct ipc_stats *stats);
    void (*on_idle)(void *owner, const struct ipc_idle *idle);
    /* @return false: impossible; the worker is killed. */
    bool (*on_left)(void *owner, const struct ipc_left *left);
    /* A connection that the worker kept.  *fd is Moved if it becomes -1. @return false: that client
     * was not its own. */
    bool (*on_return)(void *owner, const struct ipc_return *connection, int *fd);
    /* The worker has ended without having been told to: its process no longer runs.  The pointer is
     * invalid when this returns. */
    void (*on_gone)(void *owner);
};

struct worker;

/* What it did last, or must do until then; moved by the time that it had no processor. */
struct worker_time {
    int64_t at_ms;
    int64_t excused_ms; /* how far it was moved since it was set */
};

/* What all workers of a table share. */
struct worker_env {
    uv_loop_t *loop;
    const struct worker_events *events; /* for the owners */
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
    bool requested;                 /* a client did, not the configuration: */
    struct client_key client;       /* for whom it counts */
    void *owner;                    /* only while BUSY, and after that until it is reaped */
    char camera[IPC_CAMERA_ID_MAX]; /* the owner's camera, for the log; kept after that owner */
    int channel;
    int unforked; /* the worker's end of the channel, until the nursery is asked for it; -1: it was
                   */
    bool held;    /* its owner lets it wait: the nursery is not asked for it */
    uv_poll_t poll;
    struct handover *handover; /* where it marks how far its clients got; NULL: not believed */
    struct outbox outbox;      /* what the channel has no room for */
    pid_t pid;                 /* 0: not announced yet, or reaped */
    bool reaped;               /* or no process was started for it */
    struct log_source *log;
    bool killed;
    size_t files;              /* descriptors that it may have */
    unsigned messages;         /* since the last check */
    int unread;                /* bytes in the channel at the last check */
    struct worker_time asked;  /* when the nursery was asked for it */
    struct worker_time heard;  /* its last report, or READY */
    struct worker_time read;   /* when it had last read something, or had nothing to read */
    struct worker_time shut;   /* when a message first found the channel closed; 0: none did */
    struct worker_time end_by; /* also while it is BUSY and was told to make way; 0: no deadline */
    int64_t waited_ms;         /* for a processor, all its life, at the last check */
    struct closing closing;
};

/* --- for its owner ---------------------------------------------------------- */

/** It gets one more client: so many descriptors of clients are there now, here or under way. */
void worker_expect_clients(struct worker *worker, size_t count);

/** Send a message; it may wait in the worker's outbox. @return as outbox_send(). */
int worker_send(struct worker *worker, enum ipc_type type, const void *payload, int *fd);

/**
 * Tell it to make way for another worker: it ends without ending its clients, and on_gone()
 * follows; if it does not obey it is killed.  @return as worker_send().
 */
int worker_yield(struct worker *worker);

/** The worker was told to end, within WORKER_END_MS: no more events come; do not use it again. */
void worker_release(struct worker *worker);

/**
 * The slot of the client with this ticket: to be reset before the client is sent, and to be read in
 * on_gone().  @return NULL: there is none, or the worker is not believed.
 */
struct handover_slot *worker_slot(struct worker *worker, uint32_t ticket);

/** It counts for this client from now on; NULL: for none, the configuration wants it.  Copied. */
void worker_count_for(struct worker *worker, const struct client_key *client);

/** The worker's process, 0 while it is not known. */
pid_t worker_pid(const struct worker *worker);

/* --- for the table ---------------------------------------------------------- */

/** It had no processor for so long: move its times, each as far as WORKER_EXCUSED_MAX_MS allows. */
void worker_excuse(struct worker *w, int64_t ms);

/**
 * Make a worker whose process is yet to be forked: what it is sent waits in the channel.
 *
 * @param channel, theirs, handover  our end, its end, the memory that both share.  Moved.
 */
struct worker *worker_open(struct worker_env *env, uint32_t id, int *channel, int *theirs,
                           struct handover **handover);

/** The nursery was asked for its process: its times begin now. */
void worker_asked(struct worker *w);

/** Its process runs.  @param log  the pipe of its log.  Moved. */
void worker_announce(struct worker *w, pid_t pid, int *log);

/** No process could be started for it. */
void worker_fail(struct worker *w);

/** Its process was reaped. */
void worker_ended(struct worker *w);

/** Is it known, has it read all that was sent, and may it go on for another program? */
bool worker_is_settled(const struct worker *w);

/** For the program that takes this one's place: a BUSY worker with its camera. */
void worker_save(const struct worker *w, struct takeover_writer *writer);

/**
 * Take in a TAKEOVER_WORKER: it is not the owner's yet, worker_take().
 * @return NULL: it speaks another version of the messages, or is gone; then it is killed.
 */
struct worker *worker_restore(struct worker_env *env, const struct takeover_record *record,
                              struct takeover *takeover);

/** Give a STARTING or SPARE worker an owner, who gets its events from now on.  @param camera  for
 * the log. */
void worker_take(struct worker *w, void *owner, const char *camera);

/** Close its channel; an honest worker then ends. */
void worker_close(struct worker *w);

/** Kill it and say why: "worker 7 (pid 8) WHY: it is killed". */
void worker_kill(struct worker *w, const char *why);

/** Once a second: kill it if it has missed a deadline. */
void worker_check(struct worker *w, int64_t now_ms);

#endif /* MASTER_WORKER_LINK_H */
