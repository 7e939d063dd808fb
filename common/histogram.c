#include "common/histogram.h"

const uint32_t histogram_bounds_us[IPC_HISTOGRAM_BUCKETS - 1] = {
    10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000};

void histogram_add(struct ipc_histogram *histogram, int64_t us)
{
    int i = 0;
    if (us < 0)
        us = 0;
    while (i < IPC_HISTOGRAM_BUCKETS - 1 && us > histogram_bounds_us[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_us += (uint64_t)us;
}

void histogram_merge(struct ipc_histogram *into, const struct ipc_histogram *from)
{
    for (int i = 0; i < IPC_HISTOGRAM_BUCKETS; i++)
        into->counts[i] += from->counts[i];
    into->sum_us += from->sum_us;
}
