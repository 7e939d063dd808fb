/*
 * What the two ports serve: one table of paths, methods and kinds.  Master, loop thread; pure.
 * `Allow`, the answers 404 and 405 and the check of docs/api.md (scripts/check-docs) all come from
 * this table.
 */
#ifndef MASTER_ENDPOINT_H
#define MASTER_ENDPOINT_H

#include "master/http_head.h"

#include <stddef.h>

enum route_port { ROUTE_PORT_STREAM, ROUTE_PORT_SNAPSHOT };

/* What to do with a request.  request.c has a branch for each. */
enum route_kind {
    ROUTE_ERROR,  /* http_reply_error_with() and the route's error, headers, camera, message */
    ROUTE_STREAM, /* hand over to the camera's worker, like the next two */
    ROUTE_SNAPSHOT,
    ROUTE_MJPEG,
    ROUTE_PREFLIGHT, /* http_reply_head() with 204 and the route's headers */
    ROUTE_HEALTHZ,
    ROUTE_PAGE,          /* pages_reply() */
    ROUTE_API_CAMERAS,   /* api_cameras() */
    ROUTE_API_STREAMS,   /* api_streams(), api_streams_of() when the query names a camera */
    ROUTE_API_STREAM,    /* api_stream() for the ID after ROUTE_API_STREAM_PREFIX in the path */
    ROUTE_API_SAVE,      /* manage_save() for the name after ROUTE_API_CAMERA_PREFIX in the path */
    ROUTE_API_REMOVE,    /* manage_remove() for the same name */
    ROUTE_API_SIGNATURE, /* api_signature() for the camera that the query names */
    ROUTE_METRICS,       /* metrics_text() */
    ROUTE_API_STOP,      /* camera_table_stop() for the same ID */
    ROUTE_API_RESTART    /* camera_table_restart() for the ID before ROUTE_API_RESTART_SUFFIX */
};

#define ROUTE_API_CAMERA_PREFIX "/api/cameras/"
#define ROUTE_API_STREAM_PREFIX "/api/streams/"
#define ROUTE_API_RESTART_SUFFIX "/restart"

/* clang-format off */
/*
 * X(port, match, path, kind, methods)
 * match: IS: the whole path; PREFIX or SUFFIX: its beginning or end; NAMED: as PREFIX, a name
 * follows; RESTART: the prefix, and
 * ROUTE_API_RESTART_SUFFIX at the end, then PREFIX does not match; FILE: a file of the page below
 * that prefix.
 * methods: READ is GET and HEAD.  OPTIONS is answered everywhere (CORS preflight).
 * Rows may share a path: then the method decides.
 */
#define ENDPOINTS(X)                                                               \
    X(STREAM,   IS,     "/",                     STREAM,      READ)                \
    X(STREAM,   SUFFIX, ".flv",                  STREAM,      READ)                \
    X(STREAM,   IS,     "/play",                 PAGE,        READ)                \
    X(STREAM,   FILE,   "/assets/",              PAGE,        READ)                \
    X(SNAPSHOT, IS,     "/snapshot",             SNAPSHOT,    READ | POST)         \
    X(SNAPSHOT, IS,     "/mjpeg",                MJPEG,       READ)                \
    X(SNAPSHOT, IS,     "/healthz",              HEALTHZ,     READ)                \
    X(SNAPSHOT, IS,     "/metrics",              METRICS,     READ)                \
    X(SNAPSHOT, IS,     "/api/cameras",          API_CAMERAS, READ)                \
    X(SNAPSHOT, NAMED,  ROUTE_API_CAMERA_PREFIX, API_SAVE,    PUT)                 \
    X(SNAPSHOT, NAMED,  ROUTE_API_CAMERA_PREFIX, API_REMOVE,  DELETE)              \
    X(SNAPSHOT, IS,     "/api/signature",        API_SIGNATURE, READ)              \
    X(SNAPSHOT, IS,     "/api/streams",          API_STREAMS, READ)                \
    X(SNAPSHOT, PREFIX, ROUTE_API_STREAM_PREFIX, API_STREAM,  READ)                \
    X(SNAPSHOT, PREFIX, ROUTE_API_STREAM_PREFIX, API_STOP,    DELETE)              \
    X(SNAPSHOT, RESTART, ROUTE_API_STREAM_PREFIX, API_RESTART, POST)
/* clang-format on */

/* Sizes of the two texts below, NUL included. */
#define ENDPOINT_METHODS_MAX 64
#define ENDPOINT_PATHS_MAX 256

/**
 * @param path  the request's path.  Borrowed.
 * @return a bit for each enum request_method that this path takes; 0: there is no such path.
 */
unsigned endpoint_methods(enum route_port port, const char *path);

/** @param method  one of endpoint_methods(). @return what to do with the request. */
enum route_kind endpoint_kind(enum route_port port, const char *path, enum request_method method);

/** Write methods as `Allow` lists them (RFC 9110 section 10.2.1), OPTIONS last. */
void endpoint_list_methods(unsigned methods, char out[ENDPOINT_METHODS_MAX]);

/** Write the paths of a port as an error message lists them: "/, *.flv and /play". */
void endpoint_list_paths(enum route_port port, char out[ENDPOINT_PATHS_MAX]);

#endif /* MASTER_ENDPOINT_H */
