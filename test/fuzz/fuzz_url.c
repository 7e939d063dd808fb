/* Any text as a camera URL: what is accepted must survive being written and read again. */
#include "common/url.h"
#include "common/url_redact.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct camera_url u, again;
    char out[IPC_URL_MAX], rest[IPC_URL_MAX], id[URL_STREAM_ID_MAX];
    const char *reason = NULL;

    if (url_parse(&u, (const char *)data, size, &reason) != 0) {
        assert(reason != NULL);
        return 0;
    }
    assert(u.port != 0 && u.host[0] != '\0');
    size_t len = url_format(&u, out);
    assert(len == strlen(out) && len < IPC_URL_MAX - 1);
    assert(url_parse(&again, out, len, &reason) == 0);
    assert(memcmp(&u, &again, sizeof(u)) == 0);

    len = url_format_libav(&u, out);
    assert(len == strlen(out));
    len = url_redact(&u, out);
    assert(len == strlen(out));
    (void)strcpy(again.user, "*"); /* the rest may hold the same letters by chance */
    (void)strcpy(again.password, "*");
    (void)url_format(&again, rest);
    if (strlen(u.password) > 3 && strstr(rest, u.password) == NULL)
        assert(strstr(out, u.password) == NULL || strstr(u.password, "***") != NULL);
    url_stream_id(&u, url_default_transport(u.scheme), 1, id);
    assert(strlen(id) == 18);
    return 0;
}
