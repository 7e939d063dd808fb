/*
 * What few requests need: a body, and an answer that comes later.  Master, loop thread.  Both end
 * the connection with the answer.
 */
#ifndef MASTER_CONN_BODY_H
#define MASTER_CONN_BODY_H

#include "master/conn.h"

#define CONN_BODY_MS 10000
#define CONN_WAIT_MS 30000

/* The body of a request, while it arrives and until the connection ends. */
struct conn_body {
    void (*on_whole)(struct conn *conn);
    size_t wanted;
    size_t len;
    char bytes[]; /* wanted bytes */
};

/**
 * Read the body that the request announces (body_len); within CONN_BODY_MS, else the answer is 408.
 * Meanwhile on_request() returns without an answer.
 *
 * @param on_whole  answers; c->body has the bytes.
 */
void conn_body_read(struct conn *conn, void (*on_whole)(struct conn *conn));

/**
 * The answer will come later: stop reading.  The connection ends with it.
 *
 * @param error, message  the answer if there is none within CONN_WAIT_MS; a literal.
 */
void conn_wait(struct conn *conn, enum http_error error, const char *message);

/** @return the connection that still waits for its answer, or NULL. */
struct conn *conn_wait_find(const struct server *server, uint64_t id);

#endif /* MASTER_CONN_BODY_H */
