/*
 * A request -> what to do about it.  Master, loop thread; pure: no I/O, no state, no clock.
 * docs/api.md describes the same for users.
 */
#ifndef MASTER_ROUTE_H
#define MASTER_ROUTE_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "master/conf.h"
#include "master/http_head.h"

enum route_port { ROUTE_PORT_STREAM, ROUTE_PORT_SNAPSHOT };

enum route_kind {
    ROUTE_ERROR,  /* http_reply_error_with() of error, headers, camera, message */
    ROUTE_STREAM, /* hand over to the camera's worker, as the next two */
    ROUTE_SNAPSHOT,
    ROUTE_MJPEG,
    ROUTE_PREFLIGHT, /* http_reply_head() of 204 with headers */
    ROUTE_HEALTHZ,
    ROUTE_PAGE,        /* pages_reply() */
    ROUTE_API_CAMERAS, /* api_cameras() */
    ROUTE_API_STREAMS, /* api_streams() */
    ROUTE_API_STREAM,  /* api_stream() of what follows ROUTE_API_STREAM_PREFIX in the path */
    ROUTE_METRICS,     /* metrics_text() */
    ROUTE_API_STOP     /* camera_table_stop() of it */
};

#define ROUTE_API_STREAM_PREFIX "/api/streams/"

#define ROUTE_MESSAGE_MAX 256
#define ROUTE_HEADERS_MAX 512

struct route {
    enum route_kind kind;
    enum http_error error;            /* of ROUTE_ERROR */
    const struct conf_camera *camera; /* a named one, or NULL.  Borrowed from conf. */
    struct camera_url url;            /* of the three kinds with a camera */
    enum ipc_transport transport;
    struct ipc_client client;        /* all but conn_id, accepted_us and peer */
    char message[ROUTE_MESSAGE_MAX]; /* of ROUTE_ERROR */
    char headers[ROUTE_HEADERS_MAX]; /* complete lines for the answer (Allow, preflight), or "" */
    char camera_label[IPC_URL_MAX];  /* redacted URL or configured name; "" unknown */
};

/**
 * Decide what a request asks for.
 *
 * @param conf for named cameras.  Borrowed; route->camera points into it.
 * @param request complete.  Borrowed.
 * @param out  overwritten.
 * @return 0, or -EINVAL when out->kind is ROUTE_ERROR.
 */
int route_request(const struct conf *conf, enum route_port port, const struct http_request *request,
                  struct route *out);

#endif /* MASTER_ROUTE_H */
