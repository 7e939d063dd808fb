#include "master/listener.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/address.h"
#include "master/request.h"
#include "master/server_shared.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* Connections accepted in one turn of the loop.  libuv accepts until none is left, so whoever
 * connects without end would keep everybody else's requests from being read. */
#define ACCEPTS_PER_TURN 16

struct listener {
    uv_tcp_t tcp;
    uv_prepare_t turn;
    unsigned open_handles;
    struct server *server;
    enum route_port kind;
    unsigned accepted; /* in this turn */
    bool postponed;    /* one more waits for the next turn; libuv accepts no others until then */
};

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    if (--l->open_handles == 0)
        free(l);
}

static void close_handles(struct listener *l)
{
    uv_close((uv_handle_t *)&l->tcp, on_closed);
    uv_close((uv_handle_t *)&l->turn, on_closed);
}

static void on_turn(uv_prepare_t *turn)
{
    struct listener *l = turn->data;
    l->accepted = l->postponed;
    if (l->postponed) {
        l->postponed = false;
        conn_accept(l->server, l->kind, (uv_stream_t *)&l->tcp, request_answer);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *l = stream->data;
    if (status != 0) {
        static struct log_limit limit;
        unsigned suppressed;
        if (log_limit_pass(&limit, 1, 1000, &suppressed))
            log_warnx(NULL, "cannot accept a connection: %s (%u more)", uv_strerror(status),
                      suppressed);
        return;
    }
    l->postponed = l->accepted++ >= ACCEPTS_PER_TURN;
    if (!l->postponed)
        conn_accept(l->server, l->kind, stream, request_answer);
}

void listener_get_address(const struct listener *listener, struct sockaddr_storage *out)
{
    int len = sizeof(*out);
    memset(out, 0, sizeof(*out));
    (void)uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)out, &len);
}

/* Set the server's port, 0 for a Unix socket, and log the address. */
static void note_address(struct listener *l)
{
    struct sockaddr_storage addr;
    char text[IPC_PEER_MAX];
    uint16_t port = 0;

    listener_get_address(l, &addr);
    if (addr.ss_family == AF_INET6)
        port = ((const struct sockaddr_in6 *)&addr)->sin6_port;
    else if (addr.ss_family == AF_INET)
        port = ((const struct sockaddr_in *)&addr)->sin_port;
    l->server->ports[l->kind] = ntohs(port);
    address_format((const struct sockaddr *)&addr, text);
    log_info(NULL, "listening on %s for %s", text,
             l->kind == ROUTE_PORT_STREAM ? "streams" : "snapshots");
}

static int read_address(const char *address, uint16_t port, struct sockaddr_storage *addr)
{
    memset(addr, 0, sizeof(*addr));
    int rc = uv_ip6_addr(address, port, (struct sockaddr_in6 *)addr);
    return rc == 0 ? rc : uv_ip4_addr(address, port, (struct sockaddr_in *)addr);
}

static int bind_to(uv_tcp_t *tcp, const char *address, uint16_t port)
{
    struct sockaddr_storage addr;
    int rc = read_address(address, port, &addr);
    return rc != 0 ? rc : uv_tcp_bind(tcp, (const struct sockaddr *)&addr, 0);
}

int listener_open(struct server *server, enum route_port kind, const char *address, uint16_t port,
                  int fd, struct listener **out)
{
    struct listener *l = xcalloc(1, sizeof(*l));
    l->server = server;
    l->kind = kind;
    int rc = uv_tcp_init(server->loop, &l->tcp);
    if (rc != 0) {
        fd_close(&fd);
        free(l);
        return rc;
    }
    (void)uv_prepare_init(server->loop, &l->turn);
    (void)uv_prepare_start(&l->turn, on_turn);
    l->tcp.data = l->turn.data = l;
    l->open_handles = 2;
    rc = fd == -1 ? bind_to(&l->tcp, address, port) : uv_tcp_open(&l->tcp, fd);
    if (rc == 0)
        fd = -1; /* the handle owns it now */
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (rc != 0) {
        fd_close(&fd);
        close_handles(l);
        return rc;
    }
    note_address(l);
    *out = l;
    return 0;
}

int listener_descriptor(const struct listener *listener)
{
    uv_os_fd_t fd;
    bool open = listener != NULL && uv_fileno((const uv_handle_t *)&listener->tcp, &fd) == 0;
    return open ? fd : -1;
}

static void set_port(struct sockaddr_storage *addr, in_port_t port)
{
    if (addr->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_port = port;
    else
        ((struct sockaddr_in *)addr)->sin_port = port;
}

bool listener_is_at(int fd, const char *address, uint16_t port)
{
    struct sockaddr_storage wanted, found = {0};
    socklen_t len = sizeof(found);
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == -1 || !listens ||
        getsockname(fd, (struct sockaddr *)&found, &len) == -1 ||
        read_address(address, port, &wanted) != 0 || found.ss_family != wanted.ss_family)
        return false;
    if (port == 0)
        set_port(&found, 0);
    return memcmp(&wanted, &found, sizeof(wanted)) == 0;
}

int listener_pause(struct listener **listener)
{
    uv_os_fd_t fd;
    if (*listener == NULL || uv_fileno((const uv_handle_t *)&(*listener)->tcp, &fd) != 0)
        return -1;
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (kept == -1)
        return -1;
    on_turn(&(*listener)->turn); /* libuv holds a connection that waits for the next turn */
    listener_close(listener);
    return kept;
}

void listener_close(struct listener **listener)
{
    if (*listener != NULL)
        close_handles(*listener);
    *listener = NULL;
}
