/*
 * What a worker says that it has counted, made into what can be: a worker that was taken over must
 * not wrap the totals of the server, which go on for ever.  Master; pure.
 */
#ifndef MASTER_STATS_CLAMP_H
#define MASTER_STATS_CLAMP_H

#include "common/ipc.h"

/* No counter grows by more in a millisecond: 16 GB/s, in bytes, and far less in anything else. */
#define STATS_CLAMP_PER_MS (1u << 24)
#define STATS_CLAMP_SLACK_MS 2000 /* reports do not come by the clock */

/**
 * Counters neither go back nor grow faster than anything can be; sizes and rates are as big as a
 * picture's can be.
 *
 * @param now         corrected in place.
 * @param before      the report before, corrected; zeroed for the first one.
 * @param elapsed_ms  since then.
 */
void stats_clamp(struct ipc_stats *now, const struct ipc_stats *before, int64_t elapsed_ms);

#endif /* MASTER_STATS_CLAMP_H */
