/*
 * GET /metrics: what the server counts, in the Prometheus text format 0.0.4.  Master, loop thread.
 * docs/operations.md has the table.
 */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

struct server;

/**
 * A camera's counters restart with its worker; the server's totals go on.
 *
 * Reads the memory of each process from /proc, in some microseconds each.
 *
 * @return text, NULL when out of memory.  Caller owns; free().
 */
char *metrics_text(const struct server *server);

#endif /* MASTER_METRICS_H */
