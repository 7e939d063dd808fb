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

/* While the thread makes it, the loop reads its name and peer, and nothing else. */
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

    uv_work_t work;
    char path[CONF_PATH_MAX];
    struct conf saved; /* the file's cameras, with the change */
    const char *step;  /* what failed */
};

void camera_store_init(struct camera_store *store, struct server *server, struct conf *conf)
{
    store->server = server;
    store->conf = conf;
}

/* --- end of a change --------------------------------------------------------- */

#define SUB_TEXT_MAX (IPC_URL_MAX + 64)

/* ", sub-stream URL, TYPE" without its password, or "". */
static void format_sub(const struct conf_camera *camera, char out[SUB_TEXT_MAX])
{
    char shown[IPC_URL_MAX];
    struct camera_url url;
    const char *reason;
    out[0] = '\0';
    if (camera->sub_key[0] == '\0' ||
        url_parse(&url, camera->sub_key, strlen(camera->sub_key), &reason) != 0)
        return;
    (void)url_redact(&url, shown);
    (void)snprintf(out, SUB_TEXT_MAX, ", sub-stream %s, %s", shown,
                   url_transport_name(camera->sub_transport));
    explicit_bzero(&url, sizeof(url));
}

static void log_change(const struct camera_store_change *change)
{
    char shown[IPC_URL_MAX], sub[SUB_TEXT_MAX];
    const struct log_context ctx = {.camera = change->camera.name, .client = change->peer};
    if (change->error == HTTP_ERROR_CANNOT_SAVE) {
        log_warnx(&ctx, "not %s: %s", change->remove ? "removed" : "saved", change->message);
    } else if (change->error != HTTP_ERROR_NONE) {
        return; /* a mere refusal */
    } else if (change->remove) {
        log_info(&ctx, "removed by request");
    } else {
        (void)url_redact(&change->camera.url, shown);
        format_sub(&change->camera, sub);
        log_info(&ctx, "%s by request: %s, %s%s%s", change->replaced ? "replaced" : "saved", shown,
                 url_transport_name(change->camera.transport), sub,
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

/* --- the file, in the thread ---------------------------------------------------- */

static void fail(struct camera_store_change *change, enum http_error error, const char *message)
{
    change->error = error;
    (void)snprintf(change->message, sizeof(change->message), "%s", message);
}

static void write_file(struct camera_store_change *change)
{
    size_t len = 0;
    char *bytes = camera_file_format(&change->saved, &len);
    if (bytes == NULL) {
        fail(change, HTTP_ERROR_OVERLOADED, "out of memory");
        return;
    }
    int rc = camera_file_write(change->path, bytes, len, &change->step);
    explicit_bzero(bytes, len); /* passwords */
    free(bytes);
    if (rc == 0)
        return;
    change->error = HTTP_ERROR_CANNOT_SAVE;
    (void)snprintf(change->message, sizeof(change->message),
                   "%s: cannot %s it: %s; nothing has changed", change->path, change->step,
                   strerror(-rc));
}

static void change_file(uv_work_t *work)
{
    struct camera_store_change *change = work->data;
    struct conf_text text = {.buf = change->message, .size = sizeof(change->message)};
    if (camera_file_read(change->path, &change->saved, &text) != 0) {
        conf_text_put(&text, "; nothing has changed");
        change->error = HTTP_ERROR_CANNOT_SAVE;
        return;
    }
    change->error = make_change(change);
    if (change->error == HTTP_ERROR_NONE)
        write_file(change);
}

/* --- one change after the other --------------------------------------------------- */

static void run_queue(struct camera_store *store);

static void on_changed(uv_work_t *work, int status)
{
    struct camera_store_change *change = work->data;
    struct camera_store *store = change->store;
    store->writing = false;
    if (status != 0)
        fail(change, HTTP_ERROR_CANNOT_SAVE, "no thread could change the file");
    if (change->error == HTTP_ERROR_NONE)
        apply(change);
    finish(change);
    run_queue(store);
}

static void start(struct camera_store_change *change)
{
    struct camera_store *store = change->store;
    (void)snprintf(change->path, sizeof(change->path), "%s", store->conf->access.manage_file);
    change->work.data = change;
    store->writing = true;
    (void)uv_queue_work(store->server->loop, &change->work, change_file, on_changed);
}

/* Let the thread make the next change, unless it makes one. */
static void run_queue(struct camera_store *store)
{
    while (!store->writing && store->queued > 0) {
        if (store->server->draining)
            drop(store->queue[store->first]);
        else
            start(store->queue[store->first]);
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
