/* A worker process: the channel to the master, and one camera. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdint.h>

/**
 * Serve one camera until told to leave, or until the master is gone.
 *
 * @param channel  SOCK_SEQPACKET to the master.  Moved.
 * @return exit status of the process.
 */
int worker_run(uint32_t worker_id, int channel);

#endif /* WORKER_WORKER_H */
