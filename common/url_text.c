#include "common/url_text.h"

#include "common/ipc.h"

#include <string.h>

void url_put(struct url_writer *w, const char *s, size_t len)
{
    if (len > IPC_URL_MAX - 1 - w->len)
        len = IPC_URL_MAX - 1 - w->len;
    memcpy(w->out + w->len, s, len);
    w->len += len;
    w->out[w->len] = '\0';
}

void url_put_text(struct url_writer *w, const char *s)
{
    url_put(w, s, strlen(s));
}
