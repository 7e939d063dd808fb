/*
 * One client until it is answered or handed over to a worker.  Master, loop thread.
 *
 * Deadlines and bounds: the request head has CONN_HEAD_MS to arrive (408) and the limits of
 * http_head.h; an answer has CONN_LINGER_MS to be taken; what a client sends beyond its head is
 * read and thrown away, so that closing does not reset the connection under the answer.
 *
 * Connections to the snapshot port are kept (RFC 9112 section 9.3): CONN_IDLE_MS without a request
 * ends them, and so do CONN_REQUESTS_MAX requests.  While a worker answers, a connection is the
 * worker's; with the next request that the worker may not answer by itself, or after a second, it
 * comes back, and that request is routed and admitted like the first one.
 *
 * There is always room for a new connection: a client that has its share of them (client_share.h)
 * loses its oldest one, and when all are taken the oldest one goes whose request has not arrived.
 */
#ifndef MASTER_CONN_H
#define MASTER_CONN_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "master/client_key.h"
#include "master/endpoint.h"
#include "master/http_head.h"
#include "master/shared_text.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#define CONN_HEAD_MS 10000
#define CONN_LINGER_MS 2000
#define CONN_IDLE_MS 60000
#define CONN_REQUESTS_MAX 10000
#define CONN_SLOWEST_BYTES_PER_MS 10 /* a bigger answer has more time */

struct server;

/* Whoever answers requests reads the second block and sets text; the rest is conn.c's. */
struct conn {
    TAILQ_ENTRY(conn) link; /* of the server's, until it is closed */
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool answered;  /* an answer is being written: input is thrown away */
    bool half_open; /* the peer has sent all it will: closed when the answer is written */
    bool proxied;   /* it comes from a trusted proxy */
    int open_handles;
    int64_t head_by_ms; /* the request's head */
    char *output;       /* HTTP_REPLY_MAX bytes, or NULL */
    char *rest;         /* what came behind the request that is being answered, or NULL */
    size_t rest_len;
    void (*on_request)(struct conn *conn);

    struct server *server;
    enum route_port port;
    uint64_t id;
    int64_t accepted_us;
    struct client_key client; /* whose connection it is; nobody's: a trusted proxy's */
    struct client_key asker;  /* whose request it is */
    char peer[IPC_PEER_MAX];  /* for logs: the asker's address */
    struct http_head head;
    bool keep;         /* the connection stays after the answer, and is not read until then */
    uint32_t requests; /* so far */
    const char *input; /* within on_request: what came behind the head.  Borrowed. */
    size_t input_len;
    size_t head_len;          /* bytes of the head right before input; 0: it came in pieces */
    struct shared_text *text; /* the answer's body, or NULL.  Shared: the connection's reference */
};

/**
 * Take the connection that waits at a listening stream.
 *
 * @param on_request  called when the head of a request has arrived; answers or hands over.
 */
void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening,
                 void (*on_request)(struct conn *conn));

/** Take back a connection that a worker kept: fd is Moved if *fd becomes -1. */
void conn_adopt(struct server *server, const struct ipc_return *connection, int *fd,
                void (*on_request)(struct conn *conn));

/** @return where to write the head of an answer, HTTP_REPLY_MAX bytes.  Borrowed. */
char *conn_output(struct conn *conn);

/** Answer with len bytes of conn_output(). */
void conn_answer(struct conn *conn, size_t len);

/** The same, with a body that lives as long as the connection.  Borrowed. */
void conn_answer_with(struct conn *conn, size_t len, const void *body, size_t body_len);

/** Answer with an error; log and count it.  As http_reply_error_with() takes it. */
void conn_answer_error(struct conn *conn, enum http_error error, const char *headers,
                       const char *camera, const char *message);

/** The same, when there is nothing to say but why. */
void conn_refuse(struct conn *conn, enum http_error error, const char *message);

/** Stop reading. @return a duplicate of the socket, which the caller owns; -1: no descriptor. */
int conn_detach(struct conn *conn);

/** Read on, and throw away what still comes once it is answered: closing with bytes unread resets
 * the connection.  Does nothing while a kept connection is being answered. */
void conn_read_on(struct conn *conn);

/** Close at once; the connection is not to be used again. */
void conn_close(struct conn *conn);

/**
 * The server ends: close the connections whose request has not come yet.
 *
 * @param answered  those too whose answer is still being taken.
 */
void conn_close_all(struct server *server, bool answered);

#endif /* MASTER_CONN_H */
