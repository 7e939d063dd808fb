/*
 * Accepts connections and takes them back from workers: whose each one is, and who makes room for
 * it.  Master, loop thread.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/conn_private.h"
#include "master/forwarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- whose it is ------------------------------------------------------------ */

/* The connection itself is the client, until a header says otherwise. */
static void set_asker(struct conn *c)
{
    address_format(&c->from.any, c->peer);
    c->asker = client_key_of(&c->from.any);
}

/* A trusted proxy names the client in a header of each request; without it, the proxy is the
 * client. */
void conn_read_forwarded(struct conn *c)
{
    char address[IPC_PEER_MAX];
    if (!c->proxied)
        return;
    set_asker(c);
    if (forwarded_client(c->server->conf->server.trusted_proxies, c->head.request.forwarded_for,
                         address, sizeof(address)) &&
        client_key_parse(address, &c->asker))
        (void)snprintf(c->peer, sizeof(c->peer), "%s", address);
}

static union address peer_of(const struct conn *c)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    union address from = {.any.sa_family = AF_UNIX};
    int len = sizeof(peer);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len) == 0 &&
        peer.ss_family != AF_UNIX)
        memcpy(&from, &peer, sizeof(from));
    return from;
}

static bool is_listed(const union address *from, const char *proxies)
{
    char text[IPC_PEER_MAX], address[IPC_PEER_MAX];
    address_format(&from->any, text);
    address_without_port(text, address);
    return forwarded_trusts(proxies, address);
}

/* A worker that had the connection may have connected its socket to somebody else since, who would
 * pass for the client.  It cannot undo that. */
bool conn_is_still_its_clients(const struct conn *c)
{
    static struct log_limit limit;
    unsigned suppressed;
    char now[IPC_PEER_MAX], before[IPC_PEER_MAX];
    union address peer = peer_of(c);
    address_format(&peer.any, now);
    address_format(&c->from.any, before);
    if (strcmp(now, before) == 0 || is_listed(&peer, c->server->conf->server.proxy_protocol))
        return true;
    if (log_limit_pass(&limit, 1, 1000, &suppressed))
        log_warnx(&(struct log_context){.client = c->peer},
                  "its connection leads to somebody else now: it is closed (%u more)", suppressed);
    return false;
}

void conn_set_from(struct conn *c, const union address *from)
{
    c->from = *from;
    set_asker(c);
    c->proxied = is_listed(&c->from, c->server->conf->server.trusted_proxies);
    c->client = c->asker;
    if (c->proxied)
        c->client = (struct client_key){0};
}

/* --- room for one more ------------------------------------------------------ */

/* The oldest connection of this client, or of all clients if NULL; preferably one whose request has
 * not arrived. */
static struct conn *find_oldest(const struct server *server, const struct client_key *client)
{
    struct conn *answered = NULL;
    struct conn *c;
    TAILQ_FOREACH (c, &server->open_conns, link) {
        if (client != NULL && !client_key_equal(&c->client, client))
            continue;
        if (!c->answered)
            return c;
        if (answered == NULL)
            answered = c;
    }
    return answered;
}

void conn_evict(struct conn *c)
{
    if (c == NULL)
        return;
    c->server->evicted_conns++;
    conn_close(c);
    shared_text_unref(c->text); /* nothing is written after the close */
    c->text = NULL;
}

/* Before it gets one more connection: a client that has its share loses its oldest one. */
static void keep_share(struct server *server, const struct client_key *client)
{
    if (!client_share_allows(&server->conn_share, client, server->max_conns,
                             server->conf->server.client_share, CLIENT_SHARE_FLOOR))
        conn_evict(find_oldest(server, client));
}

static void make_room(struct server *server, const struct client_key *client)
{
    if (server->conns >= server->max_conns)
        conn_evict(find_oldest(server, NULL));
    else
        keep_share(server, client);
}

/* --- a PROXY header --------------------------------------------------------- */

/* Whoever is behind such a proxy counts, not the proxy. */
void conn_await_proxy_header(struct conn *c)
{
    if (!is_listed(&c->from, c->server->conf->server.proxy_protocol))
        return;
    c->proxy = xcalloc(1, sizeof(*c->proxy));
    c->client = (struct client_key){0};
}

void conn_free_proxy(struct conn_proxy **proxy)
{
    if (*proxy != NULL)
        explicit_bzero(*proxy, sizeof(**proxy)); /* a camera's password */
    free(*proxy);
    *proxy = NULL;
}

/* From now on the connection counts as that client's, as if that had just connected.  It has its
 * place already, so only that client's others may have to go. */
static void change_from(struct conn *c, const union address *from)
{
    struct server *server = c->server;
    TAILQ_REMOVE(&server->open_conns, c, link);
    client_share_give(&server->conn_share, &c->client);
    conn_set_from(c, from);
    keep_share(server, &c->client);
    TAILQ_INSERT_TAIL(&server->open_conns, c, link);
    client_share_take(&server->conn_share, &c->client);
}

void conn_feed_proxy(struct conn *c, const char *data, size_t len)
{
    struct proxy_header header;
    struct conn_proxy *proxy = c->proxy;
    memcpy(proxy->bytes + proxy->len, data, len); /* incomplete, it is shorter than the maximum */
    proxy->len += len;
    int used = proxy_header_read(proxy->bytes, proxy->len, &header);
    if (used == 0)
        return;
    c->proxy = NULL;
    if (used > 0 && header.has_client)
        change_from(c, &header.client);
    if (used < 0)
        conn_refuse(c, HTTP_ERROR_BAD_REQUEST,
                    "[server] proxy_protocol: connections of this proxy have to begin with a PROXY "
                    "header, version 1 or 2, of at most 1024 bytes");
    else if (proxy->len > (size_t)used)
        conn_feed_head(c, proxy->bytes + used, proxy->len - (size_t)used);
    conn_free_proxy(&proxy);
}

/* --- accepting -------------------------------------------------------------- */

struct conn *conn_new(struct server *server, enum route_port port, uint64_t id,
                      void (*on_request)(struct conn *conn))
{
    struct conn *c = xcalloc(1, sizeof(*c));
    c->server = server;
    c->port = port;
    c->on_request = on_request;
    c->id = id;
    c->accepted_us = clock_us();
    c->open_handles = 2;
    (void)uv_tcp_init(server->loop, &c->tcp);
    (void)uv_timer_init(server->loop, &c->deadline);
    c->tcp.data = c->deadline.data = c;
    http_head_init(&c->head);
    return c;
}

bool conn_join(struct conn *c, int rc)
{
    struct server *server = c->server;
    make_room(server, &c->client);
    TAILQ_INSERT_TAIL(&server->open_conns, c, link);
    client_share_take(&server->conn_share, &c->client);
    server->conns++;
    if (++server->allocated_conns > server->most_conns)
        server->most_conns = server->allocated_conns;
    if (rc != 0)
        conn_close(c);
    return rc == 0;
}

void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening,
                 void (*on_request)(struct conn *conn))
{
    struct conn *c = conn_new(server, port, ++server->next_conn_id, on_request);
    int rc = uv_accept(listening, (uv_stream_t *)&c->tcp);
    union address from = peer_of(c);
    conn_set_from(c, &from);
    conn_await_proxy_header(c);
    if (!conn_join(c, rc))
        return;
    (void)uv_tcp_nodelay(&c->tcp, 1);
    conn_start_head_deadline(c);
    conn_read_on(c);
}

/* A worker may have been taken over.  What it returns must be a TCP connection, so that it gains
 * nothing over a connection to the port. */
static bool is_tcp(int fd)
{
    int type = 0, protocol = 0;
    socklen_t len = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

/* The worker says how many there were.  Of none, or so many that one more makes none, nobody would
 * look whose the connection is. */
static uint32_t requests_of(const struct ipc_return *connection)
{
    if (connection->requests == 0)
        return 1;
    return connection->requests < CONN_REQUESTS_MAX ? connection->requests : CONN_REQUESTS_MAX;
}

void conn_adopt(struct server *server, const struct ipc_return *connection,
                const union address *from, int *fd, void (*on_request)(struct conn *conn))
{
    if (server->draining || !is_tcp(*fd))
        return; /* closed by the caller */
    struct conn *c = conn_new(server, ROUTE_PORT_SNAPSHOT, connection->conn_id, on_request);
    int rc = uv_tcp_open(&c->tcp, *fd);
    if (rc == 0)
        *fd = -1;
    c->requests = requests_of(connection);
    conn_set_from(c, from);
    if (conn_join(c, rc))
        conn_begin_with(c, connection->bytes, connection->len);
}
