/*
 * The nursery, as the master sees it: its start, channel, death and replacement.  Master, loop
 * thread.  Knows workers only by their IDs; workers.c keeps them.
 */
#ifndef MASTER_NURSERY_LINK_H
#define MASTER_NURSERY_LINK_H

#include "common/ipc.h"
#include "master/conf.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#define NURSERY_LINK_RESTART_MS 1000
#define NURSERY_LINK_WARM_MS 60000 /* time from its start to NURSERY, before it is killed */
#define NURSERY_LINK_END_MS 5000   /* time to end once its channel is closed, before it is killed */

struct nursery_link;

struct nursery_link_events {
    /* log: the descriptor that came with the message; closed afterwards unless taken. */
    void (*on_spawned)(void *owner, const struct ipc_spawned *spawned, int *log);
    void (*on_failed)(void *owner, const struct ipc_failed *failed);
    /* The nursery has died; the next one starts after NURSERY_LINK_RESTART_MS. */
    void (*on_died)(void *owner);
    /* After nursery_link_close(); the link is freed. */
    void (*on_closed)(void *owner);
};

/**
 * Start the nursery.
 *
 * @param conf    Borrowed; log and sandbox settings are read when a process is started.
 * @param events  Borrowed.
 * @param owner   passed to the events.
 * @param out     set even on error.  Caller owns; nursery_link_close().
 * @return 0 or negative errno: its program cannot be started.
 */
int nursery_link_open(uv_loop_t *loop, const struct conf *conf,
                      const struct nursery_link_events *events, void *owner,
                      struct nursery_link **out);

/** Let the nursery end, or kill it if it does not, then call on_closed(). */
void nursery_link_close(struct nursery_link *link);

/**
 * Ask for a worker.
 *
 * @param channel  the worker's end.  Moved on success (*channel becomes -1).
 * @return as ipc_send(); -ENOTCONN while there is no nursery.
 */
int nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel);

/** Can it be asked? */
bool nursery_link_is_open(const struct nursery_link *link);

/** Kill the nursery: on_died() follows, and another nursery starts. */
void nursery_link_replace(struct nursery_link *link);

/** @return when the nursery last reported that it is ready: clock_ms(). */
int64_t nursery_link_warm_ms(const struct nursery_link *link);

/** Does the nursery run, and has it reported that it is ready? */
bool nursery_link_is_warm(const struct nursery_link *link);

/** @return in words, why there is no nursery.  Borrowed. */
const char *nursery_link_trouble(const struct nursery_link *link);

/** Call it once a second: reads on in the nursery's log, kills the nursery if it is not warm in
 * time. */
void nursery_link_tick(struct nursery_link *link);

/** Find the worker's program: beside this one, as in the build tree, or where `make install` puts
 * it.  @return 0 or negative errno. */
int nursery_link_find_program(char *out, size_t size);

/** The environment without our own settings, which may be secret. @return Caller owns; free(). */
char **nursery_link_environment(void);

/** The nursery's process, which only libuv may reap; 0: none. */
pid_t nursery_link_pid(const struct nursery_link *link);

#endif /* MASTER_NURSERY_LINK_H */
