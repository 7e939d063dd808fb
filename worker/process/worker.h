/* A worker process: the channel to the master, and one camera. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

/**
 * Serve one camera until told to leave, or until the master is gone.
 *
 * @param channel  SOCK_SEQPACKET to the master.  Moved.
 * @return exit status of the process.
 */
int worker_run(int channel);

#endif /* WORKER_WORKER_H */
