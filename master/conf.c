/* First push: bodies follow. */
#include "master/conf.h"
#include <errno.h>
#include <string.h>
int conf_load(struct conf *conf, int argc, char *const *argv, char *text, size_t textlen)
{
    memset(conf, 0, sizeof(*conf));
    return -ENOSYS;
}
int conf_read(struct conf *conf, const char *name, const char *bytes, size_t len, char *text,
              size_t textlen)
{
    return -ENOSYS;
}
void conf_init(struct conf *conf)
{
    memset(conf, 0, sizeof(*conf));
}
const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name)
{
    return 0;
}
void conf_free(struct conf *conf)
{
    (void)conf;
}
