/* What conn.c, conn_accept.c and conn_takeover.c share.  Master, loop thread. */
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

/* --- conn_accept.c ---------------------------------------------------------- */

/** @return a connection without a socket, in no list. */
struct conn *conn_new(struct server *server, enum route_port port, uint64_t id,
                      void (*on_request)(struct conn *conn));

/** Set where it comes from, and whose it is. */
void conn_set_from(struct conn *c, const union address *from);

/** It begins with a PROXY header if its peer is listed for that. */
void conn_await_proxy_header(struct conn *c);

/** Add it to the server's list.  @param rc  0: it has its socket. @return false: closed again. */
bool conn_join(struct conn *c, int rc);

/** Read its PROXY header, and go on with what follows.  data: at most what server->input holds. */
void conn_feed_proxy(struct conn *c, const char *data, size_t len);

/** Forget a PROXY header, and with it what came behind. */
void conn_free_proxy(struct conn_proxy **proxy);

/** A trusted proxy names the client in a header of each request. */
void conn_read_forwarded(struct conn *c);

/** Does its socket lead to the same client as before?  If not, a line in the log says so. */
bool conn_is_still_its_clients(const struct conn *c);

/* --- conn.c ----------------------------------------------------------------- */

/** Its request has to arrive in time from now on. */
void conn_start_head_deadline(struct conn *c);

/** Keep what has arrived of the next request; read no more. */
void conn_park(struct conn *c, const char *data, size_t len);

/** Read the head of a request; the connection may be closed then. */
void conn_feed_head(struct conn *c, const char *data, size_t len);

/** Begin the next request with bytes that have already arrived. */
void conn_begin_with(struct conn *c, const char *data, size_t len);

/** The same, with the bytes that were kept of it. */
void conn_begin(struct conn *c);

#endif /* MASTER_CONN_PRIVATE_H */
