#include "master/camera_admission.h"

#include "common/clock.h"

/* How many snapshot and MJPEG clients a worker takes at a time (snapshot.h). */
#define PICTURES_MAX 512
/* Nobody's wall of tiles shows one camera more often. */
#define ONE_CAMERA_FLOOR 4
/* A wall that turns the page leaves all its cameras at once. */
#define LEAVING_FLOOR CLIENT_SHARE_FLOOR

/* To push a user's only rejected password out of the login guard, before it is forgotten, another
 * client must have two rejected of each of LOGIN_MAX other users. */
_Static_assert(INT64_C(2) * LOGIN_MAX > STARTS_PER_MINUTE * (LOGIN_FORGIVEN_MS / 60000 + 1),
               "one client can make the login guard forget");

/* Does the client's share allow one more? */
static bool has_share(const struct camera_admission *a, const struct client_share *share,
                      const struct client_key *client, size_t limit)
{
    return client_share_allows(share, client, limit, a->conf->server.client_share,
                               CLIENT_SHARE_FLOOR);
}

/* The camera's predecessors have viewers of theirs. */
static size_t viewers_held(const struct camera *cam, const struct client_key *client)
{
    size_t held = client_share_held(&cam->guests.viewers, client);
    const struct camera *past;
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        held += client_share_held(&past->guests.viewers, client);
    }
    return held;
}

static enum http_error may_watch(const struct camera_admission *a, const struct camera *cam,
                                 const struct client_key *client, const char **message)
{
    uint32_t per_camera = a->conf->server.max_viewers_per_camera;
    size_t limit = a->conf->server.max_viewers;
    if (cam != NULL && per_camera > 0 && camera_viewers(cam) >= per_camera) {
        *message = "this camera has as many viewers as [server] max_viewers_per_camera allows";
        return HTTP_ERROR_TOO_MANY_VIEWERS;
    }
    if (cam != NULL && per_camera > 0 &&
        !client_share_fair(client, viewers_held(cam, client), camera_viewers(cam), per_camera,
                           a->conf->server.client_share, ONE_CAMERA_FLOOR)) {
        *message =
            "your address has used up its share of this camera's viewers ([server] client_share)";
        return HTTP_ERROR_CLIENT_SHARE;
    }
    if (a->viewers.total >= limit) {
        *message = "the server has as many viewers as [server] max_viewers allows";
        return HTTP_ERROR_TOO_MANY_VIEWERS;
    }
    if (!has_share(a, &a->viewers, client, limit)) {
        *message =
            "your address has used up its share of the server's viewers ([server] client_share)";
        return HTTP_ERROR_CLIENT_SHARE;
    }
    return HTTP_ERROR_NONE;
}

/* For snapshots and MJPEG.  When all places are taken, the worker refuses. */
static enum http_error may_take_pictures(const struct camera_admission *a, const struct camera *cam,
                                         const struct client_key *client, const char **message)
{
    const struct client_share *pictures =
        cam != NULL ? &camera_serving(cam)->guests.pictures : NULL;
    if (pictures == NULL || pictures->total >= PICTURES_MAX ||
        has_share(a, pictures, client, PICTURES_MAX))
        return HTTP_ERROR_NONE;
    *message =
        "your address has used up its share of this camera's snapshots ([server] client_share)";
    return HTTP_ERROR_CLIENT_SHARE;
}

/* Is it a camera of the configuration, not a sub-stream, that has its worker? */
static bool holds_place(const struct camera_admission *a, const struct camera *cam)
{
    const struct conf_camera *c = cam->named ? conf_find_camera(a->conf, cam->id) : NULL;
    return camera_is_served(cam) && c != NULL && !c->is_sub;
}

/* Places kept for cameras of the configuration: one for each without a worker, at most half. */
static size_t places_kept(const struct camera_admission *a)
{
    size_t half = a->conf->server.max_cameras / 2;
    size_t absent = a->conf->camera_count;
    for (size_t i = 0; i < a->cameras.count; i++)
        absent -= holds_place(a, a->cameras.list[i]) && absent > 0;
    return absent < half ? absent : half;
}

static const char password_refused[] =
    "the camera rejected the user name or password; it is not asked again for five minutes, "
    "because cameras lock accounts";

static const char password_refused_by_another[] =
    "another camera of this host rejected the user name or password; this one is asked after one "
    "to five minutes, because cameras lock accounts";

/* It has a worker, which would try the password again. */
static bool is_refused(const struct camera_admission *a, const struct camera *cam)
{
    int64_t now_ms = clock_ms();
    return now_ms < cam->refused_until_ms ||
           (cam->state.error == HTTP_ERROR_CAMERA_UNAUTHORIZED &&
            login_guard_ask(&a->logins, &cam->url, now_ms) == LOGIN_REFUSED);
}

static enum http_error may_serve(const struct camera_admission *a, const struct camera *cam,
                                 const char **message)
{
    if (cam != NULL && is_refused(a, cam)) {
        *message = password_refused;
        return HTTP_ERROR_CAMERA_UNAUTHORIZED;
    }
    if (cam != NULL && camera_serving(cam)->worker == NULL && camera_quarantine_ms(cam) > 0) {
        *message = "this camera's worker has crashed repeatedly; try again in a moment";
        return HTTP_ERROR_OVERLOADED;
    }
    return HTTP_ERROR_NONE;
}

/* A camera of the configuration has its owner's password: others' guesses do not delay it. */
static enum http_error may_log_in(const struct camera_admission *a, const struct camera_url *url,
                                  bool named, const char **message)
{
    enum login_verdict verdict = login_guard_ask(&a->logins, url, clock_ms());
    if (verdict == LOGIN_ALLOWED || (verdict == LOGIN_WAIT && named))
        return HTTP_ERROR_NONE;
    *message = verdict == LOGIN_REFUSED
                   ? password_refused_by_another
                   : "the camera rejected several passwords of this user; another one has to wait "
                     "for minutes, because cameras lock accounts";
    return HTTP_ERROR_CAMERA_UNAUTHORIZED;
}

enum http_error camera_admission_client(const struct camera_admission *a, const struct camera *cam,
                                        const struct camera_request *request, const char **message)
{
    enum ipc_client_kind kind = (enum ipc_client_kind)request->message->kind;
    enum http_error error = may_serve(a, cam, message);
    if (error == HTTP_ERROR_NONE && guest_is_viewer(kind))
        error = may_watch(a, cam, request->client, message);
    if (error == HTTP_ERROR_NONE && kind != IPC_CLIENT_STREAM)
        error = may_take_pictures(a, cam, request->client, message);
    return error;
}

size_t camera_admission_active(const struct camera_admission *a)
{
    size_t active = 0;
    for (size_t i = 0; i < a->cameras.count; i++)
        active += camera_is_served(a->cameras.list[i]);
    return active;
}

static size_t places(const struct camera_admission *a, bool named)
{
    size_t max = a->conf->server.max_cameras;
    return named ? max : max - places_kept(a);
}

/* @return how many of the places for cameras by URL no camera of the configuration has. */
static size_t places_left(const struct camera_admission *a, size_t places_by_url)
{
    size_t named = 0;
    for (size_t i = 0; i < a->cameras.count; i++)
        named += a->cameras.list[i]->named && camera_is_served(a->cameras.list[i]);
    return named < places_by_url ? places_by_url - named : 0;
}

static bool may_own(const struct camera_admission *a, const struct client_key *client,
                    const struct workers_held *held, size_t limit)
{
    return client_share_fair(client, held->own, held->requested, limit,
                             a->conf->server.client_share, CLIENT_SHARE_FLOOR);
}

bool camera_admission_has_share(const struct camera_admission *a, const struct client_key *client,
                                const struct workers_held *held)
{
    return may_own(a, client, held, places_left(a, places(a, false)));
}

/* A client that stops cameras, so that others can be started, holds up nobody by those that are
 * slow to leave.  That comes first: no camera makes room for one that cannot be started. */
static enum http_error may_hold(const struct camera_admission *a, const struct client_key *client,
                                const struct workers_held *held, size_t limit, const char **message)
{
    unsigned percent = a->conf->server.client_share;
    if (!client_share_fair(client, held->leaving, held->leaving, LEAVING_MAX, percent,
                           LEAVING_FLOOR)) {
        *message = "workers of streams that you stopped are still leaving; try again in a moment";
        return HTTP_ERROR_OVERLOADED;
    }
    if (held->requested < limit && !may_own(a, client, held, limit)) {
        *message = "your address has used up its share of the cameras ([server] client_share)";
        return HTTP_ERROR_CLIENT_SHARE;
    }
    return HTTP_ERROR_NONE;
}

/* Somebody may poll all cameras of the configuration, each of which leaves in between. */
static uint32_t named_per_minute(const struct conf *conf)
{
    size_t cameras = conf->server.max_cameras;
    if (cameras < conf->camera_count)
        cameras = conf->camera_count;
    return (uint32_t)(STARTS_PER_MINUTE + 4 * cameras);
}

static bool is_counted(const struct camera_admission *a, const struct client_key *client)
{
    return a->conf->server.client_share < 100 && !client_key_is_none(client);
}

static enum http_error may_start_named(struct camera_admission *a, const struct client_key *client,
                                       const char **message)
{
    if (!is_counted(a, client) ||
        rate_limit_allows(&a->named_starts, client, named_per_minute(a->conf), clock_ms()))
        return HTTP_ERROR_NONE;
    *message = "your address has started cameras of the configuration too often within a minute: "
               "600 starts and four for each camera, of max_cameras or of the configuration, are "
               "allowed ([server] client_share)";
    return HTTP_ERROR_OVERLOADED;
}

enum http_error camera_admission_restart(struct camera_admission *a,
                                         const struct client_key *client, const char **message)
{
    if (!is_counted(a, client) ||
        rate_limit_allows(&a->starts, client, STARTS_PER_MINUTE, clock_ms()))
        return HTTP_ERROR_NONE;
    *message = "your address has started 600 cameras within a minute ([server] client_share)";
    return HTTP_ERROR_OVERLOADED;
}

void camera_admission_started(struct camera_admission *a, const struct client_key *client,
                              bool named)
{
    if (!is_counted(a, client))
        return;
    if (named)
        (void)rate_limit_pass(&a->named_starts, client, named_per_minute(a->conf), clock_ms());
    else
        (void)rate_limit_pass(&a->starts, client, STARTS_PER_MINUTE, clock_ms());
}

enum http_error camera_admission_start(struct camera_admission *a,
                                       const struct camera_request *request, bool named,
                                       const struct workers_held *held, const char **message)
{
    size_t max = a->conf->server.max_cameras;
    size_t limit = places(a, named);
    enum http_error error = may_log_in(a, request->url, named, message);
    if (error == HTTP_ERROR_NONE && !named)
        error = may_hold(a, request->client, held, places_left(a, limit), message);
    if (error != HTTP_ERROR_NONE)
        return error;
    if (held->busy >= max + LEAVING_MAX) {
        *message = "workers of streams that were stopped are still leaving; try again in a moment";
        return HTTP_ERROR_OVERLOADED;
    }
    if (camera_admission_active(a) >= limit) {
        *message = limit < max
                       ? "the remaining places of [server] max_cameras are kept for cameras "
                         "of the configuration"
                       : "the server has as many cameras as [server] max_cameras allows";
        return HTTP_ERROR_TOO_MANY_CAMERAS;
    }
    return named ? may_start_named(a, request->client, message)
                 : camera_admission_restart(a, request->client, message);
}
