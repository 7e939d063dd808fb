/*
 * The cameras that somebody wants: which worker serves each, what it last said, and whether a new
 * attempt makes sense.  Master, loop thread.
 *
 * The key is the normalised URL plus the transport; what else a viewer asks for is the worker's
 * business.  An entry lives as long as its worker, and longer while it has something to remember:
 * a rejected password, a crash, always_on.
 */
#ifndef MASTER_CAMERA_H
#define MASTER_CAMERA_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "master/conf.h"
#include "master/workers.h"

/* A worker that crashed is replaced at once, then after 1, 2, 4 … s. */
#define CAMERA_CRASH_BACKOFF_MS 1000
#define CAMERA_CRASH_BACKOFF_MAX_MS 30000
/* Entries without a worker that remember something; the oldest goes at the bound. */
#define CAMERA_MEMORY_MAX 1024

struct camera {
    struct camera_table *table;
    char key[IPC_URL_MAX]; /* url_format(): secret */
    enum ipc_transport transport;
    char id[IPC_CAMERA_ID_MAX]; /* name or stream ID: for logs, metrics, the API */
    char shown[IPC_URL_MAX];    /* redacted URL */
    bool named;                 /* id is its name in the configuration file, however asked for */
    bool always_on;
    bool stopped;           /* by the API: always_on has to wait for the next request */
    struct worker *worker;  /* NULL: none */
    uint64_t clients_sent;  /* to this worker */
    uint32_t viewers_fresh; /* sent since it last reported how many it has; snapshots are none */
    struct ipc_state state;
    struct ipc_stats stats;
    int64_t stats_ms;      /* when they came; 0: never */
    uint64_t bit_rate_bps; /* from the camera, between the last two of them */
    int64_t state_since_ms;
    enum http_error refusal;  /* answered without asking the camera, … */
    int64_t refused_until_ms; /* … until then */
    unsigned crashes;         /* in a row */
    int64_t crashed_ms;
    uint32_t worker_deaths;                /* for metrics, as the next */
    uint32_t reconnects[HTTP_ERROR_COUNT]; /* connections that failed or were lost, by reason */
};

/* Since the server started, cameras that are forgotten included. */
struct camera_totals {
    struct ipc_stats stats; /* sums; of the sizes and rates only clients has a meaning */
    uint64_t worker_deaths;
    uint64_t worker_failures[WORKER_FAILURE_COUNT];
    uint64_t reconnects[HTTP_ERROR_COUNT];
};

struct camera_table;

/**
 * @param conf  Borrowed.  Its always_on cameras are connected from now on.
 * @return 0 or negative errno; Caller owns *out; camera_table_close().
 */
int camera_table_open(uv_loop_t *loop, const struct conf *conf, struct camera_table **out);

/** Kill what is left of the workers, free; then closed() is called. */
void camera_table_close(struct camera_table *table, void (*closed)(void *ctx), void *ctx);

/**
 * Hand a client to the worker of its camera, starting one if there is none.
 *
 * @param url      of the camera.  Borrowed.
 * @param client   complete.  Borrowed.
 * @param fd       connected socket.  Moved on success (*fd becomes -1).
 * @param message  why not, HTTP_ERROR texts; a literal.
 * @return HTTP_ERROR_NONE, or what to answer; the caller still owns *fd.
 */
enum http_error camera_handover(struct camera_table *table, const struct camera_url *url,
                                enum ipc_transport transport, const struct ipc_client *client,
                                int *fd, const char **message);

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

/* Entries to look at.  Borrowed, valid until the table changes. */
struct camera_list {
    const struct camera *const *items;
    size_t count;
};

/** All entries, for the API and metrics. */
struct camera_list camera_table_list(const struct camera_table *table);

/** @return what its worker said last; IPC_CAMERA_STATE_COUNT: it has no worker. */
enum ipc_camera_state camera_state(const struct camera *cam);

struct camera_totals camera_table_totals(const struct camera_table *table);

#endif /* MASTER_CAMERA_H */
