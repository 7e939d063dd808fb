/*
 * One client until it is answered or handed over to a worker.  Master, loop thread.
 *
 * Deadlines and bounds: the request head has CONN_HEAD_MS to arrive (408) and the limits of
 * http_head.h; an answer has CONN_LINGER_MS to be taken; what a client sends beyond its head is
 * read and thrown away, so that closing does not reset the connection under the answer.
 */
#ifndef MASTER_CONN_H
#define MASTER_CONN_H

#include "master/endpoint.h"

#include <stdbool.h>
#include <uv.h>

struct server;

#define CONN_HEAD_MS 10000
#define CONN_LINGER_MS 2000
#define CONN_SLOWEST_BYTES_PER_MS 10 /* a bigger answer has more time */

/** Take the connection that waits at a listening stream. */
void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening);

/**
 * The server ends: close the connections whose request has not come yet.
 *
 * @param answered  those too whose answer is still being taken.
 */
void conn_close_all(struct server *server, bool answered);

#endif /* MASTER_CONN_H */
