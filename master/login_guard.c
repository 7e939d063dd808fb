#include "master/login_guard.h"

static struct login_password *known_password(const struct login_memory *logins,
                                             const struct camera_url *url)
{
    return login_memory_password(logins, login_memory_find(logins, url), url);
}

/* --- the paths of a password ------------------------------------------------ */

static void forget_rejections(struct login_password *p)
{
    p->rejected = p->lost = 0;
    path_set_clear(&p->closed);
    p->own = (struct login_rejections){0};
}

static void note_rejected_path(struct login_memory *logins, struct login_password *p, uint32_t path)
{
    p->lost += path_set_has(&p->opened, path);
    if (path_set_has(&p->closed, path))
        path_set_clear(&p->closed); /* its turn again: a new round */
    else
        p->rejected += p->rejected < LOGIN_FREE;
    path_set_remove(&p->opened, path);
    login_memory_add_path(logins, &p->closed, path);
}

/* --- may it be tried? -------------------------------------------------------- */

static unsigned being_tried(const struct login *login)
{
    unsigned n = 0;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++)
        n += login->passwords[i].trying > 0 && !login->passwords[i].accepted;
    return n;
}

static bool may_try_another(const struct login *login, int64_t now_ms)
{
    unsigned trying = being_tried(login);
    if (login_rejections_count(&login->all, now_ms) + trying < LOGIN_FREE)
        return true;
    return now_ms >= login_rejections_next_ms(&login->all, now_ms) && trying == 0;
}

/* How much sooner than the paths that rejected it another one may try it: the user may lack the
 * rights for those.  Of a password that an older program remembers, no path is known. */
static int64_t lead_of_others_ms(const struct login *login, const struct login_password *p)
{
    bool may_be_rights =
        p->rejected > 0 && p->rejected < LOGIN_FREE && login->all.count < LOGIN_FREE;
    return may_be_rights ? LOGIN_REFUSED_MS - LOGIN_WAIT_MS : 0;
}

/* When several paths have rejected it, those that have not come first: else the same three might be
 * tried for ever. */
static int64_t refused_until_ms(const struct login *login, const struct login_password *p,
                                uint32_t path)
{
    if (p->refused_until_ms == 0)
        return 0;
    if (!path_set_has(&p->closed, path))
        return p->refused_until_ms - lead_of_others_ms(login, p);
    return p->refused_until_ms + (p->rejected > 1 ? LOGIN_WAIT_MS : 0);
}

/* It was accepted, but not for this path, and some reject it. */
static bool may_lack_rights(const struct login_password *p, uint32_t path)
{
    return p->accepted && p->rejected == LOGIN_FREE && !path_set_has(&p->opened, path);
}

enum login_verdict login_guard_ask(const struct login_memory *logins, const struct camera_url *url,
                                   int64_t now_ms)
{
    struct login *login = login_memory_find(logins, url);
    if (login == NULL)
        return LOGIN_ALLOWED;
    struct login_password *p = login_memory_password(logins, login, url);
    uint32_t path = login_memory_path(logins, url);
    if (p != NULL && now_ms < refused_until_ms(login, p, path))
        return LOGIN_REFUSED;
    if (p != NULL && may_lack_rights(p, path))
        return now_ms >= login_rejections_next_ms(&p->own, now_ms) ? LOGIN_ALLOWED : LOGIN_REFUSED;
    if (p != NULL && (p->accepted || p->trying > 0))
        return LOGIN_ALLOWED;
    return may_try_another(login, now_ms) ? LOGIN_ALLOWED : LOGIN_WAIT;
}

int64_t login_guard_refused_until_ms(const struct login_memory *logins,
                                     const struct camera_url *url)
{
    const struct login *login = login_memory_find(logins, url);
    const struct login_password *p = known_password(logins, url);
    uint32_t path = login_memory_path(logins, url);
    if (p == NULL)
        return 0;
    if (may_lack_rights(p, path) && p->own.count >= LOGIN_FREE)
        return login_rejections_wait_until_ms(&p->own);
    return refused_until_ms(login, p, path);
}

bool login_guard_is_awaited(const struct login_memory *logins, const struct camera_url *url,
                            int64_t now_ms)
{
    const struct login_password *p = known_password(logins, url);
    if (p == NULL || p->trying == 0 || (p->accepted && p->rejected == 0))
        return false;
    return p->trying >= LOGIN_FREE || p->connects_ms == 0 ||
           now_ms - p->connects_ms < LOGIN_TURN_MS;
}

bool login_guard_is_overdue(const struct login_memory *logins, const struct camera_url *url,
                            int64_t ms, int64_t now_ms)
{
    const struct login_password *p = known_password(logins, url);
    if (p == NULL)
        return true;
    return p->asked_ms != 0 ? now_ms - p->asked_ms >= ms : p->trying < LOGIN_FREE;
}

/* --- what happens ------------------------------------------------------------ */

void login_guard_begin(struct login_memory *logins, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct login_password *p = login_memory_add(logins, url, &login, now_ms);
    if (p == NULL)
        return;
    if (p->trying++ == 0)
        p->asked_ms = 0;
    p->connects_ms = 0;
}

void login_guard_connects(struct login_memory *logins, const struct camera_url *url, int64_t now_ms)
{
    struct login_password *p = known_password(logins, url);
    if (p == NULL)
        return;
    p->connects_ms = now_ms;
    if (p->asked_ms == 0)
        p->asked_ms = now_ms;
}

void login_guard_end(struct login_memory *logins, const struct camera_url *url)
{
    struct login_password *p = known_password(logins, url);
    if (p != NULL && p->trying > 0)
        p->trying--;
}

void login_guard_accepted(struct login_memory *logins, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct login_password *p = login_memory_add(logins, url, &login, now_ms);
    if (p == NULL)
        return;
    p->accepted = true;
    p->refused_until_ms = 0;
    forget_rejections(p);
    login_memory_add_path(logins, &p->opened, login_memory_path(logins, url));
}

bool login_guard_rejected(struct login_memory *logins, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct login_password *p = login_memory_add(logins, url, &login, now_ms);
    if (login == NULL)
        return false;
    login_rejections_add(&login->all, now_ms);
    if (p == NULL)
        return false;
    login_rejections_add(&p->own, now_ms);
    bool was_right = path_set_has(&p->opened, login_memory_path(logins, url));
    note_rejected_path(logins, p, login_memory_path(logins, url));
    /* A password that was accepted before may lack the rights for this path; other paths may still
     * use it. */
    p->accepted = p->accepted && p->lost < LOGIN_FREE;
    if (!p->accepted)
        p->refused_until_ms = now_ms + LOGIN_REFUSED_MS;
    return was_right;
}

void login_guard_left(struct login_memory *logins, const struct camera_url *url, int64_t now_ms)
{
    struct login *login = login_memory_find(logins, url);
    struct login_password *p = known_password(logins, url);
    if (p == NULL || p->accepted)
        return;
    login_rejections_add(&login->all, now_ms);
    if (login_rejections_next_ms(&login->all, now_ms) > p->refused_until_ms)
        p->refused_until_ms = login_rejections_next_ms(&login->all, now_ms);
}

bool login_guard_forgive(struct login_memory *logins, const struct camera_url *url, bool rejected,
                         int64_t now_ms)
{
    struct login *login = login_memory_find(logins, url);
    struct login_password *p = login == NULL ? NULL : login_memory_password(logins, login, url);
    bool refused = p != NULL && now_ms < p->refused_until_ms;
    if (login == NULL || (!refused && !rejected))
        return true;
    if (!may_try_another(login, now_ms))
        return false;
    if (p != NULL) {
        p->refused_until_ms = 0;
        forget_rejections(p);
    }
    return true;
}
