/* A list and a host, the bytes before and after the first newline: no address outside the list's
 * networks passes, whatever else is in it. */
#include "common/camera_access.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char fence[] = "192.0.2.0/24,";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ipc_access access = {.mode = IPC_ACCESS_LIST};
    struct sockaddr_in outside = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007107)};
    char host[256] = "";
    struct ipc_access parsed;
    const uint8_t *newline = memchr(data, '\n', size);
    size_t list_len = newline != NULL ? (size_t)(newline - data) : size;
    size_t host_len = size - list_len;

    if (list_len + sizeof(fence) > sizeof(access.list) || host_len > sizeof(host))
        return 0;
    memcpy(access.list, fence, sizeof(fence) - 1);
    memcpy(access.list + sizeof(fence) - 1, data, list_len);
    if (host_len > 1)
        memcpy(host, newline + 1, host_len - 1);
    bool valid = camera_access_parse(access.list, &parsed) == 0;
    bool allowed = camera_access_address(&access, "", host, (const struct sockaddr *)&outside);
    (void)camera_access_host(&access, "", host);
    if (valid && allowed && strchr(access.list + sizeof(fence) - 1, '/') == NULL &&
        strstr(access.list, "203.0.113.7") == NULL && strstr(access.list, ":") == NULL)
        abort();
    return 0;
}
