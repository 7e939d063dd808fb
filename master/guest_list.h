/*
 * The clients that a camera's worker was given and that have not left: who they are, told apart by
 * tickets.  Master, loop thread; pure.
 *
 * The worker says which tickets are used up (IPC_LEFT).  It can only return its own, each once, so
 * whatever it says, no other camera's count is wrong.
 */
#ifndef MASTER_GUEST_LIST_H
#define MASTER_GUEST_LIST_H

#include "common/ipc.h"
#include "master/client_key.h"
#include "master/client_share.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest {
    struct client_key client;
    enum ipc_client_kind kind;
    bool here;
    uint32_t next_free; /* ticket, of one that is not here */
};

struct guest_list { /* zeroed at first; members are private but for reading the counts */
    struct guest *guests;
    uint32_t room;
    uint32_t first_free; /* ticket; room: none */
    uint32_t count;
    uint32_t viewers;             /* streams and MJPEG */
    struct client_share pictures; /* snapshots and MJPEG, for each client */
};

/** @return the guest's ticket. */
uint32_t guest_list_add(struct guest_list *list, const struct client_key *client,
                        enum ipc_client_kind kind);

/**
 * A guest has left.
 * @param guest  who it was.
 * @return false: nobody has this ticket.
 */
bool guest_list_remove(struct guest_list *list, uint32_t ticket, struct guest *guest);

/** @return some guest's ticket; room when nobody is here.  To empty a list with. */
uint32_t guest_list_any(const struct guest_list *list);

/** Forget all and free the memory. */
void guest_list_clear(struct guest_list *list);

/** Is it a viewer?  A snapshot is not: one picture and it is gone. */
bool guest_is_viewer(enum ipc_client_kind kind);

#endif /* MASTER_GUEST_LIST_H */
