#include "master/conf.h"

#include "common/url_redact.h"

#include <stdlib.h>
#include <string.h>

void conf_free(struct conf *conf)
{
    for (size_t i = 0; i < conf->camera_count; i++)
        explicit_bzero(&conf->cameras[i], sizeof(conf->cameras[i])); /* passwords */
    free(conf->cameras);
    conf->cameras = NULL;
    conf->camera_count = 0;
    text_index_clear(&conf->names);
    explicit_bzero(&conf->access, sizeof(conf->access));
}

static bool url_has_secrets(const struct camera_url *url)
{
    char whole[IPC_URL_MAX];
    char shown[IPC_URL_MAX];
    (void)url_format(url, whole);
    (void)url_redact(url, shown);
    bool differ = strcmp(whole, shown) != 0;
    explicit_bzero(whole, sizeof(whole));
    return differ;
}

bool conf_has_secrets(const struct conf *conf)
{
    if (conf->access.token[0] != '\0' || conf->access.signing_key[0] != '\0')
        return true;
    for (size_t i = 0; i < conf->camera_count; i++) {
        if (url_has_secrets(&conf->cameras[i].url))
            return true;
    }
    return false;
}

const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    return text_index_find(&conf->names, name);
}
