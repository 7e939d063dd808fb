#include "master/conf.h"

#include "common/url_redact.h"

#include <stdlib.h>
#include <string.h>

static void wipe(struct conf_camera **cameras, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        explicit_bzero(&(*cameras)[i], sizeof((*cameras)[i])); /* passwords */
    free(*cameras);
    *cameras = NULL;
    *count = 0;
}

void conf_clear_cameras(struct conf *conf)
{
    wipe(&conf->cameras, &conf->camera_count);
    wipe(&conf->subs, &conf->sub_count);
    text_index_clear(&conf->names);
}

void conf_free(struct conf *conf)
{
    conf_clear_cameras(conf);
    explicit_bzero(&conf->access, sizeof(conf->access));
}

static bool any_has_secrets(const struct conf_camera *cameras, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char shown[IPC_URL_MAX];
        (void)url_redact(&cameras[i].url, shown);
        if (strcmp(shown, cameras[i].key) != 0)
            return true;
    }
    return false;
}

bool conf_has_secrets(const struct conf *conf)
{
    if (conf->access.token[0] != '\0' || conf->access.signing_key[0] != '\0')
        return true;
    return any_has_secrets(conf->cameras, conf->camera_count) ||
           any_has_secrets(conf->subs, conf->sub_count);
}

const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    return text_index_find(&conf->names, name);
}
