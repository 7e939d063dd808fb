/*
 * One client until it is answered or handed over to a worker.  Master, loop thread.
 *
 * Deadlines and bounds: a request head must arrive within CONN_HEAD_MS (408) and the limits of
 * http_head.h; the client must take an answer within CONN_LINGER_MS.  Before a connection is
 * closed, bytes beyond the head are read and discarded, so that closing does not reset the
 * connection under the answer.
 *
 * Connections to the snapshot port are kept (RFC 9112 section 9.3).  They end after CONN_IDLE_MS
 * without a request, or after CONN_REQUESTS_MAX requests.  While a worker answers, the connection
 * belongs to the worker.  It comes back after a second, or with the first request that the worker
 * may not answer by itself; that request is routed and admitted like the first one.
 *
 * A connection of a proxy in [server] proxy_protocol begins with a PROXY header (proxy_header.h):
 * it counts as the client's that the header names, as if that had connected itself.
 *
 * There is always room for a new connection: a client that has its share of them (client_share.h)
 * loses its oldest one; when all are taken, the oldest one whose request has not arrived is closed.
 */
#ifndef MASTER_CONN_H
#define MASTER_CONN_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "master/address.h"
#include "master/client_key.h"
#include "master/endpoint.h"
#include "master/http_head.h"
#include "master/shared_text.h"
#include "master/takeover.h"
#include "master/text_readers.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#define CONN_HEAD_MS 10000
#define CONN_LINGER_MS 2000
#define CONN_IDLE_MS 60000
#define CONN_REQUESTS_MAX 10000
#define CONN_SLOWEST_BYTES_PER_MS 10 /* bigger answers get more time */

struct server;

/* Code that answers requests reads the second block and sets text; conn.c owns the rest. */
struct conn {
    TAILQ_ENTRY(conn) link; /* in the server's list, until it is closed */
    uv_tcp_t tcp;
    uv_timer_t deadline;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool answered;        /* an answer is being written: input is discarded */
    bool waiting;         /* conn_wait(), conn_body.h */
    enum http_error late; /* while waiting: what to answer after CONN_WAIT_MS, and why */
    const char *late_message;
    bool websocket;           /* the request is a right handshake: errors come in a close frame */
    bool accepted;            /* and it is answered */
    bool half_open;           /* the peer sends no more: close when the answer is written */
    bool proxied;             /* it comes from a trusted proxy */
    struct conn_proxy *proxy; /* what has arrived of its PROXY header; NULL: none is awaited */
    bool parked;              /* between two requests, and not read: server->paused */
    int open_handles;
    int64_t head_by_ms; /* the deadline for the request's head */
    char *output;       /* HTTP_REPLY_MAX bytes, or NULL */
    char *rest;         /* the bytes after the request that is being answered, or NULL */
    size_t rest_len;
    void (*on_request)(struct conn *conn);

    struct server *server;
    enum route_port port;
    uint64_t id;
    int64_t accepted_us;
    union address from;       /* the peer, or the client that the PROXY header names */
    struct client_key client; /* the same; no address for a trusted proxy */
    struct client_key asker;  /* the client that sent the request */
    char peer[IPC_PEER_MAX];  /* for logs: the asker's address */
    struct http_head head;
    bool keep;         /* the connection outlives the answer; it is not read until then */
    uint32_t requests; /* so far */
    const char *input; /* during on_request: the bytes after the head.  Borrowed. */
    size_t input_len;
    struct conn_body *body; /* conn_body.h, or NULL; with it the next two */
    void (*on_input)(struct conn *conn, const char *data, size_t len); /* instead of a head */
    void (*on_end)(struct conn *conn);                                 /* before it is freed */
    size_t head_len;          /* length of the head, directly before input; 0: it came in pieces */
    struct shared_text *text; /* the answer's body, or NULL.  Shared: the connection's reference */
    struct text_reader reader;
};

/**
 * Accept the next connection of a listening stream.
 *
 * @param on_request  called when a request's head has arrived; it answers or hands over.
 */
void conn_accept(struct server *server, enum route_port port, uv_stream_t *listening,
                 void (*on_request)(struct conn *conn));

/** Take back a connection that a worker kept, and that came from there: fd is Moved if *fd becomes
 * -1. */
void conn_adopt(struct server *server, const struct ipc_return *connection,
                const union address *from, int *fd, void (*on_request)(struct conn *conn));

/** @return where to write the head of an answer, HTTP_REPLY_MAX bytes.  Borrowed. */
char *conn_output(struct conn *conn);

/** Answer with len bytes of conn_output(). */
void conn_answer(struct conn *conn, size_t len);

/** The same, with a body that lives as long as the connection.  Borrowed. */
void conn_answer_with(struct conn *conn, size_t len, const void *body, size_t body_len);

/** The answer's body will be this text, which lives as long.  Moved. */
void conn_hold_text(struct conn *conn, struct shared_text *text);

/** Answer the handshake of a WebSocket. @return false: the connection is lost, and closed. */
bool conn_accept_websocket(struct conn *conn);

/** Answer with an error, a WebSocket in the close frame; log and count it.  Parameters as for
 * http_reply_error_with(). */
void conn_answer_error(struct conn *conn, enum http_error error, const char *headers,
                       const char *camera, const char *message);

/** The same, with only a message. */
void conn_refuse(struct conn *conn, enum http_error error, const char *message);

/** Stop reading. @return a duplicate of the socket, which the caller owns; -1: no descriptor. */
int conn_detach(struct conn *conn);

/** Resume reading.  Bytes that arrive after the answer are discarded: closing with bytes unread
 * resets the connection.  Does nothing while a kept connection is being answered. */
void conn_read_on(struct conn *conn);

/** Close at once; do not use the connection again. */
void conn_close(struct conn *conn);

/** The same, to make room for others; counts it, and gives its text back at once.  NULL is fine. */
void conn_evict(struct conn *conn);

/* --- another program takes this one's place ------------------------------------ */

/** Begin no more requests: connections between two requests are parked, others when they get there.
 */
void conn_pause_all(struct server *server);

/** @return how many are not parked yet. */
size_t conn_count_unparked(const struct server *server);

/** Close those whose request is still arriving: it has taken too long. */
void conn_close_arriving(struct server *server);

/** Answer those in conn_wait() as if their time were over. */
void conn_answer_waiting(struct server *server);

/** Go on with what is parked. */
void conn_resume_all(struct server *server);

/** Write down the parked connections; the others end with this program. */
void conn_save_all(const struct server *server, struct takeover_writer *w);

/** Take in a TAKEOVER_CONNECTION. @return false: it is closed. */
bool conn_restore(struct server *server, const struct takeover_record *record,
                  struct takeover *takeover, void (*on_request)(struct conn *conn));

/**
 * The server ends: close the connections that are not being answered.
 *
 * @param answered  close also those whose answer is still being written.
 */
void conn_close_all(struct server *server, bool answered);

#endif /* MASTER_CONN_H */
