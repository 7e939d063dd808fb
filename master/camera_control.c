/*
 * An operator's control of the cameras: another configuration, the end of a stream, a new session
 * with a camera.  Master, loop thread.
 */
#include "common/clock.h"
#include "common/http_reply.h"
#include "common/log.h"
#include "master/camera_settings.h"
#include "master/camera_table_private.h"

#include <errno.h>

#define CAMERA_STOP_GRACE_MS 5000

/* --- the configuration ---------------------------------------------------- */

/* Add the cameras that stay connected without viewers. */
static void add_always_on(struct camera_table *t)
{
    for (size_t i = 0; i < t->admission.conf->camera_count; i++) {
        const struct conf_camera *c = &t->admission.conf->cameras[i];
        if (!c->always_on)
            continue;
        struct camera *cam = camera_set_find(&t->admission.cameras, c->key, c->transport);
        if (cam == NULL)
            cam = camera_table_add(t, &c->url, c->key, c->transport);
        cam->always_on = true;
    }
}

static void send_settings(struct camera *cam, void *nothing)
{
    (void)nothing;
    const struct log_context ctx = camera_log(cam);
    const struct camera_admission *a = &cam->table->admission;
    if (cam->worker == NULL)
        return;
    struct ipc_settings settings = camera_settings(cam, a->conf, &a->cameras);
    if (worker_send(cam->worker, IPC_SETTINGS, &settings, NULL) != 0)
        log_warnx(&ctx, "the worker cannot take the new settings; its next one has them");
}

void camera_table_configure(struct camera_table *table)
{
    camera_set_configure(&table->admission.cameras, table->admission.conf);
    for (size_t i = 0; i < table->admission.cameras.count; i++)
        table->admission.cameras.list[i]->always_on = false;
    add_always_on(table);
    camera_table_each(table, send_settings, NULL);
    camera_succession_renamed(table);
}

void camera_table_reload(struct camera_table *table)
{
    for (size_t i = 0; i < table->admission.cameras.count; i++)
        table->admission.cameras.list[i]->stopped = false;
    camera_table_configure(table);
}

/* --- one stream ------------------------------------------------------------- */

/* An operator wants its password to be tried again. @return false: it was too often. */
static bool forgive_password(struct camera *cam)
{
    int64_t now_ms = clock_ms();
    bool rejected = now_ms < cam->refused_until_ms ||
                    cam->state.error == HTTP_ERROR_CAMERA_UNAUTHORIZED ||
                    camera_login_is_unanswered(cam);
    bool may = login_guard_forgive(&cam->table->admission.logins, &cam->url, rejected, now_ms);
    if (may)
        cam->refused_until_ms = 0;
    return may;
}

static void note_left(const struct camera *cam)
{
    login_guard_left(&cam->table->admission.logins, &cam->url, clock_ms());
}

/* What else was remembered against the camera no longer holds. */
static void forgive(struct camera *cam)
{
    cam->crashes = 0;
    camera_health_forgive(&cam->health);
    camera_note_change(cam);
}

/* A camera may have several names: its ID is the first. */
static struct camera *find_id(const struct camera_table *table, const char *id)
{
    const struct camera_set *set = &table->admission.cameras;
    const struct conf_camera *c = conf_find_camera(table->admission.conf, id);
    struct camera *cam = camera_set_find_id(set, id);
    return cam == NULL && c != NULL ? camera_set_find(set, c->key, c->transport) : cam;
}

/* There is nothing to end at a named camera that nobody watches. */
static int absence(const struct camera_table *table, const char *id)
{
    return conf_find_camera(table->admission.conf, id) != NULL ? 0 : -ENOENT;
}

int camera_table_restart(struct camera_table *table, const char *id)
{
    struct camera *cam = find_id(table, id);
    if (cam == NULL)
        return absence(table, id);
    if (!forgive_password(cam))
        return -EACCES;
    bool unanswered = camera_login_is_unanswered(cam);
    int rc = camera_succession_yield(cam);
    if (rc == -EAGAIN)
        return rc;
    if (unanswered)
        note_left(cam);
    struct log_context ctx = camera_log(cam);
    log_info(&ctx, "its session is made anew by request");
    cam->stopped = false;
    forgive(cam);
    return 0;
}

int camera_table_stop(struct camera_table *table, const char *id)
{
    struct camera *cam = find_id(table, id);
    if (cam == NULL)
        return absence(table, id);
    bool unanswered = camera_login_is_unanswered(cam);
    int rc = cam->worker != NULL ? camera_table_end(cam, CAMERA_STOP_GRACE_MS) : 0;
    if (rc == -EAGAIN)
        return rc; /* its outbox is full; if it has died, the channel will say so */
    if (unanswered)
        note_left(cam);
    if (camera_predecessor_end(cam, CAMERA_STOP_GRACE_MS) == -EAGAIN)
        return -EAGAIN;
    struct log_context ctx = camera_log(cam);
    log_info(&ctx, "stopped by request");
    cam->stopped = true;
    (void)forgive_password(cam);
    forgive(cam);
    if (cam->worker == NULL)
        camera_clients_refuse(&table->clients, cam, HTTP_ERROR_DRAINING, "the stream was stopped");
    camera_clients_drop(&table->clients, cam);
    camera_table_release(cam);
    return 0;
}

const struct camera *camera_table_find_id(const struct camera_table *table, const char *id)
{
    return find_id(table, id);
}
