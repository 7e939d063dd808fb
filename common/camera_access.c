#include "common/camera_access.h"

#include "common/network.h"
#include "common/words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- entries of a list ---------------------------------------------------- */

static bool is_pattern(const char *entry)
{
    size_t len =
        strspn(entry, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*");
    return len > 0 && entry[len] == '\0';
}

static bool list_is_valid(const char *list)
{
    char entry[NETWORK_ENTRY_MAX];
    struct network unused;
    size_t count = 0;
    if (strlen(list) >= IPC_ACCESS_LIST_MAX)
        return false;
    for (; network_list_next(&list, entry); count++) {
        if (strlen(entry) >= NETWORK_ENTRY_MAX - 1 ||
            (!network_parse(entry, &unused) && !is_pattern(entry)))
            return false;
    }
    return count > 0;
}

/* IPC_ACCESS_LIST has no word: its text is the list itself. */
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

/* Is this an address to which a name that only a `*` matches must not resolve? */
static bool is_special(const struct network *address)
{
    static const char *const ranges[] = {"0.0.0.0/8",   "127.0.0.0/8", "169.254.0.0/16",
                                         "224.0.0.0/3", "::/127",      "fe80::/10",
                                         "ff00::/8"};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        char entry[NETWORK_ENTRY_MAX];
        const char *text = ranges[i];
        struct network net;
        (void)network_list_next(&text, entry);
        if (network_parse(entry, &net) && network_contains(&net, address))
            return true;
    }
    return false;
}

/* Does the list allow this host and, unless NULL, this address of the host? */
static bool list_allows(const char *list, const char *host, const struct network *address)
{
    char entry[NETWORK_ENTRY_MAX];
    struct network literal, net;
    bool is_literal = network_parse_address(host, &literal);
    bool networks = false, patterns = false, in_network = false, matches = false, exact = false;

    if (is_literal && address == NULL)
        address = &literal;
    while (network_list_next(&list, entry)) {
        if (network_parse(entry, &net)) {
            networks = true;
            in_network = in_network || (address != NULL && network_contains(&net, address));
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

/* @return true if the list decides; false if *allowed already holds the answer. */
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
