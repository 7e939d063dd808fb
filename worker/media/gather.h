/*
 * How a connection to a camera that nobody watches is read: seldom, so that media gather in its
 * socket meanwhile.  Worker, any thread.
 */
#ifndef WORKER_GATHER_H
#define WORKER_GATHER_H

#include <stdbool.h>
#include <stdint.h>

/** Time between two reads, us: short enough to notice a camera that has fallen silent. */
int64_t gather_interval_us(uint32_t stall_timeout_ms);

/**
 * If lazy, the socket counts as readable only when much has come, or the connection has ended.  The
 * kernel makes its buffer large enough.
 */
void gather_set_lazy(int fd, bool lazy);

#endif /* WORKER_GATHER_H */
