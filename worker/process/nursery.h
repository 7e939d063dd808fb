/*
 * The process that workers are forked from: libav is loaded and warm, there is one thread, and no
 * client's descriptor was ever here.  Forks when the master asks, and leaves the workers to it.
 */
#ifndef WORKER_NURSERY_H
#define WORKER_NURSERY_H

#include "common/sandbox_mode.h"

/**
 * Run the nursery until the master closes the channel.  In a forked worker this does not return.
 *
 * @param channel  SOCK_SEQPACKET to the master.  Moved.
 * @param sandbox  how workers are shut in.
 * @return exit status of the process.
 */
int nursery_run(int channel, enum sandbox_mode sandbox);

#endif /* WORKER_NURSERY_H */
