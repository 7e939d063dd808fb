/*
 * What the master keeps of a client whose request it handed to a worker, so that another worker can
 * go on with it: a second descriptor of its socket, and the request.  Master, loop thread.
 *
 * A visit costs some 800 bytes and a descriptor.  A client without one ends with its worker.
 */
#ifndef MASTER_VISIT_H
#define MASTER_VISIT_H

#include "common/handover.h"
#include "common/ipc.h"

#include <stddef.h>

struct visit;

/* What a worker left of a visit. */
enum visit_fate {
    VISIT_GOES_ON, /* another worker can take it */
    VISIT_RETURNS, /* a kept connection, between two requests */
    VISIT_ENDS
};

/**
 * @param request  copied.
 * @param fd       the client's socket.  Borrowed: the visit has a duplicate.
 * @return NULL: no descriptor is left.  Caller owns; visit_free().
 */
struct visit *visit_new(const struct ipc_client *request, int fd);

/** Close the descriptor, which ends the connection if no worker has it, and clear *visit. */
void visit_free(struct visit **visit);

/**
 * The worker's process has ended: decide what becomes of the client, and remember its slot.
 *
 * @param slot  NULL: the worker is not believed, or the client had none.  Borrowed.
 */
enum visit_fate visit_judge(struct visit *visit, const struct handover_slot *slot);

/** @return the name by which the client asked for the camera, or "".  Borrowed. */
const char *visit_name(const struct visit *visit);

/** Write the message for the next worker, but for its ticket. */
void visit_request(const struct visit *visit, struct ipc_client *message);

/** Prepare the slot for the next worker. */
void visit_fill_slot(const struct visit *visit, struct handover_slot *slot);

/** @return a duplicate of the client's socket, or -1.  Caller owns. */
int visit_socket(const struct visit *visit);

#endif /* MASTER_VISIT_H */
