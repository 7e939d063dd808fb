/* First push: bodies follow. */
#include "master/route.h"
#include <errno.h>
#include <string.h>
int route_request(const struct conf *conf, enum route_port port, const struct http_request *request,
                  struct route *out)
{
    memset(out, 0, sizeof(*out));
    return -EINVAL;
}
