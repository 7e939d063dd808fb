#include "master/stats_clamp.h"

#include <stddef.h>
#include <string.h>

#define SIZE_MAX_PIXELS 65535u
#define RATE_MAX_MHZ 1000000u
/* The counters of struct ipc_stats come first. */
#define COUNTERS (offsetof(struct ipc_stats, picture_us) / sizeof(uint64_t))

static void clamp(uint64_t *now, uint64_t before, uint64_t most)
{
    if (*now < before)
        *now = before;
    else if (*now - before > most)
        *now = before + most;
}

static void clamp_histogram(struct ipc_histogram *now, const struct ipc_histogram *before,
                            uint64_t most)
{
    clamp(&now->sum_us, before->sum_us, most);
    for (size_t i = 0; i < IPC_HISTOGRAM_BUCKETS; i++)
        clamp(&now->counts[i], before->counts[i], most);
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

void stats_clamp(struct ipc_stats *now, const struct ipc_stats *before, int64_t elapsed_ms)
{
    uint64_t most = (uint64_t)(elapsed_ms + STATS_CLAMP_SLACK_MS) * STATS_CLAMP_PER_MS;
    clamp(&now->bytes_in, before->bytes_in, most);
    clamp(&now->bytes_out, before->bytes_out, most);
    clamp(&now->frames_in, before->frames_in, most);
    clamp(&now->frames_dropped, before->frames_dropped, most);
    clamp(&now->gop_overflows, before->gop_overflows, most);
    clamp(&now->packets_lost, before->packets_lost, most);
    clamp(&now->packets_overrun, before->packets_overrun, most);
    clamp(&now->frames_damaged, before->frames_damaged, most);
    clamp(&now->frames_left_out, before->frames_left_out, most);
    clamp(&now->frames_refused, before->frames_refused, most);
    clamp(&now->transcoder_dropped, before->transcoder_dropped, most);
    clamp(&now->transcoder_late, before->transcoder_late, most);
    clamp(&now->clients_refused, before->clients_refused, most);
    clamp_histogram(&now->join, &before->join, most);
    clamp_histogram(&now->snapshot, &before->snapshot, most);
    now->width = at_most(now->width, SIZE_MAX_PIXELS);
    now->height = at_most(now->height, SIZE_MAX_PIXELS);
    now->frame_rate_mhz = at_most(now->frame_rate_mhz, RATE_MAX_MHZ);
}

void stats_subtract(struct ipc_stats *now, const struct ipc_stats *base)
{
    uint64_t counters[COUNTERS], before[COUNTERS];
    memcpy(counters, now, sizeof(counters));
    memcpy(before, base, sizeof(before));
    for (size_t i = 0; i < COUNTERS; i++)
        counters[i] -= before[i] < counters[i] ? before[i] : counters[i];
    memcpy(now, counters, sizeof(counters));
}
