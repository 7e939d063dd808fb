/*
 * Which worker serves each camera, what it last said, and whether a new attempt makes sense.
 * Master, loop thread.
 *
 * A camera is kept as long as its worker, and longer while there is something to remember: a
 * rejected password, a crash, always_on.
 */
#ifndef MASTER_CAMERA_TABLE_H
#define MASTER_CAMERA_TABLE_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "master/camera_admission.h"
#include "master/camera_clients.h"
#include "master/conf.h"
#include "master/takeover.h"
#include "master/workers.h"

/* How many cameras without a worker are remembered; beyond this the oldest is forgotten. */
#define CAMERA_MEMORY_MAX 1024

/* Totals since the server started, including cameras forgotten since. */
struct camera_totals {
    struct ipc_stats stats; /* sums; viewers is the only gauge that is valid */
    uint64_t worker_deaths;
    uint64_t nursery_deaths;
    uint64_t worker_failures[WORKER_FAILURE_COUNT];
    uint64_t reconnects[HTTP_ERROR_COUNT];
    uint64_t clients_kept; /* clients of dead workers that the next one could take */
    uint64_t clients_cut;  /* and that were disconnected */
};

struct camera_table;

/**
 * @param returned  called with ctx for each connection that a worker gives back.
 * @param conf  Borrowed.  Its always_on cameras are connected from now on.
 * @return 0 or negative errno; Caller owns *out; camera_table_close().
 */
int camera_table_open(uv_loop_t *loop, const struct conf *conf, camera_return_fn returned,
                      void *ctx, struct camera_table **out);

/** No worker begins before this. */
void camera_table_begin(struct camera_table *table);

/** Kill the remaining workers, free the table, then call closed(). */
void camera_table_close(struct camera_table *table, void (*closed)(void *ctx), void *ctx);

/**
 * Dispatch a client to its camera's worker, starting one if there is none.
 *
 * @param request  Borrowed.
 * @param fd       connected socket.  Moved on success (*fd becomes -1).
 * @param message  on refusal: the reason, a literal.
 * @return HTTP_ERROR_NONE, or the error to answer with; then the caller still owns *fd.
 */
enum http_error camera_table_dispatch(struct camera_table *table,
                                      const struct camera_request *request, int *fd,
                                      const char **message);

/**
 * Apply a reloaded configuration: update always_on, and send limits and access to all workers.
 * Viewers stay connected; those of a name that has another URL move there.
 */
void camera_table_reload(struct camera_table *table);

/** The same when only the named cameras changed: an always_on one that was stopped stays so. */
void camera_table_configure(struct camera_table *table);

/**
 * End a stream: disconnect its viewers, let its worker leave, forget what was remembered, but for a
 * password that was rejected too often.  The next request starts it again; always_on does not,
 * until a reload.
 *
 * @return 0; -ENOENT: no such stream; -EAGAIN: a worker's outbox is full: it goes on, ask again.
 */
int camera_table_stop(struct camera_table *table, const char *id);

/**
 * Make a stream's session with its camera anew: its worker makes way for another one, which goes on
 * with the clients.  What was remembered against the camera is forgotten.
 *
 * @return as above; -EACCES: the camera has rejected its password too often to be asked now
 *         (login_guard_forgive()): nothing has changed.
 */
int camera_table_restart(struct camera_table *table, const char *id);

/** May this client use camera_table_restart() once more?  @param message  if not: why, a literal.
 */
bool camera_table_may_restart(struct camera_table *table, const struct client_key *client,
                              const char **message);

/** This client has used it. */
void camera_table_restarted(struct camera_table *table, const struct client_key *client);

/** Tell all workers to end their clients and leave. */
void camera_table_drain(struct camera_table *table, uint32_t grace_ms);

/** How many workers have a camera or are ending; 0 when a drain is done. */
size_t camera_table_busy(const struct camera_table *table);

/** As workers_health(): why no worker can be started; NULL: workers can. */
const char *camera_table_health(const struct camera_table *table);

/** As workers_have_nursery(). */
bool camera_table_has_nursery(const struct camera_table *table);

/** All cameras, for the API.  Borrowed. */
const struct camera_set *camera_table_set(const struct camera_table *table);

/** The same as a list, for metrics. */
struct camera_list camera_table_list(const struct camera_table *table);

/** @return the camera with this URL, or with this name or stream ID; NULL: not known.  Borrowed. */
const struct camera *camera_table_find(const struct camera_table *table,
                                       const struct camera_url *url, enum ipc_transport transport);
const struct camera *camera_table_find_id(const struct camera_table *table, const char *id);

/** How long the camera's password is not sent, because it was rejected, here or for another path of
 * its host.  @return milliseconds; 0: it may be sent. */
int64_t camera_table_refusal_ms(const struct camera *cam);

/** Sums over all cameras, as of now. */
struct camera_totals camera_table_totals(const struct camera_table *table);

/* --- camera_takeover.c: another program takes this one's place ----------------- */

/**
 * Start no worker until camera_table_resume().  Call it again until it is done.
 *
 * @param live  the other program can take the workers as they are; false: they are told to make
 *              way.
 * @return true: no worker is just beginning or ending; without live, none has a camera.
 */
bool camera_table_settle(struct camera_table *table, bool live);

/** Go on: the clients without a worker get one. */
void camera_table_resume(struct camera_table *table);

/** As workers_expect_child(). */
void camera_table_expect_child(struct camera_table *table, pid_t pid);

/** Write down all cameras and clients, for TAKEOVER_BY_EXECVE when camera_table_settle() is done.
 */
void camera_table_save(struct camera_table *table, struct takeover_writer *w);

/** @return a number that changes when a viewer comes or leaves, or when what is remembered against
 * a camera does. */
uint64_t camera_table_changes(const struct camera_table *table);

/** @return a number that changes when a viewer gets another worker. */
uint64_t camera_table_moves(const struct camera_table *table);

/**
 * Take in a TAKEOVER_CAMERA.  Its worker and clients follow, then camera_table_resume().
 * @return the camera, borrowed; NULL: the record is not one.
 */
struct camera *camera_table_restore(struct camera_table *table,
                                    const struct takeover_record *record);

/** Take in a TAKEOVER_WORKER of that camera, or NULL. @return whose clients follow, or NULL. */
struct camera *camera_table_restore_worker(struct camera *cam, const struct takeover_record *record,
                                           struct takeover *takeover);

/**
 * Take in a TAKEOVER_GUEST of that camera, or NULL.
 * @param remains  of the client's worker, if that ended with the last master.
 * @return false: the client is disconnected.
 */
bool camera_table_restore_guest(struct camera_table *table, struct camera *cam,
                                const struct takeover_record *record, struct takeover *takeover,
                                const struct worker_remains *remains);

/** Take in what the last program knew about passwords: login_takeover_restore(). */
void camera_table_restore_login(struct camera_table *table, const struct takeover_record *record);

#endif /* MASTER_CAMERA_TABLE_H */
