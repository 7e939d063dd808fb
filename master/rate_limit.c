#include "master/rate_limit.h"

#define MINUTE_MS 60000.0

static struct rate_limit_bucket *find(struct rate_limit *limit, const struct client_key *key,
                                      uint32_t per_minute, int64_t now_ms)
{
    struct rate_limit_bucket *set =
        limit->sets[client_key_hash(key, limit->seed) % RATE_LIMIT_SETS];
    struct rate_limit_bucket *oldest = &set[0];
    for (int i = 0; i < RATE_LIMIT_WAYS; i++) {
        if (set[i].last_ms != 0 && client_key_equal(&set[i].key, key))
            return &set[i];
        if (set[i].last_ms < oldest->last_ms)
            oldest = &set[i];
    }
    oldest->key = *key;
    oldest->last_ms = now_ms;
    oldest->tokens = per_minute;
    return oldest;
}

static struct rate_limit_bucket *fill(struct rate_limit *limit, const struct client_key *client,
                                      uint32_t per_minute, int64_t now_ms)
{
    struct rate_limit_bucket *b = find(limit, client, per_minute, now_ms);
    b->tokens += (double)(now_ms - b->last_ms) * per_minute / MINUTE_MS;
    b->last_ms = now_ms;
    if (b->tokens > per_minute)
        b->tokens = per_minute;
    return b;
}

bool rate_limit_allows(struct rate_limit *limit, const struct client_key *client,
                       uint32_t per_minute, int64_t now_ms)
{
    return per_minute == 0 || fill(limit, client, per_minute, now_ms)->tokens >= 1;
}

bool rate_limit_pass(struct rate_limit *limit, const struct client_key *client, uint32_t per_minute,
                     int64_t now_ms)
{
    if (!rate_limit_allows(limit, client, per_minute, now_ms))
        return false;
    if (per_minute > 0)
        fill(limit, client, per_minute, now_ms)->tokens -= 1;
    return true;
}
