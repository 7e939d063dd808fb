/*
 * Whose turn it is to get a picture: clients are served one after the other, and each job goes on
 * where the last one ended.  Worker, one thread.  Pure.  Lives in its user by value.
 */
#ifndef WORKER_SNAPSHOT_TURNS_H
#define WORKER_SNAPSHOT_TURNS_H

#include <stdint.h>

/* The clients that are remembered.  Of more, those served longest ago count as new ones. */
#define SNAPSHOT_TURNS_CLIENTS 64

struct snapshot_turns { /* zeroed at first */
    struct {
        uint64_t client; /* ipc_client.client */
        uint64_t turn;   /* 0: unused */
    } served[SNAPSHOT_TURNS_CLIENTS];
    uint64_t turn; /* the last one */
};

/** @return the client's last turn: the lower, the longer ago.  0: it had none. */
uint64_t snapshot_turns_last(const struct snapshot_turns *turns, uint64_t client);

/** It has its turn now. */
void snapshot_turns_take(struct snapshot_turns *turns, uint64_t client);

#endif /* WORKER_SNAPSHOT_TURNS_H */
