#include "worker/camera/backoff.h"

#define DOUBLINGS_MAX 8 /* more exceed BACKOFF_MAX_MS */

int64_t backoff_ms(unsigned failed, bool watched, uint32_t random)
{
    int64_t max_ms = watched ? BACKOFF_WATCHED_MS : BACKOFF_MAX_MS;
    int64_t ms = max_ms;
    if (failed < DOUBLINGS_MAX && (BACKOFF_MIN_MS << failed) < max_ms)
        ms = BACKOFF_MIN_MS << failed;
    int64_t spread = ms / BACKOFF_JITTER;
    ms += (int64_t)(random % (uint32_t)(2 * spread + 1)) - spread;
    return ms < max_ms ? ms : max_ms;
}

int64_t backoff_least_ms(int64_t began_ms, int64_t now_ms)
{
    int64_t left_ms = began_ms + BACKOFF_ATTEMPT_EVERY_MS - now_ms;
    return began_ms != 0 && left_ms > 0 ? left_ms : 0;
}
