#include "common/http_reply.h"
const char *http_error_code(enum http_error error)
{
    (void)error;
    return "";
}
int http_error_status(enum http_error error)
{
    (void)error;
    return 500;
}
size_t http_reply_head(char *buf, int status, const char *origin, const char *headers)
{
    buf[0] = 0;
    return 0;
}
size_t http_reply_error(char *buf, enum http_error error, const char *origin, const char *camera,
                        const char *message, int head)
{
    buf[0] = 0;
    return 0;
}
size_t http_reply_error_with(char *buf, enum http_error error, const char *origin,
                             const char *headers, const char *camera, const char *message, int head)
{
    buf[0] = 0;
    return 0;
}
