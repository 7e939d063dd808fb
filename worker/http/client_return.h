/* How a kept connection gets back to the master.  Worker, loop thread. */
#ifndef WORKER_CLIENT_RETURN_H
#define WORKER_CLIENT_RETURN_H

#include "common/ipc.h"

struct client_return {
    /* fd: Moved on success, and *fd becomes -1.  Else the caller closes it: the master is gone, or
     * stuck. */
    void (*give)(void *ctx, const struct ipc_return *connection, int *fd);
    void *ctx;
};

#endif /* WORKER_CLIENT_RETURN_H */
