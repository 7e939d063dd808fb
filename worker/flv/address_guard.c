#include "worker/flv/address_guard.h"

#include "common/camera_access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct address_guard *current;

/* @return false if it is neither IPv4 nor IPv6. */
static bool as_ipv6(const struct sockaddr *address, struct in6_addr *out)
{
    if (address->sa_family == AF_INET6) {
        *out = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return true;
    }
    if (address->sa_family != AF_INET)
        return false;
    memset(out, 0, sizeof(*out));
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(out->s6_addr + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    return true;
}

static bool passes(const struct address_guard *guard, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    if (guard->access->mode == IPC_ACCESS_ANY || !as_ipv6(address, &ip))
        return true; /* neither IPv4 nor IPv6 */
    for (size_t i = 0; i < guard->count; i++) {
        if (memcmp(&guard->pinned[i], &ip, sizeof(ip)) == 0)
            return true;
    }
    /* The host name is unknown here: the address is judged as if the URL contained it. */
    return inet_ntop(AF_INET6, &ip, text, sizeof(text)) != NULL &&
           camera_access_address(guard->access, "", text, address);
}

int address_guard_enter(struct address_guard *guard, const struct ipc_access *access,
                        const char *host)
{
    const char *own_host = access->trusted != 0 ? host : "";
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    bool any_forbidden = false;

    *guard = (struct address_guard){.access = access};
    if (access->mode == IPC_ACCESS_ANY) {
        current = guard;
        return 0;
    }
    if (!camera_access_host(access, own_host, host))
        return -EACCES;
    if (getaddrinfo(host, NULL, &hints, &list) == 0) {
        for (const struct addrinfo *a = list; a != NULL && guard->count < ADDRESS_GUARD_MAX;
             a = a->ai_next) {
            if (!camera_access_address(access, own_host, host, a->ai_addr))
                any_forbidden = true;
            else if (as_ipv6(a->ai_addr, &guard->pinned[guard->count]))
                guard->count++;
        }
        freeaddrinfo(list);
    }
    if (guard->count == 0 && any_forbidden)
        return -EACCES;
    current = guard;
    return 0;
}

void address_guard_leave(void)
{
    current = NULL;
}

static void note_socket(struct address_guard *guard, int fd, const struct sockaddr *address)
{
    struct in6_addr ip;
    struct stat st;
    if (!as_ipv6(address, &ip) || fstat(fd, &st) != 0)
        return;
    size_t at = guard->connected++ % ADDRESS_GUARD_SOCKETS;
    guard->sockets[at].fd = fd;
    guard->sockets[at].inode = st.st_ino;
}

int address_guard_socket(const struct address_guard *guard)
{
    size_t count =
        guard->connected < ADDRESS_GUARD_SOCKETS ? guard->connected : ADDRESS_GUARD_SOCKETS;
    int open = 0, fd = -1;
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        if (fstat(guard->sockets[i].fd, &st) != 0 || !S_ISSOCK(st.st_mode) ||
            st.st_ino != guard->sockets[i].inode)
            continue;
        fd = guard->sockets[i].fd;
        open++;
    }
    return open == 1 ? fd : -1;
}

/* Replaces libc's for all libraries of this process, but not for libc's own look-ups. */
int connect(int fd, __CONST_SOCKADDR_ARG addr, socklen_t len)
{
    const struct sockaddr *address = addr.__sockaddr__;
    if (current != NULL && address != NULL && len >= sizeof(sa_family_t) &&
        !passes(current, address)) {
        current->refused = true;
        errno = EACCES;
        return -1;
    }
    int rc = (int)syscall(SYS_connect, fd, address, len);
    int error = errno;
    if (current != NULL && address != NULL && (rc == 0 || error == EINPROGRESS))
        note_socket(current, fd, address);
    errno = error;
    return rc;
}
