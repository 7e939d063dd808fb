/*
 * What the server's connections, listeners and metrics share.  Master, loop thread.
 */
#ifndef MASTER_SERVER_SHARED_H
#define MASTER_SERVER_SHARED_H

#include "common/refusal_log.h"
#include "master/camera_table.h"
#include "master/conf.h"
#include "master/rate_limit.h"

#include <sys/queue.h>
#include <uv.h>

/* Connections whose request is being read or answered by the master; beyond: 503 at once, and with
 * so many refusals under way closed without a word. */
#define SERVER_MAX_CONNS 8192
#define SERVER_MAX_REFUSALS 1024
/* JSON and metrics that slow clients have not taken yet; beyond: 503, but for a single one. */
#define SERVER_MAX_TEXT_BYTES (32u << 20)

LIST_HEAD(conn_list, conn);

struct server {
    uv_loop_t *loop;
    const struct conf *conf;
    struct camera_table *cameras;
    struct listener *listeners[2];
    uint16_t ports[2]; /* that they listen on */
    struct conn_list open_conns;
    size_t conns;          /* in that list */
    size_t text_bytes;     /* of their answers */
    uint64_t next_conn_id; /* of the next connection, for logs */
    bool draining;
    int64_t started_s;                  /* UNIX time */
    uint64_t refused[HTTP_ERROR_COUNT]; /* requests answered with an error here */
    struct refusal_log refusal_log;
    struct rate_limit rate_limit;
};

#endif /* MASTER_SERVER_SHARED_H */
