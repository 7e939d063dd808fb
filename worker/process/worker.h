/* A worker process: the channel to the master, and one camera. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "common/handover.h"

#include <uv.h>

/**
 * Serve one camera until told to leave, or until the master is gone.
 *
 * @param loop      made before the sandbox was entered, which allows no other one.  Borrowed.
 * @param channel   SOCK_SEQPACKET to the master.  Moved.
 * @param handover  as worker_take_memory() made it.  Borrowed.
 * @return exit status of the process.
 */
int worker_run(uv_loop_t *loop, int channel, struct handover *handover);

/**
 * Map the memory that the channel's first message carries.  Call it before the sandbox is entered.
 *
 * @param channel  Borrowed.
 * @param out      Caller owns; lives as long as the process.
 * @return 0 or negative errno; -EPROTO: the master speaks another version.
 */
int worker_take_memory(int channel, struct handover **out);

#endif /* WORKER_WORKER_H */
