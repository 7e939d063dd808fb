#include "master/manage.h"

#include "common/xalloc.h"
#include "master/api.h"
#include "master/camera_body.h"
#include "master/camera_store.h"
#include "master/conf_camera.h"
#include "master/conn_body.h"
#include "master/server_shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOO_SLOW \
    "the disk has not taken the change in time; it may still be made: look at /api/cameras"

/* The name in the path, decoded.  @return false: it is none, which was answered. */
static bool read_name(struct conn *c, char name[IPC_CAMERA_ID_MAX])
{
    const char *text = c->head.request.path + strlen(ROUTE_API_CAMERA_PREFIX);
    memset(name, 0, IPC_CAMERA_ID_MAX);
    size_t len = url_decode(name, IPC_CAMERA_ID_MAX - 1, text, strlen(text), false);
    bool dots = strspn(name, ".") == len; /* proxies take `.` and `..` for folders */
    if (len < IPC_CAMERA_ID_MAX && strlen(name) == len && !dots && conf_camera_name_ok(name))
        return true;
    conn_refuse(c, HTTP_ERROR_BAD_PARAMETER,
                "the name in the path: " CONF_CAMERA_NAME_ACCEPTED
                "; a title may be in any script");
    return false;
}

/* May this request change a camera, and which?  @return false: it was refused. */
static bool may_change(struct conn *c, char name[IPC_CAMERA_ID_MAX])
{
    const struct conf *conf = c->server->conf;
    const struct conf_camera *camera;
    if (!conf->access.manage) {
        conn_refuse(c, HTTP_ERROR_MANAGE_OFF,
                    "cameras are changed in the configuration file; [access] manage = yes would "
                    "let requests do it");
        return false;
    }
    if (c->server->draining) {
        conn_refuse(c, HTTP_ERROR_DRAINING, "the server is stopping");
        return false;
    }
    if (!read_name(c, name))
        return false;
    camera = conf_find_camera(conf, name);
    if (camera == NULL || camera->saved)
        return true;
    conn_answer_error(c, HTTP_ERROR_CAMERA_IN_FILE, "", name,
                      "this camera is in the server's configuration file, where its operator "
                      "changes it; another name is accepted");
    return false;
}

/* --- answers ------------------------------------------------------------------ */

static void answer_saved(struct conn *c, const struct camera_store_result *result)
{
    char headers[128];
    char *json = api_camera(c->server->conf, camera_table_set(c->server->cameras), result->camera);
    if (json == NULL) {
        conn_refuse(c, HTTP_ERROR_OVERLOADED, "out of memory: the camera is saved");
        return;
    }
    conn_hold_text(c, shared_text_new(json, &c->server->text_bytes));
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: application/json\r\nCache-Control: no-store\r\n"
                   "Content-Length: %zu\r\n",
                   c->text->len);
    size_t len = http_reply_head(conn_output(c), result->replaced ? 200 : 201,
                                 c->head.request.origin, headers);
    conn_answer_with(c, len, c->text->text, c->text->len);
}

static void on_changed(struct server *server, uint64_t conn_id,
                       const struct camera_store_result *result)
{
    struct conn *c = conn_wait_find(server, conn_id);
    if (c == NULL)
        return; /* it has left, or was answered for being late */
    if (result->error != HTTP_ERROR_NONE)
        conn_answer_error(c, result->error, "", result->camera->name, result->message);
    else if (result->removed)
        conn_answer(c, http_reply_head(conn_output(c), 204, c->head.request.origin, ""));
    else
        answer_saved(c, result);
    conn_read_on(c);
}

/* If-None-Match: * (RFC 9110 section 13.1.2).  A list of entity tags matches nothing: no answer
 * here has one. */
static bool wants_new(const struct conn *c)
{
    const char *value = c->head.request.if_none_match;
    return value[0] == '*' && value[1 + strspn(value + 1, " \t")] == '\0';
}

static void change(struct conn *c, const struct conf_camera *camera, bool remove)
{
    conn_wait(c, HTTP_ERROR_CANNOT_SAVE, TOO_SLOW);
    if (camera_store_change(c->server->store, camera, remove, wants_new(c), c->peer, c->id,
                            on_changed))
        return;
    conn_refuse(c, HTTP_ERROR_OVERLOADED, "64 changes of cameras are waiting; try again");
    conn_read_on(c);
}

/* --- requests ----------------------------------------------------------------- */

static void on_body(struct conn *c)
{
    char name[IPC_CAMERA_ID_MAX];
    struct camera_fault fault = {0};
    if (!may_change(c, name)) /* a reload may have come between */
        return;
    struct conf_camera *camera = xcalloc(1, sizeof(*camera));
    if (camera_body_read(name, c->body->bytes, c->body->len, &c->server->conf->access.cameras,
                         camera, &fault) == 0)
        change(c, camera, false);
    else
        conn_answer_error(c, fault.error, "", name, fault.message);
    explicit_bzero(camera, sizeof(*camera)); /* its password */
    free(camera);
}

void manage_save(struct conn *c)
{
    char name[IPC_CAMERA_ID_MAX];
    if (!may_change(c, name))
        return;
    if (c->head.request.in_chunks)
        conn_refuse(c, HTTP_ERROR_BAD_REQUEST,
                    "Transfer-Encoding: a body with Content-Length is accepted");
    else if (c->head.request.body_len > CAMERA_BODY_MAX)
        conn_refuse(c, HTTP_ERROR_BODY_TOO_LARGE, "a body of up to 16384 bytes is accepted");
    else
        conn_body_read(c, on_body);
}

void manage_remove(struct conn *c)
{
    struct conf_camera *camera = xcalloc(1, sizeof(*camera));
    if (may_change(c, camera->name))
        change(c, camera, true);
    free(camera);
}
