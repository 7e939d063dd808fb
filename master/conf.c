#include "master/conf.h"

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

const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    return text_index_find(&conf->names, name);
}
