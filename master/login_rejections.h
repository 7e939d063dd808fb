/*
 * Counts passwords that a camera rejects in a row, and says how long the next one waits for them.
 * Master, loop thread; pure: the caller passes the time.
 */
#ifndef MASTER_LOGIN_REJECTIONS_H
#define MASTER_LOGIN_REJECTIONS_H

#include <stdint.h>

#define LOGIN_FREE 3
#define LOGIN_WAIT_MS INT64_C(60000)
#define LOGIN_WAIT_MAX_MS INT64_C(300000)
#define LOGIN_FORGIVEN_MS INT64_C(600000)

struct login_rejections { /* zeroed at first */
    unsigned count;       /* each less than LOGIN_FORGIVEN_MS after the one before */
    int64_t last_ms;
};

/** Count one. */
void login_rejections_add(struct login_rejections *r, int64_t now_ms);

/** @return how many count; none LOGIN_FORGIVEN_MS after the last one. */
unsigned login_rejections_count(const struct login_rejections *r, int64_t now_ms);

/** @return until when the next one waits, LOGIN_FREE or more having been rejected. */
int64_t login_rejections_wait_until_ms(const struct login_rejections *r);

/** @return when the next one may be tried; 0: at once. */
int64_t login_rejections_next_ms(const struct login_rejections *r, int64_t now_ms);

#endif /* MASTER_LOGIN_REJECTIONS_H */
