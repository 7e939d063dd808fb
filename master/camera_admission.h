/*
 * May a client have what it requests?  Master, loop thread; pure but for reading the clock.  Checks
 * the bounds for all clients, each client's share of them, rejected passwords and crashes.
 */
#ifndef MASTER_CAMERA_ADMISSION_H
#define MASTER_CAMERA_ADMISSION_H

#include "common/http_reply.h"
#include "master/camera.h"
#include "master/client_share.h"
#include "master/conf.h"
#include "master/login_guard.h"
#include "master/rate_limit.h"
#include "master/workers.h"

#include <stdbool.h>
#include <stddef.h>

/* How many workers may still be leaving, beyond max_cameras. */
#define LEAVING_MAX 128

/* How many cameras one client may start a minute by their URLs, or start anew: as many may come at
 * once.  Of cameras of the configuration it may start more: four times max_cameras more. */
#define STARTS_PER_MINUTE 600
/* The texts of camera_admission.c say so. */
_Static_assert(STARTS_PER_MINUTE == 600, "a text says how many");

/* What decisions are based on.  The camera table keeps it up to date. */
struct camera_admission {
    const struct conf *conf; /* Borrowed */
    struct camera_set cameras;
    struct client_share viewers; /* viewers of all cameras */
    struct rate_limit starts;    /* of cameras by URL, by each client */
    struct rate_limit named_starts;
    struct login_memory logins;
};

/* A client's request for a camera. */
struct camera_request {
    const struct camera_url *url; /* Borrowed, like all pointers here */
    enum ipc_transport transport;
    const struct client_key *client; /* who asks */
    const union address *from;       /* where its connection comes from: a proxy, perhaps */
    const char *name;                /* by which it asked for the camera; "": by URL */
    struct ipc_client *message;      /* complete except ticket, which the camera table sets */
};

/**
 * May a camera that has a worker, or gets one, take this client?
 *
 * @param cam      NULL: not known yet.
 * @param message  on refusal: the reason, a literal.
 * @return HTTP_ERROR_NONE, or the error to answer with.
 */
enum http_error camera_admission_client(const struct camera_admission *a, const struct camera *cam,
                                        const struct camera_request *request, const char **message);

/** @return how many cameras take a place of max_cameras: one each, also while the last program's
 * worker is left beside the new one. */
size_t camera_admission_active(const struct camera_admission *a);

/**
 * May a worker be started for a client?  @return as above.
 *
 * @param named  the configuration names the camera.
 * @param held   what the client and all others hold of the workers.  Borrowed.
 */
enum http_error camera_admission_start(struct camera_admission *a,
                                       const struct camera_request *request, bool named,
                                       const struct workers_held *held, const char **message);

/** Does this client's share of cameras allow one more?  @param held  as above, without that one. */
bool camera_admission_has_share(const struct camera_admission *a, const struct client_key *client,
                                const struct workers_held *held);

/** May this client make a camera's session anew?  Parameters and result as above. */
enum http_error camera_admission_restart(struct camera_admission *a,
                                         const struct client_key *client, const char **message);

/** A camera was started for this client, or its session is made anew: that counts as a start. */
void camera_admission_started(struct camera_admission *a, const struct client_key *client,
                              bool named);

#endif /* MASTER_CAMERA_ADMISSION_H */
