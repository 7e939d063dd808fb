#include "common/url_host.h"

#include "common/network.h"

#include <arpa/inet.h>
#include <ctype.h>

static void write_name(const char *name, char out[URL_HOST_MAX])
{
    size_t len = 0;
    for (; name[len] != '\0' && len + 1 < URL_HOST_MAX; len++)
        out[len] = (char)tolower((unsigned char)name[len]);
    while (len > 0 && out[len - 1] == '.')
        len--;
    out[len] = '\0';
}

void url_host_write(const char *host, char out[URL_HOST_MAX])
{
    struct network address;
    if (!network_parse_address(host, &address) ||
        inet_ntop(address.family, address.bytes, out, URL_HOST_MAX) == NULL)
        write_name(host, out);
}
