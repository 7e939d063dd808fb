#include "master/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void format_ipv4(const void *ip, in_port_t port, char *out)
{
    char text[INET_ADDRSTRLEN] = "?";
    (void)inet_ntop(AF_INET, ip, text, sizeof(text));
    (void)snprintf(out, IPC_PEER_MAX, "%s:%u", text, ntohs(port));
}

void address_format(const struct sockaddr *address, char *out)
{
    if (address->sa_family == AF_UNIX) { /* systemd's socket, for a proxy on the same machine */
        (void)snprintf(out, IPC_PEER_MAX, "unix");
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            format_ipv4(in6.sin6_addr.s6_addr + 12, in6.sin6_port, out);
            return;
        }
        char text[INET6_ADDRSTRLEN] = "?";
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        (void)snprintf(out, IPC_PEER_MAX, "[%s]:%u", text, ntohs(in6.sin6_port));
    } else {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        format_ipv4(&in.sin_addr, in.sin_port, out);
    }
}

void address_without_port(const char *formatted, char *out)
{
    const char *begin = formatted + (formatted[0] == '[');
    size_t len = formatted[0] == '[' ? strcspn(begin, "]") : strcspn(begin, ":");
    (void)snprintf(out, IPC_PEER_MAX, "%.*s", (int)len, begin);
}
