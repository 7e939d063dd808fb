/* First push: bodies follow. */
#include "common/url.h"
#include <errno.h>
int url_parse(struct camera_url *u, const char *text, size_t len, const char **reason)
{
    *reason = "not there yet";
    return -EINVAL;
}
size_t url_format(const struct camera_url *u, char *out)
{
    out[0] = 0;
    return 0;
}
size_t url_redact(const struct camera_url *u, char *out)
{
    out[0] = 0;
    return 0;
}
void url_stream_id(const struct camera_url *u, enum ipc_transport transport, unsigned n, char *out)
{
    out[0] = 0;
}
const char *url_scheme_name(enum url_scheme scheme)
{
    return "";
}
enum ipc_transport url_default_transport(enum url_scheme scheme)
{
    return IPC_TRANSPORT_RTSP_TCP;
}
int url_transport_parse(const char *name, enum url_scheme scheme, enum ipc_transport *transport)
{
    return -EINVAL;
}
const char *url_transport_name(enum ipc_transport transport)
{
    return "";
}
size_t url_format_libav(const struct camera_url *u, char *out)
{
    return url_format(u, out);
}
