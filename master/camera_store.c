#include "master/camera_store.h"

#include "common/log.h"
#include "common/url_redact.h"
#include "common/xalloc.h"
#include "master/camera_file.h"
#include "master/conf_camera.h"
#include "master/server_shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct camera_store_change {
    struct camera_store *store;
    struct conf_camera camera;
    bool remove;
    bool only_new;
    bool replaced;
    uint64_t conn_id;
    char peer[IPC_PEER_MAX];
    camera_store_fn done;
    enum http_error error;
    char message[CAMERA_STORE_MESSAGE_MAX];

    struct conf saved; /* the file's cameras, with the change */
    uv_work_t work;    /* the following belongs to the thread meanwhile */
    char path[CONF_PATH_MAX];
    char *bytes;
    size_t len;
    int rc;
    const char *step;
};

void camera_store_init(struct camera_store *store, struct server *server, struct conf *conf)
{
    store->server = server;
    store->conf = conf;
}

/* --- end of a change --------------------------------------------------------- */

static void log_change(const struct camera_store_change *change)
{
    char shown[IPC_URL_MAX];
    const struct log_context ctx = {.camera = change->camera.name, .client = change->peer};
    if (change->error == HTTP_ERROR_CANNOT_SAVE) {
        log_warnx(&ctx, "not %s: %s", change->remove ? "removed" : "saved", change->message);
    } else if (change->error != HTTP_ERROR_NONE) {
        return; /* a mere refusal */
    } else if (change->remove) {
        log_info(&ctx, "removed by request");
    } else {
        (void)url_redact(&change->camera.url, shown);
        log_info(&ctx, "%s by request: %s, %s%s", change->replaced ? "replaced" : "saved", shown,
                 url_transport_name(change->camera.transport),
                 change->camera.always_on ? ", always on" : "");
    }
    if (change->step != NULL && change->error == HTTP_ERROR_NONE)
        log_warnx(&ctx, "%s: cannot %s: a power cut may undo this change", change->path,
                  change->step);
}

static void count_change(struct camera_store *store, const struct camera_store_change *change)
{
    if (change->error == HTTP_ERROR_CANNOT_SAVE)
        store->failed++;
    else if (change->error == HTTP_ERROR_NONE && change->remove)
        store->removed++;
    else if (change->error == HTTP_ERROR_NONE)
        store->saved++;
}

static void drop(struct camera_store_change *change)
{
    struct camera_store *store = change->store;
    store->queue[store->first] = NULL;
    store->first = (store->first + 1) % CAMERA_STORE_QUEUE_MAX;
    store->queued--;
    conf_clear_cameras(&change->saved);
    explicit_bzero(change, sizeof(*change)); /* a camera's password */
    free(change);
}

static void finish(struct camera_store_change *change)
{
    struct camera_store *store = change->store;
    const struct camera_store_result result = {.error = change->error,
                                               .message = change->message,
                                               .camera = &change->camera,
                                               .replaced = change->replaced,
                                               .removed = change->remove};
    log_change(change);
    count_change(store, change);
    if (!store->server->draining)
        change->done(store->server, change->conn_id, &result);
    drop(change);
}

/* --- the configuration in force ------------------------------------------------ */

/* A reload meanwhile may have chosen another file, or none. */
static void apply(struct camera_store_change *change)
{
    struct camera_store *store = change->store;
    struct server *server = store->server;
    if (server->draining || !store->conf->access.manage ||
        strcmp(store->conf->access.manage_file, change->path) != 0)
        return;
    if (conf_camera_set_saved(store->conf, &change->saved) != 0) {
        log_errorx(NULL, "out of memory: %s is saved, a reload will take it up", change->path);
        return;
    }
    camera_table_configure(server->cameras);
    server_expire_texts(server);
}

/* --- the file ------------------------------------------------------------------ */

static void write_file(uv_work_t *work)
{
    struct camera_store_change *change = work->data;
    change->rc = camera_file_write(change->path, change->bytes, change->len, &change->step);
}

static void run_queue(struct camera_store *store);

static void on_written(uv_work_t *work, int status)
{
    struct camera_store_change *change = work->data;
    struct camera_store *store = change->store;
    store->writing = false;
    explicit_bzero(change->bytes, change->len); /* passwords */
    free(change->bytes);
    if (status != 0)
        change->rc = status;
    if (change->rc == 0) {
        apply(change);
    } else {
        change->error = HTTP_ERROR_CANNOT_SAVE;
        (void)snprintf(change->message, sizeof(change->message),
                       "%s: cannot %s it: %s; nothing has changed", change->path,
                       status == 0 ? change->step : "write", strerror(-change->rc));
    }
    finish(change);
    run_queue(store);
}

/* --- the change ------------------------------------------------------------------ */

static void remove_camera(struct conf *saved, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < saved->camera_count; i++) {
        if (strcmp(saved->cameras[i].name, name) != 0)
            saved->cameras[n++] = saved->cameras[i];
    }
    explicit_bzero(&saved->cameras[n], sizeof(*saved->cameras) * (saved->camera_count - n));
    saved->camera_count = n;
}

/* @return HTTP_ERROR_NONE, or why the camera cannot be put there, with the message filled. */
static enum http_error put_camera(struct camera_store_change *change, struct conf_camera *old)
{
    if (old != NULL) {
        *old = change->camera;
        return HTTP_ERROR_NONE;
    }
    if (change->saved.camera_count >= CAMERA_FILE_MAX) {
        (void)snprintf(change->message, sizeof(change->message),
                       "%d cameras are saved already, and no more are accepted: remove one, or "
                       "use the configuration file",
                       CAMERA_FILE_MAX);
        return HTTP_ERROR_CANNOT_SAVE;
    }
    if (conf_camera_add(&change->saved, &change->camera) != NULL)
        return HTTP_ERROR_NONE;
    (void)snprintf(change->message, sizeof(change->message), "out of memory");
    return HTTP_ERROR_OVERLOADED;
}

/* Change the cameras that were read.  The index of their names is not kept up. */
static enum http_error make_change(struct camera_store_change *change)
{
    const char *name = change->camera.name;
    struct conf_camera *old =
        (struct conf_camera *)(uintptr_t)conf_find_camera(&change->saved, name);
    change->replaced = old != NULL;
    if (old != NULL && change->only_new) {
        (void)snprintf(change->message, sizeof(change->message),
                       "a camera of this name is saved already, and If-None-Match: * keeps it; "
                       "another name is accepted");
        return HTTP_ERROR_CAMERA_EXISTS;
    }
    if (!change->remove)
        return put_camera(change, old);
    if (old == NULL) {
        (void)snprintf(change->message, sizeof(change->message), "no camera of this name is saved");
        return HTTP_ERROR_UNKNOWN_CAMERA;
    }
    remove_camera(&change->saved, name);
    return HTTP_ERROR_NONE;
}

/* @return true: the thread writes it; false: it has failed, with error and message. */
static bool start(struct camera_store_change *change)
{
    struct conf_text text = {.buf = change->message, .size = sizeof(change->message)};
    (void)snprintf(change->path, sizeof(change->path), "%s",
                   change->store->conf->access.manage_file);
    if (camera_file_read(change->path, &change->saved, &text) != 0) {
        conf_text_put(&text, "; nothing has changed");
        change->error = HTTP_ERROR_CANNOT_SAVE;
        return false;
    }
    change->error = make_change(change);
    if (change->error != HTTP_ERROR_NONE)
        return false;
    change->bytes = camera_file_format(&change->saved, &change->len);
    change->work.data = change;
    if (change->bytes == NULL) {
        change->error = HTTP_ERROR_OVERLOADED;
        (void)snprintf(change->message, sizeof(change->message), "out of memory");
        return false;
    }
    (void)uv_queue_work(change->store->server->loop, &change->work, write_file, on_written);
    return true;
}

/* Make changes until the thread has one to write. */
static void run_queue(struct camera_store *store)
{
    while (!store->writing && store->queued > 0) {
        struct camera_store_change *first = store->queue[store->first];
        if (store->server->draining)
            drop(first);
        else if (start(first))
            store->writing = true;
        else
            finish(first);
    }
}

bool camera_store_change(struct camera_store *store, const struct conf_camera *camera, bool remove,
                         bool only_new, const char *peer, uint64_t conn_id, camera_store_fn done)
{
    if (store->queued >= CAMERA_STORE_QUEUE_MAX)
        return false;
    struct camera_store_change *change = xcalloc(1, sizeof(*change));
    change->store = store;
    change->camera = *camera;
    change->remove = remove;
    change->only_new = only_new;
    change->conn_id = conn_id;
    change->done = done;
    (void)snprintf(change->peer, sizeof(change->peer), "%s", peer);
    store->queue[(store->first + store->queued++) % CAMERA_STORE_QUEUE_MAX] = change;
    run_queue(store);
    return true;
}

void camera_store_give_up(const struct camera_store *store)
{
    for (size_t i = 0; i < store->queued; i++) {
        const struct camera_store_change *change =
            store->queue[(store->first + i) % CAMERA_STORE_QUEUE_MAX];
        const struct log_context ctx = {.camera = change->camera.name, .client = change->peer};
        log_warnx(&ctx, "%s: another program takes over, and the disk has not taken the change",
                  i == 0 && store->writing ? "perhaps not saved" : "not saved");
    }
}
