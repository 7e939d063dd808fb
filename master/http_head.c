/* First push: bodies follow. */
#include "master/http_head.h"
#include <errno.h>
#include <string.h>
void http_head_init(struct http_head *head)
{
    memset(head, 0, sizeof(*head));
}
int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *consumed)
{
    return -EBADMSG;
}
