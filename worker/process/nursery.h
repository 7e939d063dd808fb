/*
 * The process that workers are forked from: libav is loaded and warm, there is one thread, and it
 * never holds a client's descriptor.  It forks when the master asks; the workers become the
 * master's children.
 */
#ifndef WORKER_NURSERY_H
#define WORKER_NURSERY_H

#include "common/sandbox_mode.h"

/**
 * Run the nursery until the master closes the channel.  In a forked worker this does not return.
 *
 * @param channel  SOCK_SEQPACKET to the master.  Moved.
 * @param sandbox  how to sandbox the workers.
 * @return exit status of the process.
 */
int nursery_run(int channel, enum sandbox_mode sandbox);

/** Do all that a nursery does before it serves, and end: can this program run here?
 * @return exit status of the process. */
int nursery_check(void);

#endif /* WORKER_NURSERY_H */
