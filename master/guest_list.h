/*
 * The clients that a camera's worker has received and that have not left.  Each has a ticket.
 * Master, loop thread; pure.
 *
 * The worker reports the tickets of clients that have left (IPC_LEFT).  It can return only its own
 * tickets, each once, so no false report can disturb another camera's counts.
 */
#ifndef MASTER_GUEST_LIST_H
#define MASTER_GUEST_LIST_H

#include "common/ipc.h"
#include "master/address.h"
#include "master/client_key.h"
#include "master/client_share.h"
#include "master/visit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest {
    struct client_key client;
    union address from; /* the connection's peer: whose it is when it comes back */
    enum ipc_client_kind kind;
    bool here;
    uint64_t gone_since; /* the worker's report in whose time it closed; 0: it has not */
    struct visit *visit; /* NULL: no other worker can take it.  Caller owns: visit_free() */
    uint32_t next_free;  /* the next free ticket, unless here */
};

struct guest_list { /* zeroed at first; private, but the counts may be read */
    struct guest *guests;
    uint32_t room;
    uint32_t first_free; /* ticket; room: none */
    uint32_t count;
    uint32_t looked_at;           /* ticket at which camera_clients_obey() goes on */
    struct client_share viewers;  /* streams and MJPEG, by client */
    struct client_share pictures; /* snapshots and MJPEG, by client */
};

/** @return the guest's ticket. */
uint32_t guest_list_add(struct guest_list *list, const struct client_key *client,
                        const union address *from, enum ipc_client_kind kind);

/** The same with a ticket that the guest has already, from another program.
 * @return NULL: somebody has it, or it is too high.  Borrowed until the list changes. */
struct guest *guest_list_put(struct guest_list *list, uint32_t ticket,
                             const struct client_key *client, const union address *from,
                             enum ipc_client_kind kind);

/**
 * A guest has left.
 * @param guest  set to the guest that left.
 * @return false: nobody has this ticket.
 */
bool guest_list_remove(struct guest_list *list, uint32_t ticket, struct guest *guest);

/** @return the guest with this ticket; NULL: nobody has it.  Borrowed until the list changes. */
struct guest *guest_list_find(const struct guest_list *list, uint32_t ticket);

/** Is a guest of this client here? */
bool guest_list_has(const struct guest_list *list, const struct client_key *client);

/** @return any guest's ticket; room when the list is empty.  Serves to empty a list. */
uint32_t guest_list_any(const struct guest_list *list);

/** Forget all guests and free the memory. */
void guest_list_clear(struct guest_list *list);

/** Do clients of this kind count as viewers?  Snapshot requests do not. */
bool guest_is_viewer(enum ipc_client_kind kind);

#endif /* MASTER_GUEST_LIST_H */
