/*
 * The cameras that the server knows, found by URL and by ID.  Master, loop thread; no I/O.
 * What is done with them is in camera_table.h.
 *
 * A camera is its normalised URL and the transport; what else a viewer asks for is the worker's
 * business.
 */
#ifndef MASTER_CAMERA_H
#define MASTER_CAMERA_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "master/conf.h"
#include "master/guest_list.h"
#include "master/text_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

#define CAMERA_CRASH_BACKOFF_MS 1000
#define CAMERA_CRASH_BACKOFF_MAX_MS 30000

struct camera {
    struct camera_table *table; /* the owner's.  Borrowed. */
    struct camera_url url;      /* secret, as the next */
    char key[IPC_URL_MAX];      /* url_format() of it */
    enum ipc_transport transport;
    char id[IPC_CAMERA_ID_MAX]; /* name or stream ID: for logs, metrics, the API */
    char shown[IPC_URL_MAX];    /* redacted URL */
    bool named;                 /* id is its name in the configuration file, however asked for */
    bool always_on;
    bool stopped;              /* by the API: always_on has to wait for the next request */
    struct worker *worker;     /* NULL: none */
    uint64_t clients_sent;     /* to this worker */
    struct guest_list guests;  /* of those, who have not left */
    struct client_key starter; /* whose request started the worker */
    bool logging_in;           /* the camera has not judged the password yet (login_guard.h) */
    bool connecting;           /* it has not streamed yet, and counts in the starter's share */
    struct ipc_state state;
    struct ipc_stats stats;
    int64_t stats_ms;      /* when they came; 0: never */
    uint64_t bit_rate_bps; /* from the camera, between the last two of them */
    int64_t state_since_ms;
    int64_t refused_until_ms; /* it rejected the password: it is not asked again until then */
    unsigned crashes;         /* in a row */
    int64_t crashed_ms;
    uint32_t worker_deaths;                /* for metrics, as the next */
    uint32_t reconnects[HTTP_ERROR_COUNT]; /* connections that failed or were lost, by reason */
};

/** @return what its worker said last; without a worker QUARANTINED, or STATE_COUNT for stopped. */
enum ipc_camera_state camera_state(const struct camera *cam);

/**
 * A camera whose worker dies again and again waits for the next one: a first death costs nothing,
 * the next ones CAMERA_CRASH_BACKOFF_MS, doubled each time up to CAMERA_CRASH_BACKOFF_MAX_MS.
 *
 * @return how long it still waits, milliseconds; 0: it does not.
 */
int64_t camera_quarantine_ms(const struct camera *cam);

/** Add the counters of a worker to a sum; gauges mean nothing there and stay. */
void camera_stats_add(struct ipc_stats *sum, const struct ipc_stats *stats);

/* Cameras to look at.  Borrowed, valid until the set changes. */
struct camera_list {
    const struct camera *const *items;
    size_t count;
};

struct camera_set {       /* zeroed at first; members are private but for reading list and count */
    struct camera **list; /* oldest first */
    size_t count;
    size_t capacity;
    unsigned last_suffix; /* of a stream ID that two cameras would share */
    struct text_index ids;
    struct text_index keys[IPC_TRANSPORT_COUNT];
    struct text_index configured[IPC_TRANSPORT_COUNT]; /* struct conf_camera by key */
};

/**
 * Take in the named cameras of the configuration.  Each camera of the set gets the name that it
 * has there; one whose name is now another camera's, or nobody's, gets a stream ID.
 *
 * @param conf  Borrowed until the next call.
 */
void camera_set_configure(struct camera_set *set, const struct conf *conf);

/** @return the camera that the configuration names for this URL, the first if several do; NULL. */
const struct conf_camera *camera_set_configured(const struct camera_set *set, const char *key,
                                                enum ipc_transport transport);

/** @param key  as url_format() writes it. @return the camera, or NULL. */
struct camera *camera_set_find(const struct camera_set *set, const char *key,
                               enum ipc_transport transport);

/** @return the camera with this name or stream ID, or NULL. */
struct camera *camera_set_find_id(const struct camera_set *set, const char *id);

/**
 * Add a camera that is not in the set.
 * @param key  url_format() of the URL.
 * @return the set's.  All members that are not about its identity are zero.
 */
struct camera *camera_set_add(struct camera_set *set, const struct camera_url *url, const char *key,
                              enum ipc_transport transport);

/** Forget a camera and free it. */
void camera_set_remove(struct camera_set *set, struct camera *cam);

/** Forget all. */
void camera_set_clear(struct camera_set *set);

#endif /* MASTER_CAMERA_H */
