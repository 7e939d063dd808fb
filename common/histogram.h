/*
 * Histograms of durations; master and worker share the buckets.  Every process; pure.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include "common/ipc.h"

#include <stdint.h>

/* Inclusive upper bounds in microseconds; the last bucket has none. */
extern const uint32_t histogram_bounds_us[IPC_HISTOGRAM_BUCKETS - 1];

/** Count a duration in microseconds. */
void histogram_add(struct ipc_histogram *histogram, int64_t us);

/** Add from's counts and sum to into's. */
void histogram_merge(struct ipc_histogram *into, const struct ipc_histogram *from);

#endif /* COMMON_HISTOGRAM_H */
