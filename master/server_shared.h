/*
 * What the server's connections, listeners and metrics share.  Master, loop thread.
 */
#ifndef MASTER_SERVER_SHARED_H
#define MASTER_SERVER_SHARED_H

#include "common/clock.h"
#include "common/refusal_log.h"
#include "master/camera_table.h"
#include "master/client_share.h"
#include "master/conf.h"
#include "master/rate_limit.h"
#include "master/shared_text.h"
#include "master/text_readers.h"

#include <sys/queue.h>
#include <uv.h>

/* How many connections the master may read and answer at once, or half the limit of descriptors if
 * that is less; beyond this, the oldest is closed (conn.h). */
#define SERVER_MAX_CONNS 8192
/* JSON and metrics that slow clients have not taken yet.  Beyond this, slow readers are closed
 * (text_readers.h). */
#define SERVER_MAX_TEXT_BYTES (32u << 20)

TAILQ_HEAD(conn_list, conn);
struct camera_store;
struct fd_store;

struct server {
    uv_loop_t *loop;
    const struct conf *conf;
    struct camera_table *cameras;
    struct listener *listeners[2];
    uint16_t ports[2];           /* the listeners' ports */
    struct conn_list open_conns; /* oldest first */
    size_t conns;                /* in that list */
    size_t allocated_conns;      /* open, or being closed */
    size_t most_conns;           /* the most allocated at once since memory was given back */
    size_t max_conns;
    struct client_share conn_share;
    uint64_t evicted_conns; /* closed to make room for others */
    char input[4096];       /* what a connection has just read */
    struct text_cache metrics;
    struct text_cache streams;
    struct text_cache list; /* of the named cameras */
    size_t text_bytes;      /* total length of the texts that answers hold */
    struct text_reader_list text_readers;
    uint64_t next_conn_id; /* the last connection's ID, for logs: counts all accepted */
    bool draining;
    bool reload_failed; /* the last one: the configuration is older than the file */
    uint64_t seconds_without_descriptors;
    bool paused;       /* another program takes this one's place: no request is begun (conn.h) */
    int64_t started_s; /* UNIX time */
    uint64_t refused[HTTP_ERROR_COUNT]; /* requests that the master answered with an error */
    struct refusal_log refusal_log;
    struct rate_limit rate_limit;
    struct camera_store *store;
    struct fd_store *fd_store;
    size_t stored_viewers;   /* they are in what systemd keeps (fd_store.h) */
    size_t unstored_viewers; /* they found no room there */
};

/** What is known of the cameras has changed by a request or a reload: the next answers say so. */
static inline void server_expire_texts(struct server *server)
{
    int64_t now_us = clock_us();
    text_cache_expire(&server->metrics, now_us);
    text_cache_expire(&server->streams, now_us);
    text_cache_expire(&server->list, now_us);
}

#endif /* MASTER_SERVER_SHARED_H */
