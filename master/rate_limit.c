#include "master/rate_limit.h"

#include <netinet/in.h>
#include <string.h>

#define MINUTE_MS 60000.0

static void make_key(const struct sockaddr *client, uint64_t key[2])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16] = {0};
    if (client->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)client)->sin_addr, 4);
    } else if (client->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)client)->sin6_addr, 16);
        if (memcmp(bytes, mapped, sizeof(mapped)) != 0)
            memset(bytes + 8, 0, 8);
    }
    memcpy(key, bytes, sizeof(bytes));
}

/* SplitMix64's finisher over both halves. */
static uint64_t hash(const uint64_t key[2], uint64_t seed)
{
    uint64_t h = seed;
    for (int i = 0; i < 2; i++) {
        h += key[i] + 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
        h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
        h ^= h >> 31;
    }
    return h;
}

static struct rate_limit_bucket *find(struct rate_limit *limit, const uint64_t key[2],
                                      uint32_t per_minute, int64_t now_ms)
{
    struct rate_limit_bucket *set = limit->sets[hash(key, limit->seed) % RATE_LIMIT_SETS];
    struct rate_limit_bucket *oldest = &set[0];
    for (int i = 0; i < RATE_LIMIT_WAYS; i++) {
        if (set[i].last_ms != 0 && memcmp(set[i].key, key, sizeof(set[i].key)) == 0)
            return &set[i];
        if (set[i].last_ms < oldest->last_ms)
            oldest = &set[i];
    }
    memcpy(oldest->key, key, sizeof(oldest->key));
    oldest->last_ms = now_ms;
    oldest->tokens = per_minute;
    return oldest;
}

bool rate_limit_pass(struct rate_limit *limit, const struct sockaddr *client, uint32_t per_minute,
                     int64_t now_ms)
{
    uint64_t key[2];
    if (per_minute == 0)
        return true;
    make_key(client, key);
    struct rate_limit_bucket *b = find(limit, key, per_minute, now_ms);
    b->tokens += (double)(now_ms - b->last_ms) * per_minute / MINUTE_MS;
    b->last_ms = now_ms;
    if (b->tokens > per_minute)
        b->tokens = per_minute;
    if (b->tokens < 1)
        return false;
    b->tokens -= 1;
    return true;
}
