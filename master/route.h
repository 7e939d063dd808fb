/*
 * Decides what to do with a request.  Master, loop thread; pure: no I/O, no state, no clock.
 * docs/api.md describes it for users.
 */
#ifndef MASTER_ROUTE_H
#define MASTER_ROUTE_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "master/conf.h"
#include "master/endpoint.h"
#include "master/http_head.h"

#include <stdbool.h>

#define ROUTE_MESSAGE_MAX 256
#define ROUTE_HEADERS_MAX 512

struct route {
    enum route_kind kind;
    enum http_error error; /* for ROUTE_ERROR */
    struct camera_url url; /* for kinds with a camera, and for /api/streams with one */
    enum ipc_transport transport;
    struct ipc_client client;        /* what the request says; request.c adds the connection */
    char message[ROUTE_MESSAGE_MAX]; /* for ROUTE_ERROR */
    char headers[ROUTE_HEADERS_MAX]; /* complete lines for the answer (Allow, preflight), or "" */
    char camera_label[IPC_URL_MAX];  /* redacted URL or configured name; "" unknown */
    char camera_name[IPC_CAMERA_ID_MAX]; /* configured name, "" if the camera is asked for by URL;
                                            of a sub-stream with CONF_SUB_SUFFIX */
    bool may_be_main; /* it is a sub-stream, and the main stream would do (stream=auto) */
};

/**
 * Decide what a request asks for.
 *
 * @param conf for named cameras and [access] cameras.  Borrowed.
 * @param request complete.  Borrowed.
 * @param out  overwritten.
 * @return 0, or -EINVAL when out->kind is ROUTE_ERROR.
 */
int route_request(const struct conf *conf, enum route_port port, const struct http_request *request,
                  struct route *out);

/** Let it be about this camera of the configuration. */
void route_set_camera(struct route *route, const struct conf_camera *camera);

/** Does a camera's worker answer this kind? */
bool route_needs_camera(enum route_kind kind);

#endif /* MASTER_ROUTE_H */
