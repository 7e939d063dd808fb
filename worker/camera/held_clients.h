/*
 * Requests that wait some milliseconds until what a lazy source has gathered has been read.
 * Worker, loop thread.  The caller bounds them.
 */
#ifndef WORKER_HELD_CLIENTS_H
#define WORKER_HELD_CLIENTS_H

#include "common/ipc.h"

#include <stddef.h>

struct outputs;
struct held_client;

/* Zeroed at first. */
struct held_clients {
    struct held_client *first; /* NULL: none */
    struct held_client *last;
    size_t count;
};

/** fd is Moved, request copied. */
void held_clients_add(struct held_clients *held, int *fd, const struct ipc_client *request);

/** Give all to the outputs, in the order in which they came. */
void held_clients_release(struct held_clients *held, struct outputs *outputs);

#endif /* WORKER_HELD_CLIENTS_H */
