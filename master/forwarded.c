#include "master/forwarded.h"

#include "common/network.h"

#include <stdio.h>
#include <string.h>

bool forwarded_list_ok(const char *list)
{
    char entry[NETWORK_ENTRY_MAX];
    struct network unused;
    while (network_list_next(&list, entry)) {
        if (strcmp(entry, FORWARDED_UNIX) != 0 && !network_parse(entry, &unused))
            return false;
    }
    return true;
}

bool forwarded_trusts(const char *list, const char *address)
{
    char entry[NETWORK_ENTRY_MAX];
    struct network net, who;
    bool is_address = network_parse_address(address, &who);
    while (network_list_next(&list, entry)) {
        if (strcmp(entry, FORWARDED_UNIX) == 0 && strcmp(address, FORWARDED_UNIX) == 0)
            return true;
        if (is_address && network_parse(entry, &net) && network_contains(&net, &who))
            return true;
    }
    return false;
}

/* Copy an address without the brackets and port that some proxies add: `[::1]:80`, `10.0.0.1:80`.
 * @return false: not an address. */
static bool take_address(const char *text, size_t len, char *out, size_t size)
{
    struct network unused;
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len >= size)
        return false;
    (void)snprintf(out, size, "%.*s", (int)len, text);
    char *colon = strchr(out, ':');
    if (out[0] == '[') {
        size_t inner = strcspn(out + 1, "]");
        memmove(out, out + 1, inner);
        out[inner] = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    return network_parse_address(out, &unused);
}

bool forwarded_client(const char *list, const char *header, char *out, size_t size)
{
    size_t end = strlen(header);
    bool found = false;
    while (end > 0) {
        const char *comma = memrchr(header, ',', end);
        size_t begin = comma != NULL ? (size_t)(comma - header) + 1 : 0;
        char address[64];
        if (!take_address(header + begin, end - begin, address, sizeof(address)))
            return found; /* nothing to the left of a malformed entry is believed */
        (void)snprintf(out, size, "%s", address);
        found = true;
        if (!forwarded_trusts(list, address))
            return true;
        end = begin > 0 ? begin - 1 : 0;
    }
    return found;
}
