/* What the files of the camera table share.  Master, loop thread. */
#ifndef MASTER_CAMERA_TABLE_PRIVATE_H
#define MASTER_CAMERA_TABLE_PRIVATE_H

#include "common/closing.h"
#include "common/log.h"
#include "master/camera_table.h"

#include <stdbool.h>

#define CRASH_FORGIVEN_MS 60000

struct camera_table {
    struct camera_clients clients;
    uv_loop_t *loop;
    struct camera_admission admission; /* holds the cameras */
    struct workers *workers;
    struct camera_totals gone; /* totals of workers that have ended */
    uv_timer_t tick;
    uv_timer_t turns;       /* of cameras that wait for another one's login */
    unsigned logins_wait;   /* how many do */
    struct closing closing; /* the workers and the timers */
    bool paused;            /* no worker is started: another program takes this one's place */
};

static inline struct log_context camera_log(const struct camera *cam)
{
    return (struct log_context){.camera = cam->id};
}

/* The next program is to know that (fd_store.h). */
static inline void camera_note_change(struct camera *cam)
{
    cam->table->clients.changes++;
}

/* --- camera_table.c --------------------------------------------------------- */

typedef void (*camera_fn)(struct camera *cam, void *ctx);

/** Call do_it() for the camera, then for its predecessors, none of which it may free. */
void camera_each(struct camera *cam, camera_fn do_it, void *ctx);

/** The same for all cameras, the newest first, but not for those that do_it() adds. */
void camera_table_each(struct camera_table *t, camera_fn do_it, void *ctx);

/** Add a camera that the table does not have. @return never NULL; the table owns it. */
struct camera *camera_table_add(struct camera_table *t, const struct camera_url *url,
                                const char *key, enum ipc_transport transport);

/** The camera may be forgotten now, if there is nothing to remember. */
void camera_table_release(struct camera *cam);

/** The camera has no worker any more. */
void camera_table_detach(struct camera *cam);

/** Tell the camera's worker to leave. @return 0, or negative errno: it cannot be told now. */
int camera_table_leave(struct camera *cam);

/** Tell the camera's worker to end its clients and leave. @return the same. */
int camera_table_end(struct camera *cam, uint32_t grace_ms);

/**
 * Start a worker, which gets the clients that the camera has.
 *
 * @param connect  connect even without clients.
 * @return 0 or negative errno.
 */
int camera_table_start(struct camera *cam, bool connect);

/* --- camera_login.c: which camera's login goes first ------------------------- */

/** Is its password not to be sent now, because a camera rejected it?  One of the configuration's
 * cameras has its owner's: others' guesses do not delay it. */
bool camera_login_is_refused(const struct camera *cam);

/** Is another camera of its host being asked about the same password?  Then its worker is held. */
bool camera_login_is_awaited(const struct camera *cam);

/** Is it being asked about its password, without an answer so far? */
bool camera_login_is_unanswered(const struct camera *cam);

/** It has got a worker, which is held until the other camera's answer, or not. */
void camera_login_begin(struct camera *cam, bool waits);

/** Its worker has reported a state: note whether the camera accepted or rejected the password.
 * @param before  the enum ipc_camera_state that it had. */
void camera_login_state(struct camera *cam, const struct ipc_state *state, uint32_t before);

/** Its worker makes way or ends: it is neither awaited nor held any more. */
void camera_login_end(struct camera *cam);

/** Its password may be sent: a worker whose password was rejected leaves, if it has no clients.  It
 * would send it beside others, or never; the next worker takes its turn. */
void camera_login_renew(struct camera *cam);

/** Let those start, or refuse them, that wait for an answer that has come or is overdue. */
void camera_login_step(struct camera_table *t);

/** Another program takes this one's place: no worker is started for those that wait, and their
 * clients go on to the next one's. */
void camera_login_postpone(struct camera_table *t);

/* --- camera_dispatch.c: who gets a worker ----------------------------------- */

/** The client for whom the camera's worker counts; NULL: the configuration wants it.  Borrowed. */
static inline const struct client_key *camera_starter(const struct camera *cam)
{
    return cam->named ? NULL : &cam->starter;
}

/** Once a second: if whoever requested it first has left, it counts for a client that is here, if
 * that one's share allows it. */
void camera_find_starter(struct camera *cam);

/* --- camera_succession.c: from one worker to the next ----------------------- */

/** The camera's worker has ended without having been told to leave: struct worker_events. */
void camera_succession_gone(void *owner);

/** Once a second: go on with what could not be done at once. */
void camera_succession_tick(struct camera *cam);

/** Names may have other URLs now: move their clients, now or when the new camera streams. */
void camera_succession_renamed(struct camera_table *t);

/** The camera's worker has reported another state. */
void camera_succession_state(struct camera *cam);

/** Tell the camera's worker to make way. @return as worker_yield(). */
int camera_succession_yield(struct camera *cam);

/* --- camera_predecessor.c: workers of the last program --------------------------- */

/**
 * Take in a TAKEOVER_WORKER of that camera, or NULL.
 * @return its predecessor, whose clients follow; NULL: they are lost.
 */
struct camera *camera_predecessor_new(struct camera *heir, const struct takeover_record *record,
                                      struct takeover *takeover);

/** Forget one that has no worker. */
void camera_predecessor_free(struct camera *past);

/** Once a second, and when the heir has reported another state: is it time to make way? */
void camera_predecessor_step(struct camera *past);
void camera_predecessor_heir_state(const struct camera *heir);
void camera_predecessor_tick(struct camera *heir);

/** End the clients of a camera's predecessors. @return 0; -EAGAIN: one cannot be told now. */
int camera_predecessor_end(struct camera *heir, uint32_t grace_ms);

#endif /* MASTER_CAMERA_TABLE_PRIVATE_H */
