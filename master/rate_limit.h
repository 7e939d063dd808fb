/*
 * Requests per client and minute: a token bucket for each, in a table of fixed size.  Master, loop
 * thread; pure: no I/O, the caller passes the time.
 *
 * When the table has no room for a client, the one that has been quiet longest is forgotten, which
 * works in its favour.
 */
#ifndef MASTER_RATE_LIMIT_H
#define MASTER_RATE_LIMIT_H

#include "master/client_key.h"

#include <stdbool.h>
#include <stdint.h>

#define RATE_LIMIT_SETS 1024
#define RATE_LIMIT_WAYS 4

struct rate_limit_bucket {
    struct client_key key;
    int64_t last_ms; /* 0: unused */
    double tokens;
};

struct rate_limit {
    uint64_t seed; /* so that nobody can choose which client to push out */
    struct rate_limit_bucket sets[RATE_LIMIT_SETS][RATE_LIMIT_WAYS];
};

/**
 * Count a request.
 *
 * @param limit       zeroed at first, except for a random seed.
 * @param per_minute  requests; as many may come at once.  0: no limit.
 * @param now_ms      monotonic, > 0.
 * @return may it be served?
 */
bool rate_limit_pass(struct rate_limit *limit, const struct client_key *client, uint32_t per_minute,
                     int64_t now_ms);

/** Could a request be served now?  Nothing is counted.  Parameters and result as above. */
bool rate_limit_allows(struct rate_limit *limit, const struct client_key *client,
                       uint32_t per_minute, int64_t now_ms);

#endif /* MASTER_RATE_LIMIT_H */
