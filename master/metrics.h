/*
 * GET /metrics: what the server counts, in the Prometheus text format 0.0.4.  Master, loop thread.
 * docs/operations.md has the table.
 */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

struct server;

/**
 * Counters of a camera begin anew with its worker; those of the server go on.
 *
 * Reads /proc for the memory of each process, some microseconds each.
 *
 * @return text, NULL when out of memory.  Caller owns; free().
 */
char *metrics_text(const struct server *server);

#endif /* MASTER_METRICS_H */
