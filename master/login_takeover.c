#include "master/login_takeover.h"

#include <string.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
struct login_record { /* the tail is who */
    int64_t rejected_ms;
    int64_t used_ms;
    uint32_t rejections;
    uint32_t reserved;
    struct {
        uint64_t hash;
        int64_t refused_until_ms;
        uint32_t accepted;
        uint32_t reserved;
    } passwords[LOGIN_PASSWORDS];
    struct { /* an older program has none of them */
        uint32_t rejected;
        uint32_t lost;
    } paths[LOGIN_PASSWORDS];
    struct { /* likewise */
        int64_t last_ms;
        uint32_t count;
        uint32_t reserved;
    } own[LOGIN_PASSWORDS];
};

/* The paths of one password, after its login.  The tail: opened, closed, who. */
struct paths_record {
    uint64_t hash;
    uint32_t opened; /* how many */
    uint32_t closed;
};
#pragma GCC diagnostic pop

/* --- saving ------------------------------------------------------------------ */

static size_t append(uint8_t *out, size_t at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(out + at, bytes, len);
    return at + len;
}

static void save_paths(const struct login *login, const struct login_password *p,
                       struct takeover_writer *w)
{
    uint8_t tail[sizeof(uint32_t) * 2 * PATH_SET_MAX + LOGIN_WHO_MAX];
    const struct paths_record r = {p->hash, p->opened.count, p->closed.count};
    if (r.opened == 0 && r.closed == 0)
        return;
    size_t len = append(tail, 0, p->opened.values, r.opened * sizeof(uint32_t));
    len = append(tail, len, p->closed.values, r.closed * sizeof(uint32_t));
    len = append(tail, len, login->who, strlen(login->who));
    takeover_put(w, TAKEOVER_LOGIN_PATHS, &r, sizeof(r), tail, len);
}

static void save(const struct login *login, struct takeover_writer *w)
{
    struct login_record r = {.rejected_ms = login->all.last_ms,
                             .used_ms = login->used_ms,
                             .rejections = login->all.count};
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        const struct login_password *p = &login->passwords[i];
        r.passwords[i].hash = p->hash;
        r.passwords[i].refused_until_ms = p->refused_until_ms;
        r.passwords[i].accepted = p->accepted;
        r.paths[i].rejected = p->rejected;
        r.paths[i].lost = p->lost;
        r.own[i].last_ms = p->own.last_ms;
        r.own[i].count = p->own.count;
    }
    takeover_put(w, TAKEOVER_LOGIN, &r, sizeof(r), login->who, strlen(login->who));
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++)
        save_paths(login, &login->passwords[i], w);
}

void login_takeover_save(const struct login_memory *memory, struct takeover_writer *w)
{
    takeover_put(w, TAKEOVER_LOGIN_SEED, &memory->seed, sizeof(memory->seed), NULL, 0);
    for (size_t i = 0; i < memory->count; i++)
        save(memory->logins[i], w);
}

/* --- restoring --------------------------------------------------------------- */

/* @return false: it is none. */
static bool read_who(const uint8_t *text, size_t len, char who[LOGIN_WHO_MAX])
{
    if (len == 0 || len >= LOGIN_WHO_MAX)
        return false;
    memcpy(who, text, len);
    who[len] = '\0';
    return true;
}

static void restore_password(struct login_password *p, const struct login_record *r, size_t i)
{
    *p = (struct login_password){
        .hash = r->passwords[i].hash,
        .accepted = r->passwords[i].accepted != 0,
        .refused_until_ms = r->passwords[i].refused_until_ms,
        .rejected = r->paths[i].rejected < LOGIN_FREE ? r->paths[i].rejected : LOGIN_FREE,
        .lost = r->paths[i].lost,
        .own = {r->own[i].count, r->own[i].last_ms}};
}

static void restore(struct login_memory *memory, const struct takeover_record *record)
{
    struct login_record r;
    char who[LOGIN_WHO_MAX];
    takeover_get(record, &r, sizeof(r));
    struct login *login =
        read_who(record->tail, record->tail_len, who) ? login_memory_add_who(memory, who) : NULL;
    if (login == NULL)
        return;
    login->all = (struct login_rejections){r.rejections, r.rejected_ms};
    login->used_ms = r.used_ms;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++)
        restore_password(&login->passwords[i], &r, i);
}

/* Its login's record has come before it. */
static void restore_paths(struct login_memory *memory, const struct takeover_record *record)
{
    struct paths_record r;
    char who[LOGIN_WHO_MAX];
    takeover_get(record, &r, sizeof(r));
    size_t opened = r.opened * sizeof(uint32_t), all = opened + r.closed * sizeof(uint32_t);
    if (r.hash == 0 || r.opened > PATH_SET_MAX || r.closed > PATH_SET_MAX ||
        all > record->tail_len || !read_who(record->tail + all, record->tail_len - all, who))
        return;
    struct login *login = login_memory_find_who(memory, who);
    for (size_t i = 0; login != NULL && i < LOGIN_PASSWORDS; i++) {
        struct login_password *p = &login->passwords[i];
        if (p->hash != r.hash)
            continue;
        path_set_copy(&p->opened, record->tail, r.opened);
        path_set_copy(&p->closed, record->tail + opened, r.closed);
    }
}

void login_takeover_restore(struct login_memory *memory, const struct takeover_record *record)
{
    if (record->type == TAKEOVER_LOGIN_SEED)
        takeover_get(record, &memory->seed, sizeof(memory->seed));
    else if (record->type == TAKEOVER_LOGIN)
        restore(memory, record);
    else if (record->type == TAKEOVER_LOGIN_PATHS)
        restore_paths(memory, record);
}
