#include "master/conf.h"

#include "common/url_redact.h"

#include <stdlib.h>
#include <string.h>

void conf_clear_cameras(struct conf *conf)
{
    for (size_t i = 0; i < conf->camera_count; i++)
        explicit_bzero(&conf->cameras[i], sizeof(conf->cameras[i])); /* passwords */
    free(conf->cameras);
    conf->cameras = NULL;
    conf->camera_count = 0;
    text_index_clear(&conf->names);
}

void conf_free(struct conf *conf)
{
    conf_clear_cameras(conf);
    explicit_bzero(&conf->access, sizeof(conf->access));
}

bool conf_has_secrets(const struct conf *conf)
{
    if (conf->access.token[0] != '\0' || conf->access.signing_key[0] != '\0')
        return true;
    for (size_t i = 0; i < conf->camera_count; i++) {
        char shown[IPC_URL_MAX];
        (void)url_redact(&conf->cameras[i].url, shown);
        if (strcmp(shown, conf->cameras[i].key) != 0)
            return true;
    }
    return false;
}

const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    return text_index_find(&conf->names, name);
}
