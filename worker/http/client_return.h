/* How a connection that was kept gets back to the master.  Worker, loop thread. */
#ifndef WORKER_CLIENT_RETURN_H
#define WORKER_CLIENT_RETURN_H

#include "common/ipc.h"

struct client_return {
    /* *fd is Moved if it becomes -1; else it is to be closed: the master is gone, or stuck. */
    void (*give)(void *ctx, const struct ipc_return *connection, int *fd);
    void *ctx;
};

#endif /* WORKER_CLIENT_RETURN_H */
