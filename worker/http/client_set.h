/*
 * The clients of one fan-out, in no particular order: an array that grows.  Worker, one thread.
 * Pure.  Lives in its user by value, zeroed: empty.
 */
#ifndef WORKER_CLIENT_SET_H
#define WORKER_CLIENT_SET_H

#include <stddef.h>

struct client_set {
    void **items; /* Borrowed: each client frees itself, after client_set_remove() */
    size_t count;
    size_t capacity;
};

/** @param client  Borrowed, until client_set_remove(). */
void client_set_add(struct client_set *set, void *client);

/** Remove a client; the last one takes its place.  No effect if the client is not in the set. */
void client_set_remove(struct client_set *set, const void *client);

/** Free the array. */
void client_set_clear(struct client_set *set);

#endif /* WORKER_CLIENT_SET_H */
