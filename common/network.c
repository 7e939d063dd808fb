#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ", \t"

bool network_list_next(const char **list, char entry[NETWORK_ENTRY_MAX])
{
    *list += strspn(*list, SEPARATORS);
    size_t len = strcspn(*list, SEPARATORS);
    size_t kept = len < NETWORK_ENTRY_MAX ? len : NETWORK_ENTRY_MAX - 1;
    memcpy(entry, *list, kept);
    entry[kept] = '\0';
    *list += len;
    return len > 0;
}

static bool is_mapped(const uint8_t *bytes)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

struct network network_from_ipv6(const uint8_t *bytes)
{
    struct network n = {.family = AF_INET6, .bits = 128};
    memcpy(n.bytes, bytes, 16);
    if (is_mapped(bytes)) {
        n = (struct network){.family = AF_INET, .bits = 32};
        memcpy(n.bytes, bytes + 12, 4);
    }
    return n;
}

bool network_parse_address(const char *text, struct network *out)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        *out = network_from_ipv6(bytes);
        return true;
    }
    *out = (struct network){.family = AF_INET, .bits = 32};
    return inet_pton(AF_INET, text, out->bytes) == 1;
}

bool network_parse(char *entry, struct network *out)
{
    char *slash = strchr(entry, '/');
    if (slash != NULL)
        *slash = '\0';
    bool ok = network_parse_address(entry, out);
    if (slash == NULL)
        return ok;
    *slash = '/';
    const char *digits = slash + 1;
    size_t len = strlen(digits);
    if (!ok || len == 0 || len > 3 || strspn(digits, "0123456789") != len)
        return false;
    unsigned bits = (unsigned)strtoul(digits, NULL, 10);
    if (bits > out->bits)
        return false;
    out->bits = bits;
    return true;
}

bool network_contains(const struct network *net, const struct network *address)
{
    if (net->family != address->family)
        return false;
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 ||
           ((net->bytes[whole] ^ address->bytes[whole]) & (0xff00u >> rest & 0xff)) == 0;
}
