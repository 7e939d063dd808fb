/*
 * Limits the counters that a worker reports to possible values: a compromised worker must not
 * overflow the server's totals, which are never reset.  Master; pure.
 */
#ifndef MASTER_STATS_CLAMP_H
#define MASTER_STATS_CLAMP_H

#include "common/ipc.h"

/* The most that a counter can grow in a millisecond: 16 GB/s for bytes; other counters grow far
 * more slowly. */
#define STATS_CLAMP_PER_MS (1u << 24)
#define STATS_CLAMP_SLACK_MS 2000 /* reports may be late or early */

/**
 * Make counters neither go back nor grow faster than STATS_CLAMP_PER_MS; bound picture sizes and
 * frame rates.
 *
 * @param now         corrected in place.
 * @param before      the previous report, corrected; zeroed for the first one.
 * @param elapsed_ms  since then.
 */
void stats_clamp(struct ipc_stats *now, const struct ipc_stats *before, int64_t elapsed_ms);

/** Leave out what was counted before: of each counter, base is subtracted. */
void stats_subtract(struct ipc_stats *now, const struct ipc_stats *base);

#endif /* MASTER_STATS_CLAMP_H */
