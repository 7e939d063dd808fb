/* What conn.c and conn_takeover.c share.  Master, loop thread. */
#ifndef MASTER_CONN_PRIVATE_H
#define MASTER_CONN_PRIVATE_H

#include "master/conn.h"
#include "master/proxy_header.h"
#include "master/server_shared.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A PROXY header that is arriving, and what follows it in the same read. */
struct conn_proxy {
    size_t len;
    char bytes[PROXY_HEADER_MAX + sizeof(((struct server *)NULL)->input)];
};

/** @return a connection without a socket, in no list. */
struct conn *conn_new(struct server *server, enum route_port port, uint64_t id,
                      void (*on_request)(struct conn *conn));

/** Set where it comes from, and whose it is. */
void conn_set_from(struct conn *c, const union address *from);

/** It begins with a PROXY header if its peer is listed for that. */
void conn_await_proxy_header(struct conn *c);

/** Add it to the server's list.  @param rc  0: it has its socket. @return false: closed again. */
bool conn_join(struct conn *c, int rc);

/** Its request has to arrive in time from now on. */
void conn_start_head_deadline(struct conn *c);

/** Keep what has arrived of the next request; read no more. */
void conn_park(struct conn *c, const char *data, size_t len);

/** Begin the next request with the bytes that were kept of it. */
void conn_begin(struct conn *c);

#endif /* MASTER_CONN_PRIVATE_H */
