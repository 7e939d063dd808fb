/*
 * Dispatches each client to its camera's worker: may one be started, which other camera makes room
 * for it, and for whom does it count?  Master, loop thread.  camera_admission.h has the bounds.
 */
#include "common/clock.h"
#include "common/url.h"
#include "master/camera_table_private.h"

/* Does the client's share allow that the camera's worker counts for it instead? */
static bool may_count_for(const struct camera *cam, const struct client_key *client)
{
    struct workers_held held = workers_held_by(cam->table->workers, client);
    held.requested -= held.requested > 0; /* it counts already, for whoever started it */
    return cam->named || camera_admission_has_share(&cam->table->admission, client, &held);
}

void camera_find_starter(struct camera *cam)
{
    if (cam->worker == NULL || cam->guests.count == 0)
        return;
    if (!guest_list_has(&cam->guests, &cam->starter)) {
        const struct client_key *client =
            &guest_list_find(&cam->guests, guest_list_any(&cam->guests))->client;
        if (may_count_for(cam, client))
            cam->starter = *client;
    }
    worker_count_for(cam->worker, camera_starter(cam));
}

/* Find a camera that has no clients and need not run, preferably one that does not stream.
 * @param starter  of this client alone; NULL: of anybody. */
static struct camera *find_unwanted(const struct camera_table *t, const struct client_key *starter)
{
    struct camera *streaming = NULL;
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        struct camera *cam = t->admission.cameras.list[i];
        if (cam->worker == NULL || cam->always_on || cam->guests.count > 0 ||
            !LIST_EMPTY(&cam->predecessors) || /* it will get their clients */
            (starter != NULL && (cam->named || !client_key_equal(&cam->starter, starter))))
            continue;
        if (camera_state(cam) != IPC_CAMERA_STREAMING)
            return cam;
        if (streaming == NULL)
            streaming = cam;
    }
    return streaming;
}

/* A camera that nobody watches or waits for makes room, when all places are taken, or the client
 * has its share and this is one of its own. @return false: there is none. */
static bool make_place(struct camera_table *t, enum http_error error,
                       const struct client_key *client)
{
    struct camera *unwanted = NULL;
    if (error == HTTP_ERROR_TOO_MANY_CAMERAS)
        unwanted = find_unwanted(t, NULL);
    else if (error == HTTP_ERROR_CLIENT_SHARE)
        unwanted = find_unwanted(t, client);
    if (unwanted == NULL || camera_table_leave(unwanted) != 0)
        return false;
    camera_table_release(unwanted);
    return true;
}

static enum http_error may_start(struct camera_table *t, const struct camera_request *request,
                                 bool named, const char **message)
{
    const struct workers_held held = workers_held_by(t->workers, request->client);
    return camera_admission_start(&t->admission, request, named, &held, message);
}

/* The camera that made room is one of those that leave now: that was allowed before. */
static enum http_error may_take_place(struct camera_table *t, const struct camera_request *request,
                                      bool named, const char **message)
{
    struct workers_held held = workers_held_by(t->workers, request->client);
    held.leaving -= held.leaving > 0;
    return camera_admission_start(&t->admission, request, named, &held, message);
}

/* @return the camera, or the predecessor whose worker serves whoever comes before the camera's own
 * streams: then its clients move, these too.  One that makes way has the camera's only session
 * until it has gone: its new clients wait for that. */
static struct camera *worker_owner(struct camera *cam)
{
    struct camera *past;
    const struct camera *serving = camera_serving(cam);
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        if (past == serving && past->worker != NULL)
            return past;
    }
    return cam;
}

/* @param cam     NULL: not known yet.
 * @param owner   whose worker gets the client. */
static enum http_error admit(struct camera_table *t, const struct camera *cam,
                             const struct camera *owner, bool named,
                             const struct camera_request *request, const char **message)
{
    enum http_error error = camera_admission_client(&t->admission, cam, request, message);
    if (error != HTTP_ERROR_NONE || (owner != NULL && owner->worker != NULL))
        return error;
    error = may_start(t, request, named, message);
    if (make_place(t, error, request->client))
        error = may_take_place(t, request, named, message);
    return error;
}

/* @return 0 or negative errno: then the camera is forgotten, if nothing else is known of it. */
static int start_for(struct camera *cam, const struct client_key *client, bool named)
{
    cam->starter = *client;
    int rc = camera_table_start(cam, false);
    if (rc == 0)
        camera_admission_started(&cam->table->admission, client, named);
    else
        camera_table_release(cam);
    return rc;
}

enum http_error camera_table_dispatch(struct camera_table *table,
                                      const struct camera_request *request, int *fd,
                                      const char **message)
{
    char key[IPC_URL_MAX];
    (void)url_format(request->url, key);
    struct camera *cam = camera_set_find(&table->admission.cameras, key, request->transport);
    bool named = camera_set_configured(&table->admission.cameras, key, request->transport) != NULL;
    struct camera *owner = cam != NULL ? worker_owner(cam) : NULL;
    enum http_error error = admit(table, cam, owner, named, request, message);
    if (error != HTTP_ERROR_NONE) {
        if (cam != NULL)
            cam->asked_ms = clock_ms();
        return error;
    }
    if (cam == NULL)
        owner = cam = camera_table_add(table, request->url, key, request->transport);
    cam->stopped = false;
    camera_login_renew(owner);
    if (owner->worker == NULL && start_for(cam, request->client, named) != 0) {
        *message = "no worker process can be started at the moment";
        return HTTP_ERROR_OVERLOADED;
    }
    cam->asked_ms = clock_ms();
    if (camera_clients_send(&table->clients, owner, request, fd) != 0) {
        *message = "the camera's worker cannot take more requests at the moment";
        return HTTP_ERROR_OVERLOADED;
    }
    return HTTP_ERROR_NONE;
}

bool camera_table_may_restart(struct camera_table *table, const struct client_key *client,
                              const char **message)
{
    return camera_admission_restart(&table->admission, client, message) == HTTP_ERROR_NONE;
}

void camera_table_restarted(struct camera_table *table, const struct client_key *client)
{
    camera_admission_started(&table->admission, client, false);
}
