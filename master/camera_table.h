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
#include "master/conf.h"
#include "master/workers.h"

/* Cameras without a worker that are remembered; the oldest is forgotten at the bound. */
#define CAMERA_MEMORY_MAX 1024

/* Since the server started, cameras that are forgotten included. */
struct camera_totals {
    struct ipc_stats stats; /* sums; of its gauges, only viewers means something */
    uint64_t worker_deaths;
    uint64_t worker_failures[WORKER_FAILURE_COUNT];
    uint64_t reconnects[HTTP_ERROR_COUNT];
};

struct camera_table;

/* A connection comes back from a worker.  *fd is Moved if it becomes -1. */
typedef void (*camera_return_fn)(void *ctx, const struct ipc_return *connection, int *fd);

/**
 * @param returned  called with ctx.
 * @param conf  Borrowed.  Its always_on cameras are connected from now on.
 * @return 0 or negative errno; Caller owns *out; camera_table_close().
 */
int camera_table_open(uv_loop_t *loop, const struct conf *conf, camera_return_fn returned,
                      void *ctx, struct camera_table **out);

/** Kill what is left of the workers, free the table, then call closed(). */
void camera_table_close(struct camera_table *table, void (*closed)(void *ctx), void *ctx);

/**
 * Hand a client to the worker of its camera, starting one if there is none.
 *
 * @param request  Borrowed.
 * @param fd       connected socket.  Moved on success (*fd becomes -1).
 * @param message  why not, HTTP_ERROR texts; a literal.
 * @return HTTP_ERROR_NONE, or what to answer; the caller still owns *fd.
 */
enum http_error camera_table_handover(struct camera_table *table,
                                      const struct camera_request *request, int *fd,
                                      const char **message);

/**
 * The configuration was read again: cameras that are always_on now or no longer, limits and access
 * to all workers.  Viewers stay.
 */
void camera_table_reload(struct camera_table *table);

/**
 * End a stream: its viewers are closed, its worker leaves, what was remembered is forgotten.  The
 * next request starts it again, also one that is always_on.
 *
 * @return 0; -ENOENT; -EAGAIN: nothing was done, thousands of messages wait for its worker already.
 */
int camera_table_stop(struct camera_table *table, const char *id);

/** Tell all workers to end their clients and leave. */
void camera_table_drain(struct camera_table *table, uint32_t grace_ms);

/** Workers that have a camera or are on their way out: 0 when a drain is done. */
size_t camera_table_busy(const struct camera_table *table);

/** As workers_health(): why no worker can be started; NULL: they can. */
const char *camera_table_health(const struct camera_table *table);

/** As workers_have_nursery(). */
bool camera_table_has_nursery(const struct camera_table *table);

/** All cameras, for the API and metrics. */
struct camera_list camera_table_list(const struct camera_table *table);

/** @return the camera of a URL, or the one with this name or stream ID; NULL: not known.  Borrowed.
 */
const struct camera *camera_table_find(const struct camera_table *table,
                                       const struct camera_url *url, enum ipc_transport transport);
const struct camera *camera_table_find_id(const struct camera_table *table, const char *id);

struct camera_totals camera_table_totals(const struct camera_table *table);

#endif /* MASTER_CAMERA_TABLE_H */
