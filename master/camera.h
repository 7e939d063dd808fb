/*
 * The cameras that the server knows, found by URL and by ID.  Master, loop thread; no I/O.
 * camera_table.h acts on them.
 *
 * A camera is identified by its normalised URL and its transport; the worker handles everything
 * else that a viewer asks for.
 */
#ifndef MASTER_CAMERA_H
#define MASTER_CAMERA_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "master/camera_health.h"
#include "master/conf.h"
#include "master/guest_list.h"
#include "master/text_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct worker;

#define CAMERA_CRASH_BACKOFF_MS 1000
#define CAMERA_CRASH_BACKOFF_MAX_MS 30000
/* A worker that streamed for so long begins a new row of deaths with its own ... */
#define CAMERA_PROVEN_MS 1000
/* ... this many times; one more each CAMERA_FORGIVE_ONE_MS. */
#define CAMERA_FORGIVEN_MAX 30
#define CAMERA_FORGIVE_ONE_MS 15000
/* How long the clients of a dead worker wait for a process to go on with. */
#define CAMERA_SUCCEED_MS 10000
/* Whoever asks at least this often wants the camera all the time; the page's tiles do. */
#define CAMERA_WANTED_MS 60000

LIST_HEAD(camera_predecessors, camera);

struct camera {
    struct camera_table *table; /* the table that owns it.  Borrowed. */
    struct camera_url url;      /* secret, like key */
    char key[IPC_URL_MAX];      /* url_format() of url */
    enum ipc_transport transport;
    char id[IPC_CAMERA_ID_MAX]; /* name or stream ID: for logs, metrics, the API */
    char shown[IPC_URL_MAX];    /* redacted URL */
    bool named; /* id is its name in the configuration file, even if it is requested by URL */
    bool always_on;
    bool moves;                 /* clients asked for it by a name that another camera has now */
    enum http_error move_error; /* why that one does not take them yet */
    int64_t gone_ms;            /* when its last worker ended, or a pause without starts, or its
                                   first clients came from another camera */
    bool yielding;              /* its worker was told to make way for another one */
    bool stopped;               /* through the API: always_on waits for the next request */
    struct camera *heir;        /* this one only holds the last program's worker; NULL: it is
                                   in the set, as any camera */
    struct camera_predecessors predecessors; /* cameras whose heir this is */
    LIST_ENTRY(camera) link;                 /* in its heir's predecessors */
    bool heir_failed;                        /* its heir's first attempt did not stream */
    struct worker *worker;                   /* NULL: none */
    uint64_t clients_sent;                   /* clients handed to this worker */
    struct guest_list guests;                /* the clients that have not left */
    struct client_key starter;               /* for whom its worker counts, unless it is named */
    bool logging_in; /* the camera has neither accepted nor rejected the password (login_guard.h) */
    int64_t login_waits_ms; /* since when its worker is held, for another camera's answer to the
                               same password (camera_login.c); 0: it is not */
    struct ipc_state state;
    struct ipc_stats stats;
    struct ipc_stats counted_before; /* for the last program, by a predecessor's worker */
    int64_t stats_ms;                /* when stats arrived; 0: never */
    uint64_t reports;                /* how often they did, of all its workers */
    uint64_t bit_rate_bps;           /* from the camera, between the last two reports */
    int64_t state_since_ms;          /* clock_ms() */
    int64_t state_since_us;          /* clock_us() */
    int64_t asked_ms;                /* the newest request, also a refused one; 0: none */
    struct camera_health health;
    int64_t refused_until_ms; /* it rejected the password: no new attempt before this time */
    unsigned crashes;         /* in a row */
    unsigned forgiven;        /* deaths that began a new row lately */
    int64_t crashed_ms;
    uint32_t worker_deaths;                /* for metrics, like reconnects */
    uint32_t reconnects[HTTP_ERROR_COUNT]; /* connections that failed or were lost, by reason */
};

/** @return the state that its worker reported last; without a worker, QUARANTINED, UNWATCHED (a
 * named camera that is not always on), IDLE (one that is, while its password is refused) or
 * STATE_COUNT (stopped). */
enum ipc_camera_state camera_state(const struct camera *cam);

/**
 * While a worker of the last program is left (camera_predecessor.c) and has pictures, but the
 * camera's own worker has none yet, that one serves whoever comes, and tells how the camera is.
 *
 * @return the camera, or its predecessor: the one whose state and stats are to be shown.
 */
const struct camera *camera_serving(const struct camera *cam);

/** What is to be shown of camera_serving(), with the viewers that all its workers report. */
struct ipc_stats camera_stats(const struct camera *cam);

/** @return the viewers that its workers were given, also those of the last program. */
size_t camera_viewers(const struct camera *cam);

/** Does a worker serve it, its own or one of the last program? */
bool camera_is_served(const struct camera *cam);

/** Does somebody want it, or did so in the last CAMERA_WANTED_MS? */
bool camera_is_wanted(const struct camera *cam);

/** Did somebody ask for it in the last CAMERA_WANTED_MS? */
bool camera_was_asked_for(const struct camera *cam);

/** It gets a worker: a failure from before a time in which nobody wanted it does not count. */
void camera_begin_attempt(struct camera *cam);

/**
 * How long must a camera whose workers keep dying wait for another one?  Two deaths cost no
 * wait, the third CAMERA_CRASH_BACKOFF_MS, doubled each time up to CAMERA_CRASH_BACKOFF_MAX_MS.
 *
 * @return the rest of the wait, milliseconds; 0: none.
 */
int64_t camera_quarantine_ms(const struct camera *cam);

/** Add a worker's counters to a sum, leaving the sum's gauges unchanged. */
void camera_stats_add(struct ipc_stats *sum, const struct ipc_stats *stats);

/* A read-only view of cameras.  Borrowed, valid until the set changes. */
struct camera_list {
    const struct camera *const *items;
    size_t count;
};

struct camera_set {       /* zeroed at first; private, but list and count may be read */
    struct camera **list; /* oldest first */
    size_t count;
    size_t capacity;
    unsigned last_suffix; /* the last one given to a stream ID that was already taken */
    struct text_index ids;
    struct text_index keys[IPC_TRANSPORT_COUNT];
    struct text_index configured[IPC_TRANSPORT_COUNT]; /* struct conf_camera by key */
};

/**
 * Take in the named cameras of the configuration.  Each camera of the set gets its name from there;
 * a camera that has lost its name gets a stream ID.
 *
 * @param conf  Borrowed until the next call.
 */
void camera_set_configure(struct camera_set *set, const struct conf *conf);

/** @return the configured camera with this URL and transport, the first if there are several; NULL:
 * none. */
const struct conf_camera *camera_set_configured(const struct camera_set *set, const char *key,
                                                enum ipc_transport transport);

/** Is this a configured camera, by its first name, that the set does not have? */
bool camera_set_lacks(const struct camera_set *set, const struct conf_camera *c);

/** @param key  as url_format() writes it. @return the camera, or NULL. */
struct camera *camera_set_find(const struct camera_set *set, const char *key,
                               enum ipc_transport transport);

/** @return the camera with this name or stream ID, or NULL. */
struct camera *camera_set_find_id(const struct camera_set *set, const char *id);

/**
 * Add a camera that is not in the set.
 * @param key  url_format() of the URL.
 * @return the camera, owned by the set.  Only its identity and state_since_ms are set.
 */
struct camera *camera_set_add(struct camera_set *set, const struct camera_url *url, const char *key,
                              enum ipc_transport transport);

/** Give an unnamed camera the stream ID that it had before, if that is free. */
void camera_set_keep_id(struct camera_set *set, struct camera *cam, const char *id);

/** Forget a camera and free it. */
void camera_set_remove(struct camera_set *set, struct camera *cam);

/** Remove all cameras and free the memory. */
void camera_set_clear(struct camera_set *set);

#endif /* MASTER_CAMERA_H */
