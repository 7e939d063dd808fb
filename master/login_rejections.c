#include "master/login_rejections.h"

void login_rejections_add(struct login_rejections *r, int64_t now_ms)
{
    r->count = login_rejections_count(r, now_ms) + 1;
    r->last_ms = now_ms;
}

unsigned login_rejections_count(const struct login_rejections *r, int64_t now_ms)
{
    return now_ms - r->last_ms < LOGIN_FORGIVEN_MS ? r->count : 0;
}

int64_t login_rejections_wait_until_ms(const struct login_rejections *r)
{
    unsigned doublings = r->count - LOGIN_FREE < 8 ? r->count - LOGIN_FREE : 8;
    int64_t ms = LOGIN_WAIT_MS << doublings;
    return r->last_ms + (ms < LOGIN_WAIT_MAX_MS ? ms : LOGIN_WAIT_MAX_MS);
}

int64_t login_rejections_next_ms(const struct login_rejections *r, int64_t now_ms)
{
    return login_rejections_count(r, now_ms) < LOGIN_FREE ? 0 : login_rejections_wait_until_ms(r);
}
