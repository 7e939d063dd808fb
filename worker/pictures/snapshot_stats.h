/* What is counted about the snapshots of a camera.  Worker, loop thread. */
#ifndef WORKER_SNAPSHOT_STATS_H
#define WORKER_SNAPSHOT_STATS_H

#include "common/ipc.h"

struct snapshot_stats {
    uint64_t bytes_out;
    uint64_t refused;           /* requests that got an error */
    uint64_t pictures;          /* JPEGs made */
    uint64_t decoded;           /* frames given to the decoder */
    struct ipc_histogram times; /* time from a request to its first picture */
};

#endif /* WORKER_SNAPSHOT_STATS_H */
