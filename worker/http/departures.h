/*
 * What the master learns about clients: the tickets of those that have left, until it has been
 * told, and the memory with a slot for each.  Worker, loop thread.  client_socket adds to it,
 * worker.c empties it.
 */
#ifndef WORKER_DEPARTURES_H
#define WORKER_DEPARTURES_H

#include "common/handover.h"
#include "common/ipc.h"

#include <stdbool.h>
#include <stddef.h>

struct departures { /* zeroed at first */
    uint32_t *tickets;
    size_t count; /* at most one for each client that the master sent */
    size_t room;
    struct handover *handover; /* Borrowed; NULL: clients have no slots */
};

/** A client has left.  departures may be NULL: nobody wants to know. */
void departures_add(struct departures *departures, uint32_t ticket);

/** Fill in the next message; call departures_drop() once it is sent. @return false: none left. */
bool departures_next(const struct departures *departures, struct ipc_left *left);

/** Remove the tickets of a message that was sent. */
void departures_drop(struct departures *departures, const struct ipc_left *left);

/** Forget all tickets. */
void departures_clear(struct departures *departures);

#endif /* WORKER_DEPARTURES_H */
