/*
 * May a client have what it asks of a camera?  Master, loop thread; pure but for reading the clock.
 * The bounds of all clients and each client's share of them, rejected passwords, crashes.
 */
#ifndef MASTER_CAMERA_ADMISSION_H
#define MASTER_CAMERA_ADMISSION_H

#include "common/http_reply.h"
#include "master/camera.h"
#include "master/client_share.h"
#include "master/conf.h"
#include "master/login_guard.h"

#include <stdbool.h>
#include <stddef.h>

/* Workers of streams that ended, beyond max_cameras. */
#define LEAVING_MAX 64

/* What is decided by.  The camera table keeps it up to date. */
struct camera_admission {
    const struct conf *conf; /* Borrowed */
    struct camera_set cameras;
    size_t active;                  /* with a worker */
    struct client_share viewers;    /* of all cameras */
    struct client_share connecting; /* cameras that somebody asked for and that have not streamed */
    struct login_guard logins;
};

/* Who asks for a camera, and what for. */
struct camera_request {
    const struct camera_url *url; /* Borrowed, as all */
    enum ipc_transport transport;
    const struct client_key *client;
    struct ipc_client *message; /* complete but for the ticket, which is set */
};

/**
 * May a camera that has a worker, or gets one, take this client?
 *
 * @param cam      NULL: not known yet.
 * @param message  why not; a literal.
 * @return HTTP_ERROR_NONE, or what to answer.
 */
enum http_error camera_admission_client(const struct camera_admission *a, const struct camera *cam,
                                        const struct camera_request *request, const char **message);

/**
 * May a worker be started for a client?
 *
 * @param named  the configuration names the camera.
 * @param busy   workers that have a camera or are leaving.
 */
enum http_error camera_admission_start(const struct camera_admission *a,
                                       const struct camera_request *request, bool named,
                                       size_t busy, const char **message);

#endif /* MASTER_CAMERA_ADMISSION_H */
