#include "master/camera_body.h"

#include "common/camera_access.h"
#include "common/url_trim.h"
#include "master/conf_camera.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_ACCEPTED \
    "camera_url, cam_type, title, group, always_on, sub and sub_type are accepted"

struct body {
    const char *name;
    const struct ipc_access *access;
    struct conf_camera *camera;
    struct camera_fault *fault;
};

static int fail(struct body *b, enum http_error error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct body *b, enum http_error error, const char *fmt, ...)
{
    va_list args;
    b->fault->error = error;
    va_start(args, fmt);
    (void)vsnprintf(b->fault->message, sizeof(b->fault->message), fmt, args);
    va_end(args);
    return -EINVAL;
}

/* @return the member's text; "" if it is absent or null; NULL: it is no text. */
static const char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL || json_is_null(value) ? "" : json_string_value(value);
}

/* --- members ---------------------------------------------------------------- */

/* @param key   the member's name, for errors; likewise below.
 * @param text  NULL: it is no text. */
static int parse_url(struct body *b, const char *key, const char *text, struct camera_url *out)
{
    const char *reason;
    if (text == NULL || text[0] == '\0')
        return fail(b, HTTP_ERROR_BAD_CAMERA_URL, "%s: the camera's URL is needed, as a string",
                    key);
    if (strstr(text, "***") != NULL)
        return fail(b, HTTP_ERROR_BAD_CAMERA_URL,
                    "%s: *** stands for what the server does not show; the whole URL is needed",
                    key);
    struct span url = url_trim((struct span){text, strlen(text)}, false);
    int rc = url_parse(out, url.at, url.len, &reason);
    if (rc == -EPROTONOSUPPORT)
        return fail(b, HTTP_ERROR_UNSUPPORTED_SCHEME, "%s: %s", key, reason);
    if (rc != 0)
        return fail(b, HTTP_ERROR_BAD_CAMERA_URL, "%s: %s", key, reason);
    if (b->access->mode == IPC_ACCESS_LIST && !camera_access_host(b->access, "", out->host))
        return fail(b, HTTP_ERROR_CAMERA_NOT_ALLOWED,
                    "%s: this server does not serve cameras of this host ([access] cameras)", key);
    return 0;
}

/* @param type  "": the URL decides; NULL: it is no text. */
static int parse_type(struct body *b, const char *key, const char *type, enum url_scheme scheme,
                      enum ipc_transport *out)
{
    *out = url_default_transport(scheme);
    bool usual = type != NULL && (type[0] == '\0' || strcmp(type, url_transport_name(*out)) == 0);
    if (usual || (type != NULL && url_transport_parse(type, scheme, out) == 0))
        return 0;
    return fail(b, HTTP_ERROR_BAD_PARAMETER, "%s: " URL_TRANSPORTS_ACCEPTED, key);
}

static int read_url(struct body *b, const json_t *object)
{
    int rc = parse_url(b, "camera_url", text_of(object, "camera_url"), &b->camera->url);
    if (rc == 0)
        (void)url_format(&b->camera->url, b->camera->key);
    return rc;
}

static int read_type(struct body *b, const json_t *object)
{
    return parse_type(b, "cam_type", text_of(object, "cam_type"), b->camera->url.scheme,
                      &b->camera->transport);
}

/* In the file, a `;` after a space begins a comment. */
static bool has_comment(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == ';' && (c == text || isspace((unsigned char)c[-1])))
            return true;
    }
    return false;
}

/* @param out  CONF_TITLE_MAX bytes. */
static int read_text(struct body *b, const json_t *object, const char *key, char *out)
{
    const char *text = text_of(object, key);
    struct span given = {.at = text};
    char trimmed[CONF_TITLE_MAX] = "";
    if (text != NULL)
        given = url_trim_space((struct span){text, strlen(text)}, false);
    bool ok = text != NULL && given.len < sizeof(trimmed);
    if (ok)
        memcpy(trimmed, given.at, given.len);
    if (ok && !has_comment(trimmed) && conf_camera_set_text(out, trimmed))
        return 0;
    return fail(b, HTTP_ERROR_BAD_PARAMETER,
                "%s: " CONF_CAMERA_TITLE_ACCEPTED ", without a ';' after a space", key);
}

static int read_title(struct body *b, const json_t *object)
{
    return read_text(b, object, "title", b->camera->title);
}

static int read_group(struct body *b, const json_t *object)
{
    return read_text(b, object, "group", b->camera->group);
}

static int read_always_on(struct body *b, const json_t *object)
{
    const json_t *value = json_object_get(object, "always_on");
    if (value != NULL && !json_is_null(value) && !json_is_boolean(value))
        return fail(b, HTTP_ERROR_BAD_PARAMETER, "always_on: true or false is accepted");
    b->camera->always_on = json_is_true(value);
    return 0;
}

/* What GET shows besides may be sent back, unless it contradicts. */
static int read_name(struct body *b, const json_t *object)
{
    const char *name = text_of(object, "name");
    if (name != NULL && (name[0] == '\0' || strcmp(name, b->name) == 0))
        return 0;
    return fail(b, HTTP_ERROR_BAD_PARAMETER, "name: the name in the path counts; leave it out");
}

static int read_saved(struct body *b, const json_t *object)
{
    const json_t *value = json_object_get(object, "saved");
    if (value == NULL || json_is_true(value))
        return 0;
    return fail(b, HTTP_ERROR_BAD_PARAMETER, "saved: true is accepted; leave it out");
}

/* How the camera is, is nothing that a request decides. */
static int pass_over(struct body *b, const json_t *object)
{
    (void)b;
    (void)object;
    return 0;
}

/* --- sub-stream --------------------------------------------------------------- */

/* @param keys  names of the two members, for errors. */
static int set_sub(struct body *b, const char *const keys[2], const char *text, const char *type)
{
    struct camera_url url = {.scheme = URL_RTSP};
    if (strlen(b->name) > (size_t)CONF_SUB_NAME_MAX)
        return fail(b, HTTP_ERROR_BAD_PARAMETER,
                    "sub: names of up to %d characters can have a sub-stream", CONF_SUB_NAME_MAX);
    int rc = parse_url(b, keys[0], text, &url);
    if (rc == 0)
        rc = parse_type(b, keys[1], type, url.scheme, &b->camera->sub_transport);
    if (rc == 0)
        (void)url_format(&url, b->camera->sub_key);
    explicit_bzero(&url, sizeof(url)); /* a password */
    return rc;
}

/* A sub-stream as GET shows it. */
static int read_sub_object(struct body *b, json_t *sub)
{
    static const char *const keys[] = {"sub.camera_url", "sub.cam_type"};
    static const char *const known[] = {"camera_url", "cam_type",   "state",         "since",
                                        "reason",     "down_since", "last_frame_at", "viewers"};
    const char *key;
    json_t *value;
    json_object_foreach(sub, key, value)
    {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(key, known[i]) != 0)
            i++;
        if (i == sizeof(known) / sizeof(known[0]))
            return fail(b, HTTP_ERROR_BAD_PARAMETER,
                        "sub: it has an unknown member; camera_url and cam_type are accepted");
    }
    return set_sub(b, keys, text_of(sub, "camera_url"), text_of(sub, "cam_type"));
}

static int read_sub(struct body *b, const json_t *object)
{
    static const char *const keys[] = {"sub", "sub_type"};
    json_t *sub = json_object_get(object, "sub");
    const char *text = text_of(object, "sub");
    const char *type = text_of(object, "sub_type");
    bool has_type = type == NULL || type[0] != '\0';
    if (json_is_object(sub) && has_type)
        return fail(b, HTTP_ERROR_BAD_PARAMETER,
                    "sub_type: accepted if sub is a string; an object has its own cam_type");
    if (json_is_object(sub))
        return read_sub_object(b, sub);
    if (text == NULL)
        return fail(b, HTTP_ERROR_BAD_PARAMETER,
                    "sub: the sub-stream's URL is accepted, as a string or as GET shows it; or "
                    "null");
    if (text[0] == '\0' && has_type)
        return fail(b, HTTP_ERROR_BAD_PARAMETER, "sub_type: sub is needed with it");
    return text[0] == '\0' ? 0 : set_sub(b, keys, text, type);
}

/* --- all members -------------------------------------------------------------- */

/* The URL comes first: what fits the others depends on it. */
static const struct {
    const char *key;
    int (*read)(struct body *b, const json_t *object);
} members[] = {
    {"camera_url", read_url},      {"cam_type", read_type},
    {"title", read_title},         {"group", read_group},
    {"always_on", read_always_on}, {"name", read_name},
    {"saved", read_saved},         {"state", pass_over},
    {"since", pass_over},          {"reason", pass_over},
    {"down_since", pass_over},     {"last_frame_at", pass_over},
    {"viewers", pass_over},        {"sub", read_sub},
    {"sub_type", pass_over}, /* read_sub() */
};

#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

/* --- all of it -------------------------------------------------------------- */

static bool is_known(const char *key)
{
    size_t i = 0;
    while (i < MEMBER_COUNT && strcmp(key, members[i].key) != 0)
        i++;
    return i < MEMBER_COUNT;
}

/* May an answer repeat it?  Not what may be a URL in the wrong place. */
static bool is_word(const char *key)
{
    size_t len = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return key[len] == '\0' && len > 0 && len <= 20;
}

static int read_object(struct body *b, json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!is_known(key))
            return fail(b, HTTP_ERROR_BAD_PARAMETER, "%s: unknown; " MEMBERS_ACCEPTED,
                        is_word(key) ? key : "a member");
    }
    int rc = 0;
    b->camera->saved = true;
    for (size_t i = 0; i < MEMBER_COUNT && rc == 0; i++)
        rc = members[i].read(b, object);
    return rc;
}

/* What jansson frees held a camera's password. */
static void wipe_and_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

int camera_body_read(const char *name, const char *body, size_t len,
                     const struct ipc_access *access, struct conf_camera *camera,
                     struct camera_fault *fault)
{
    struct body b = {name, access, camera, fault};
    json_error_t error;
    memset(camera, 0, sizeof(*camera));
    (void)snprintf(camera->name, sizeof(camera->name), "%s", name);
    json_set_alloc_funcs(malloc, wipe_and_free);
    json_t *object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
    /* jansson's own text may quote the URL */
    int rc = json_is_object(object)
                 ? read_object(&b, object)
                 : fail(&b, HTTP_ERROR_BAD_REQUEST,
                        "the body has to be a JSON object in UTF-8, like {\"camera_url\": "
                        "\"rtsp://…\"}; " MEMBERS_ACCEPTED);
    json_decref(object);
    explicit_bzero(&error, sizeof(error));
    if (rc != 0)
        explicit_bzero(camera, sizeof(*camera));
    return rc;
}
