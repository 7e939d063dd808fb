/*
 * What the master is made of: configuration, listeners, cameras, connections; starting, draining,
 * stopping.  Master, loop thread.
 */
#ifndef MASTER_SERVER_H
#define MASTER_SERVER_H

#include "master/camera.h"
#include "master/conf.h"

#include <uv.h>

/* SIGTERM: running viewers are closed within this. */
#define SERVER_GRACE_MS 5000
/* Connections whose request is being read or answered by the master; beyond: 503 at once. */
#define SERVER_MAX_CONNS 8192

struct server {
    uv_loop_t *loop;
    const struct conf *conf;
    struct camera_table *cameras;
    struct listener *listeners[2];
    uint16_t ports[2];     /* that they listen on */
    size_t conns;          /* open in the master */
    uint64_t next_conn_id; /* of the next connection, for logs */
    bool draining;
};

/**
 * Run until SIGTERM or SIGINT has been answered.
 *
 * @param conf  Borrowed.
 * @return exit status of the process.
 */
int server_run(const struct conf *conf);

#endif /* MASTER_SERVER_H */
