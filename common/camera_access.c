#include "common/camera_access.h"

#include "common/words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ", \t"
#define ENTRY_MAX 256

/* An address, or the first bits of one. */
struct network {
    int family;
    unsigned bits;
    uint8_t bytes[16];
};

/* --- entries of a list ---------------------------------------------------- */

/* Copy the next entry, cut to fit. @return false at the end of the list. */
static bool next_entry(const char **list, char entry[ENTRY_MAX])
{
    *list += strspn(*list, SEPARATORS);
    size_t len = strcspn(*list, SEPARATORS);
    size_t kept = len < ENTRY_MAX ? len : ENTRY_MAX - 1;
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

static struct network network_from_ipv6(const uint8_t *bytes)
{
    struct network n = {.family = AF_INET6, .bits = 128};
    memcpy(n.bytes, bytes, 16);
    if (is_mapped(bytes)) {
        n = (struct network){.family = AF_INET, .bits = 32};
        memcpy(n.bytes, bytes + 12, 4);
    }
    return n;
}

/* Read a literal address. */
static bool parse_address(const char *text, struct network *out)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        *out = network_from_ipv6(bytes);
        return true;
    }
    *out = (struct network){.family = AF_INET, .bits = 32};
    return inet_pton(AF_INET, text, out->bytes) == 1;
}

/* ADDRESS or ADDRESS/BITS; changes entry. */
static bool parse_network(char *entry, struct network *out)
{
    char *slash = strchr(entry, '/');
    if (slash != NULL)
        *slash = '\0';
    bool ok = parse_address(entry, out);
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

static bool is_pattern(const char *entry)
{
    size_t len =
        strspn(entry, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*");
    return len > 0 && entry[len] == '\0';
}

static bool list_is_valid(const char *list)
{
    char entry[ENTRY_MAX];
    struct network unused;
    size_t count = 0;
    if (strlen(list) >= IPC_ACCESS_LIST_MAX)
        return false;
    for (; next_entry(&list, entry); count++) {
        if (strlen(entry) >= ENTRY_MAX - 1 ||
            (!parse_network(entry, &unused) && !is_pattern(entry)))
            return false;
    }
    return count > 0;
}

/* Mode IPC_ACCESS_LIST has no word: the list is its text. */
static const char *const mode_words[IPC_ACCESS_LIST] = {
    [IPC_ACCESS_ANY] = "any",
    [IPC_ACCESS_NAMED] = "named",
};

int camera_access_parse(const char *text, struct ipc_access *access)
{
    int mode = words_find(mode_words, IPC_ACCESS_LIST, text);
    if (mode < 0 && !list_is_valid(text))
        return -EINVAL;
    memset(access, 0, sizeof(*access));
    access->mode = mode < 0 ? IPC_ACCESS_LIST : (uint32_t)mode;
    if (mode < 0)
        memcpy(access->list, text, strlen(text));
    return 0;
}

const char *camera_access_text(const struct ipc_access *access)
{
    return access->mode < IPC_ACCESS_LIST ? mode_words[access->mode] : access->list;
}

/* --- judging -------------------------------------------------------------- */

static bool contains(const struct network *net, const struct network *address)
{
    if (net->family != address->family)
        return false;
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 ||
           ((net->bytes[whole] ^ address->bytes[whole]) & (0xff00u >> rest & 0xff)) == 0;
}

/* Addresses to which a name that a stranger may have registered must not lead. */
static bool is_special(const struct network *address)
{
    static const char *const ranges[] = {"0.0.0.0/8",   "127.0.0.0/8", "169.254.0.0/16",
                                         "224.0.0.0/3", "::/127",      "fe80::/10",
                                         "ff00::/8"};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        char entry[ENTRY_MAX];
        const char *text = ranges[i];
        struct network net;
        (void)next_entry(&text, entry);
        if (parse_network(entry, &net) && contains(&net, address))
            return true;
    }
    return false;
}

/* Does the list allow this host and, unless NULL, this address of it? */
static bool list_allows(const char *list, const char *host, const struct network *address)
{
    char entry[ENTRY_MAX];
    struct network literal, net;
    bool is_literal = parse_address(host, &literal);
    bool networks = false, patterns = false, in_network = false, matches = false, exact = false;

    if (is_literal && address == NULL)
        address = &literal;
    while (next_entry(&list, entry)) {
        if (parse_network(entry, &net)) {
            networks = true;
            in_network = in_network || (address != NULL && contains(&net, address));
        } else {
            patterns = true;
            matches = matches || fnmatch(entry, host, FNM_CASEFOLD) == 0;
            exact = exact || strcasecmp(entry, host) == 0;
        }
    }
    if (is_literal ? !networks : patterns && !matches)
        return false;
    if (address == NULL)
        return true;
    return networks ? in_network : exact || !is_special(address);
}

/* @return true if the list decides; false if *allowed is the answer already. */
static bool asks_list(const struct ipc_access *access, const char *own_host, const char *host,
                      bool *allowed)
{
    bool own = own_host[0] != '\0' && strcasecmp(own_host, host) == 0;
    *allowed = access->mode == IPC_ACCESS_ANY || own;
    return !*allowed && access->mode == IPC_ACCESS_LIST;
}

bool camera_access_host(const struct ipc_access *access, const char *own_host, const char *host)
{
    bool allowed;
    return asks_list(access, own_host, host, &allowed) ? list_allows(access->list, host, NULL)
                                                       : allowed;
}

bool camera_access_address(const struct ipc_access *access, const char *own_host, const char *host,
                           const struct sockaddr *address)
{
    bool allowed;
    struct network net = {.family = AF_INET, .bits = 32};
    if (!asks_list(access, own_host, host, &allowed))
        return allowed;
    if (address->sa_family == AF_INET)
        memcpy(net.bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    else if (address->sa_family == AF_INET6)
        net = network_from_ipv6(
            ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
    else
        return false;
    return list_allows(access->list, host, &net);
}
