#include "master/conf_camera.h"

#include "common/escape.h"
#include "common/url_text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(IPC_CAMERA_ID_MAX == 64, "CONF_CAMERA_NAME_ACCEPTED says 63");
_Static_assert(CONF_TITLE_MAX == 128, "CONF_CAMERA_TITLE_ACCEPTED says 127");

bool conf_camera_name_ok(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= IPC_CAMERA_ID_MAX)
        return false;
    for (const char *c = name; *c != '\0'; c++) {
        if (!char_is_alnum(*c) && strchr("._-", *c) == NULL)
            return false;
    }
    return len < 4 || strcmp(name + len - 4, ".flv") != 0; /* that ending is cut off in requests */
}

bool conf_camera_set_text(char out[CONF_TITLE_MAX], const char *text)
{
    char escaped[6 * CONF_TITLE_MAX];
    size_t len = strlen(text);
    /* escape_text() changes what is neither printable nor UTF-8 */
    if (len >= CONF_TITLE_MAX || escape_text(escaped, sizeof(escaped), text, false) != len)
        return false;
    memset(out, 0, CONF_TITLE_MAX); /* cameras are compared whole */
    (void)snprintf(out, CONF_TITLE_MAX, "%s", text);
    return true;
}

/* Cameras move when their array grows, so rebuild the index of their names. */
static void index_names(struct conf *conf)
{
    text_index_clear(&conf->names);
    for (size_t i = 0; i < conf->camera_count; i++)
        text_index_put(&conf->names, conf->cameras[i].name, &conf->cameras[i]);
}

/* Move the cameras to an array of twice the size.  The old one is wiped, which realloc() does not:
 * it holds passwords.  @return NULL: out of memory, nothing was moved. */
static struct conf_camera *grow_cameras(struct conf_camera *cameras, size_t count)
{
    struct conf_camera *grown = calloc(count > 0 ? 2 * count : 1, sizeof(*grown));
    if (grown == NULL)
        return NULL;
    if (count > 0) {
        memcpy(grown, cameras, count * sizeof(*grown));
        explicit_bzero(cameras, count * sizeof(*grown));
    }
    free(cameras);
    return grown;
}

struct conf_camera *conf_camera_add(struct conf *conf, const struct conf_camera *camera)
{
    if ((conf->camera_count & (conf->camera_count - 1)) == 0) { /* full */
        struct conf_camera *grown = grow_cameras(conf->cameras, conf->camera_count);
        if (grown == NULL)
            return NULL;
        conf->cameras = grown;
        index_names(conf);
    }
    struct conf_camera *added = &conf->cameras[conf->camera_count++];
    *added = *camera;
    text_index_put(&conf->names, added->name, added);
    return added;
}

/* --- sub-streams -------------------------------------------------------------- */

static void make_sub(const struct conf_camera *c, struct conf_camera *out)
{
    const char *reason;
    (void)snprintf(out->name, sizeof(out->name), "%.*s" CONF_SUB_SUFFIX, CONF_SUB_NAME_MAX,
                   c->name);
    memcpy(out->key, c->sub_key, sizeof(out->key));
    int rc = url_parse(&out->url, out->key, strlen(out->key), &reason);
    assert(rc == 0); /* url_format() wrote it */
    memcpy(out->title, c->title, sizeof(out->title));
    memcpy(out->group, c->group, sizeof(out->group));
    out->transport = c->sub_transport;
    out->saved = c->saved;
    out->is_sub = true;
}

static void forget_subs(struct conf *conf)
{
    for (size_t i = 0; i < conf->sub_count; i++) {
        text_index_remove(&conf->names, conf->subs[i].name, &conf->subs[i]);
        explicit_bzero(&conf->subs[i], sizeof(conf->subs[i])); /* a password */
    }
    free(conf->subs);
    conf->subs = NULL;
    conf->sub_count = 0;
}

int conf_camera_make_subs(struct conf *conf)
{
    size_t count = 0;
    forget_subs(conf);
    for (size_t i = 0; i < conf->camera_count; i++)
        count += conf->cameras[i].sub_key[0] != '\0';
    conf->subs = count > 0 ? calloc(count, sizeof(*conf->subs)) : NULL;
    if (count > 0 && conf->subs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < conf->camera_count; i++) {
        if (conf->cameras[i].sub_key[0] == '\0')
            continue;
        struct conf_camera *made = &conf->subs[conf->sub_count++];
        make_sub(&conf->cameras[i], made);
        text_index_put(&conf->names, made->name, made);
    }
    return 0;
}

const struct conf_camera *conf_camera_sub(const struct conf *conf, const struct conf_camera *c)
{
    char name[IPC_CAMERA_ID_MAX + sizeof(CONF_SUB_SUFFIX)];
    (void)snprintf(name, sizeof(name), "%s" CONF_SUB_SUFFIX, c->name);
    return c->is_sub || c->sub_key[0] == '\0' ? NULL : conf_find_camera(conf, name);
}

const struct conf_camera *conf_camera_main(const struct conf *conf, const struct conf_camera *sub)
{
    char name[IPC_CAMERA_ID_MAX];
    if (!sub->is_sub)
        return NULL;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(strlen(sub->name) - strlen(CONF_SUB_SUFFIX)),
                   sub->name);
    return conf_find_camera(conf, name);
}

/* --- saved cameras ------------------------------------------------------------ */

/* Add the cameras of one kind whose names are free.  @return 0 or -ENOMEM. */
static int add_all(struct conf *out, const struct conf *from, bool saved)
{
    for (size_t i = 0; i < from->camera_count; i++) {
        const struct conf_camera *camera = &from->cameras[i];
        if (!saved && camera->saved)
            continue;
        if (conf_find_camera(out, camera->name) != NULL) {
            out->hidden_count++;
            continue;
        }
        struct conf_camera *added = conf_camera_add(out, camera);
        if (added == NULL)
            return -ENOMEM;
        added->saved = saved;
    }
    return 0;
}

int conf_camera_set_saved(struct conf *conf, const struct conf *saved)
{
    struct conf all = {.camera_count = 0};
    int rc = add_all(&all, conf, false);
    if (rc == 0)
        rc = add_all(&all, saved, true);
    if (rc == 0)
        rc = conf_camera_make_subs(&all);
    if (rc != 0) {
        conf_clear_cameras(&all);
        return rc;
    }
    conf_clear_cameras(conf);
    conf->cameras = all.cameras;
    conf->camera_count = all.camera_count;
    conf->subs = all.subs;
    conf->sub_count = all.sub_count;
    conf->names = all.names;
    conf->hidden_count = all.hidden_count;
    return 0;
}
