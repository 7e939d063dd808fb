#include "master/login_guard.h"

#include "common/xalloc.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO_MAX (URL_HOST_MAX + URL_CREDENTIAL_MAX + 16)

#define SET_WORDS 8 /* of 64 bits */

/* Rejections in a row, each less than LOGIN_FORGIVEN_MS after the one before. */
struct rejections {
    unsigned count;
    int64_t last_ms;
};

/* A bit for each path: two may share one. */
struct path_set {
    uint64_t words[SET_WORDS];
};

struct password {
    uint64_t hash; /* 0: unused */
    unsigned trying;
    int64_t connects_ms; /* when the last one that is trying began to connect; 0: not yet */
    int64_t asked_ms;    /* when the first of those that are trying did; 0: none has */
    bool accepted;
    int64_t refused_until_ms; /* by the paths that rejected it; others wait less */
    struct path_set opened;   /* these accepted it last */
    /* Since it was last accepted: */
    struct path_set closed; /* these rejected it, each once */
    unsigned rejected;      /* how many did, LOGIN_FREE at most */
    unsigned lost;          /* how many of them had accepted it before */
    struct rejections own;  /* others' guesses do not delay a password that was accepted */
};

/* One user on one host. */
struct login {
    char who[WHO_MAX];
    struct password passwords[LOGIN_PASSWORDS];
    struct rejections all; /* of whatever password */
    int64_t used_ms;
};

/* One address has several spellings: 127.0.0.1 is ::ffff:7f00:1, too. */
static bool write_address(const char *host, char out[URL_HOST_MAX])
{
    struct in6_addr ipv6;
    struct in_addr ipv4;
    if (inet_pton(AF_INET6, host, &ipv6) != 1)
        return false;
    memcpy(&ipv4, ipv6.s6_addr + 12, sizeof(ipv4));
    if (IN6_IS_ADDR_V4MAPPED(&ipv6))
        return inet_ntop(AF_INET, &ipv4, out, URL_HOST_MAX) != NULL;
    return inet_ntop(AF_INET6, &ipv6, out, URL_HOST_MAX) != NULL;
}

static void write_host(const char *host, char out[URL_HOST_MAX])
{
    size_t len = 0;
    if (write_address(host, out))
        return;
    for (; host[len] != '\0' && len + 1 < URL_HOST_MAX; len++)
        out[len] = (char)tolower((unsigned char)host[len]);
    while (len > 0 && out[len - 1] == '.')
        len--;
    out[len] = '\0';
}

/* The port distinguishes cameras behind the same address. */
static void write_who(const struct camera_url *url, char out[WHO_MAX])
{
    char host[URL_HOST_MAX];
    write_host(url->host, host);
    (void)snprintf(out, WHO_MAX, "%s %u %s", host, (unsigned)url->port, url->user);
}

/* FNV-1a from a random start. */
static uint64_t hash_text(const struct login_guard *guard, const char *text)
{
    uint64_t hash = guard->seed ^ UINT64_C(0xcbf29ce484222325);
    do {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    } while (*text++ != '\0');
    return hash;
}

/* Never 0. */
static uint64_t hash_password(const struct login_guard *guard, const char *password)
{
    return hash_text(guard, password) | 1;
}

static uint32_t hash_path(const struct login_guard *guard, const struct camera_url *url)
{
    uint64_t hash = hash_text(guard, url->path);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd); /* paths differ in a few digits */
    return (uint32_t)(hash >> 32);
}

static struct login *find(const struct login_guard *guard, const struct camera_url *url)
{
    char who[WHO_MAX];
    write_who(url, who);
    return (struct login *)(uintptr_t)text_index_find(&guard->index, who);
}

static struct password *find_password(struct login *login, uint64_t hash)
{
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        if (login->passwords[i].hash == hash)
            return &login->passwords[i];
    }
    return NULL;
}

/* @return NULL: nothing is known of it. */
static struct password *known_password(const struct login_guard *guard,
                                       const struct camera_url *url)
{
    struct login *login = url->has_user ? find(guard, url) : NULL;
    return login == NULL ? NULL : find_password(login, hash_password(guard, url->password));
}

/* --- the paths of a password ------------------------------------------------ */

static bool has_path(const struct path_set *set, uint32_t path)
{
    return (set->words[path / 64 % SET_WORDS] >> path % 64 & 1) != 0;
}

static void add_path(struct path_set *set, uint32_t path)
{
    set->words[path / 64 % SET_WORDS] |= UINT64_C(1) << path % 64;
}

static void remove_path(struct path_set *set, uint32_t path)
{
    set->words[path / 64 % SET_WORDS] &= ~(UINT64_C(1) << path % 64);
}

static void forget_rejections(struct password *p)
{
    p->rejected = p->lost = 0;
    p->closed = (struct path_set){{0}};
    p->own = (struct rejections){0};
}

static void note_rejected_path(struct password *p, uint32_t path)
{
    p->lost += has_path(&p->opened, path);
    if (has_path(&p->closed, path))
        p->closed = (struct path_set){{0}}; /* its turn again: a new round */
    else
        p->rejected += p->rejected < LOGIN_FREE;
    remove_path(&p->opened, path);
    add_path(&p->closed, path);
}

/* --- may it be tried? -------------------------------------------------------- */

static unsigned being_tried(const struct login *login)
{
    unsigned n = 0;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++)
        n += login->passwords[i].trying > 0 && !login->passwords[i].accepted;
    return n;
}

static int64_t wait_ms(unsigned rejections)
{
    unsigned doublings = rejections - LOGIN_FREE < 8 ? rejections - LOGIN_FREE : 8;
    int64_t ms = LOGIN_WAIT_MS << doublings;
    return ms < LOGIN_WAIT_MAX_MS ? ms : LOGIN_WAIT_MAX_MS;
}

/* @return how many count. */
static unsigned remembered(const struct rejections *r, int64_t now_ms)
{
    return now_ms - r->last_ms < LOGIN_FORGIVEN_MS ? r->count : 0;
}

static void count_one(struct rejections *r, int64_t now_ms)
{
    r->count = remembered(r, now_ms) + 1;
    r->last_ms = now_ms;
}

/* @return when the next attempt may be made; 0: at once. */
static int64_t next_ms(const struct rejections *r, int64_t now_ms)
{
    unsigned count = remembered(r, now_ms);
    return count < LOGIN_FREE ? 0 : r->last_ms + wait_ms(count);
}

static bool may_try_another(const struct login *login, int64_t now_ms)
{
    unsigned trying = being_tried(login);
    if (remembered(&login->all, now_ms) + trying < LOGIN_FREE)
        return true;
    return now_ms >= next_ms(&login->all, now_ms) && trying == 0;
}

/* How much sooner than the paths that rejected it another one may try it: the user may lack the
 * rights for those.  Of a password that an older program remembers, no path is known. */
static int64_t lead_of_others_ms(const struct login *login, const struct password *p)
{
    bool may_be_rights =
        p->rejected > 0 && p->rejected < LOGIN_FREE && login->all.count < LOGIN_FREE;
    return may_be_rights ? LOGIN_REFUSED_MS - LOGIN_WAIT_MS : 0;
}

/* When several paths have rejected it, those that have not come first: else the same three might be
 * tried for ever. */
static int64_t refused_until_ms(const struct login *login, const struct password *p, uint32_t path)
{
    if (p->refused_until_ms == 0)
        return 0;
    if (!has_path(&p->closed, path))
        return p->refused_until_ms - lead_of_others_ms(login, p);
    return p->refused_until_ms + (p->rejected > 1 ? LOGIN_WAIT_MS : 0);
}

/* It was accepted, but not for this path, and some reject it. */
static bool may_lack_rights(const struct password *p, uint32_t path)
{
    return p->accepted && p->rejected == LOGIN_FREE && !has_path(&p->opened, path);
}

enum login_verdict login_guard_ask(const struct login_guard *guard, const struct camera_url *url,
                                   int64_t now_ms)
{
    struct login *login = url->has_user ? find(guard, url) : NULL;
    if (login == NULL)
        return LOGIN_ALLOWED;
    struct password *p = find_password(login, hash_password(guard, url->password));
    uint32_t path = hash_path(guard, url);
    if (p != NULL && now_ms < refused_until_ms(login, p, path))
        return LOGIN_REFUSED;
    if (p != NULL && may_lack_rights(p, path))
        return now_ms >= next_ms(&p->own, now_ms) ? LOGIN_ALLOWED : LOGIN_REFUSED;
    if (p != NULL && (p->accepted || p->trying > 0))
        return LOGIN_ALLOWED;
    return may_try_another(login, now_ms) ? LOGIN_ALLOWED : LOGIN_WAIT;
}

int64_t login_guard_refused_until_ms(const struct login_guard *guard, const struct camera_url *url)
{
    const struct login *login = url->has_user ? find(guard, url) : NULL;
    const struct password *p = known_password(guard, url);
    uint32_t path = hash_path(guard, url);
    if (p == NULL)
        return 0;
    if (may_lack_rights(p, path) && p->own.count >= LOGIN_FREE)
        return p->own.last_ms + wait_ms(p->own.count);
    return refused_until_ms(login, p, path);
}

bool login_guard_is_awaited(const struct login_guard *guard, const struct camera_url *url,
                            int64_t now_ms)
{
    const struct password *p = known_password(guard, url);
    if (p == NULL || p->trying == 0 || (p->accepted && p->rejected == 0))
        return false;
    return p->trying >= LOGIN_FREE || p->connects_ms == 0 ||
           now_ms - p->connects_ms < LOGIN_TURN_MS;
}

bool login_guard_is_overdue(const struct login_guard *guard, const struct camera_url *url,
                            int64_t ms, int64_t now_ms)
{
    const struct password *p = known_password(guard, url);
    if (p == NULL)
        return true;
    return p->asked_ms != 0 ? now_ms - p->asked_ms >= ms : p->trying < LOGIN_FREE;
}

/* --- remembering ---------------------------------------------------------- */

static bool is_in_use(const struct login *login)
{
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        if (login->passwords[i].trying > 0)
            return true;
    }
    return false;
}

static void forget(struct login_guard *guard, size_t i)
{
    struct login *login = guard->logins[i];
    text_index_remove(&guard->index, login->who, login);
    guard->logins[i] = guard->logins[--guard->count];
    free(login);
}

/* Whoever guesses could use other names until the guesses are forgotten: the more wrong passwords,
 * the longer they are remembered. */
static bool is_worth_less(const struct login *a, const struct login *b, int64_t now_ms)
{
    unsigned rejections_a = remembered(&a->all, now_ms);
    unsigned rejections_b = remembered(&b->all, now_ms);
    return rejections_a != rejections_b ? rejections_a < rejections_b : a->used_ms < b->used_ms;
}

static void make_room(struct login_guard *guard, int64_t now_ms)
{
    size_t least = LOGIN_MAX;
    for (size_t i = 0; i < guard->count; i++) {
        if (!is_in_use(guard->logins[i]) &&
            (least == LOGIN_MAX || is_worth_less(guard->logins[i], guard->logins[least], now_ms)))
            least = i;
    }
    if (least < LOGIN_MAX)
        forget(guard, least);
}

/* @return NULL: all are in use. */
static struct login *find_or_add(struct login_guard *guard, const struct camera_url *url,
                                 int64_t now_ms)
{
    struct login *login = find(guard, url);
    if (login == NULL) {
        if (guard->count == LOGIN_MAX)
            make_room(guard, now_ms);
        if (guard->count == LOGIN_MAX)
            return NULL;
        login = xcalloc(1, sizeof(*login));
        write_who(url, login->who);
        guard->logins[guard->count++] = login;
        text_index_put(&guard->index, login->who, login);
    }
    login->used_ms = now_ms;
    return login;
}

static bool may_be_dropped_first(const struct password *p, const struct password *other)
{
    if (other->hash == 0 || p->hash == 0)
        return other->hash != 0;
    if (p->accepted != other->accepted)
        return !p->accepted;
    return p->refused_until_ms < other->refused_until_ms;
}

/* When there is no room, drops the oldest refusal, but never a password that is being tried: else
 * guesses would push out the right one, which would have to wait as they do. */
static struct password *add_password(struct login *login, uint64_t hash)
{
    struct password *found = NULL;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        struct password *p = &login->passwords[i];
        if (p->hash == hash)
            return p;
        if (p->trying == 0 && (found == NULL || may_be_dropped_first(p, found)))
            found = p;
    }
    if (found != NULL)
        *found = (struct password){.hash = hash};
    return found;
}

static struct password *password_of(struct login_guard *guard, const struct camera_url *url,
                                    struct login **login, int64_t now_ms)
{
    *login = url->has_user ? find_or_add(guard, url, now_ms) : NULL;
    return *login == NULL ? NULL : add_password(*login, hash_password(guard, url->password));
}

void login_guard_begin(struct login_guard *guard, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct password *p = password_of(guard, url, &login, now_ms);
    if (p == NULL)
        return;
    if (p->trying++ == 0)
        p->asked_ms = 0;
    p->connects_ms = 0;
}

void login_guard_connects(struct login_guard *guard, const struct camera_url *url, int64_t now_ms)
{
    struct password *p = known_password(guard, url);
    if (p == NULL)
        return;
    p->connects_ms = now_ms;
    if (p->asked_ms == 0)
        p->asked_ms = now_ms;
}

void login_guard_end(struct login_guard *guard, const struct camera_url *url)
{
    struct password *p = known_password(guard, url);
    if (p != NULL && p->trying > 0)
        p->trying--;
}

void login_guard_accepted(struct login_guard *guard, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct password *p = password_of(guard, url, &login, now_ms);
    if (p == NULL)
        return;
    p->accepted = true;
    p->refused_until_ms = 0;
    forget_rejections(p);
    add_path(&p->opened, hash_path(guard, url));
}

bool login_guard_rejected(struct login_guard *guard, const struct camera_url *url, int64_t now_ms)
{
    struct login *login;
    struct password *p = password_of(guard, url, &login, now_ms);
    if (login == NULL)
        return false;
    count_one(&login->all, now_ms);
    if (p == NULL)
        return false;
    count_one(&p->own, now_ms);
    bool was_right = has_path(&p->opened, hash_path(guard, url));
    note_rejected_path(p, hash_path(guard, url));
    /* A password that was accepted before may lack the rights for this path; other paths may still
     * use it. */
    p->accepted = p->accepted && p->lost < LOGIN_FREE;
    if (!p->accepted)
        p->refused_until_ms = now_ms + LOGIN_REFUSED_MS;
    return was_right;
}

bool login_is_same(const struct camera_url *a, const struct camera_url *b)
{
    return a->has_user && b->has_user && a->port == b->port && strcmp(a->host, b->host) == 0 &&
           strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0;
}

void login_guard_left(struct login_guard *guard, const struct camera_url *url, int64_t now_ms)
{
    struct login *login = url->has_user ? find(guard, url) : NULL;
    struct password *p = known_password(guard, url);
    if (p == NULL || p->accepted)
        return;
    count_one(&login->all, now_ms);
    if (next_ms(&login->all, now_ms) > p->refused_until_ms)
        p->refused_until_ms = next_ms(&login->all, now_ms);
}

bool login_guard_forgive(struct login_guard *guard, const struct camera_url *url, bool rejected,
                         int64_t now_ms)
{
    struct login *login = url->has_user ? find(guard, url) : NULL;
    struct password *p =
        login == NULL ? NULL : find_password(login, hash_password(guard, url->password));
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

void login_guard_clear(struct login_guard *guard)
{
    while (guard->count > 0)
        forget(guard, guard->count - 1);
    text_index_clear(&guard->index);
}

/* --- for the next program ---------------------------------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
struct login_record {
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
        struct path_set opened;
        struct path_set closed;
        uint32_t rejected;
        uint32_t lost;
    } paths[LOGIN_PASSWORDS];
    struct { /* likewise */
        int64_t last_ms;
        uint32_t count;
        uint32_t reserved;
    } own[LOGIN_PASSWORDS];
};
#pragma GCC diagnostic pop

static void save(const struct login *login, struct takeover_writer *w)
{
    struct login_record r = {.rejected_ms = login->all.last_ms,
                             .used_ms = login->used_ms,
                             .rejections = login->all.count};
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        const struct password *p = &login->passwords[i];
        r.passwords[i].hash = p->hash;
        r.passwords[i].refused_until_ms = p->refused_until_ms;
        r.passwords[i].accepted = p->accepted;
        r.paths[i].opened = p->opened;
        r.paths[i].closed = p->closed;
        r.paths[i].rejected = p->rejected;
        r.paths[i].lost = p->lost;
        r.own[i].last_ms = p->own.last_ms;
        r.own[i].count = p->own.count;
    }
    takeover_put(w, TAKEOVER_LOGIN, &r, sizeof(r), login->who, strlen(login->who));
}

void login_guard_save(const struct login_guard *guard, struct takeover_writer *w)
{
    takeover_put(w, TAKEOVER_LOGIN_SEED, &guard->seed, sizeof(guard->seed), NULL, 0);
    for (size_t i = 0; i < guard->count; i++)
        save(guard->logins[i], w);
}

static void restore(struct login_guard *guard, const struct takeover_record *record)
{
    struct login_record r;
    if (guard->count == LOGIN_MAX || record->tail_len == 0 || record->tail_len >= WHO_MAX)
        return;
    takeover_get(record, &r, sizeof(r));
    struct login *login = xcalloc(1, sizeof(*login));
    memcpy(login->who, record->tail, record->tail_len);
    login->all = (struct rejections){r.rejections, r.rejected_ms};
    login->used_ms = r.used_ms;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        struct password *p = &login->passwords[i];
        *p = (struct password){.hash = r.passwords[i].hash,
                               .accepted = r.passwords[i].accepted != 0,
                               .refused_until_ms = r.passwords[i].refused_until_ms,
                               .opened = r.paths[i].opened,
                               .closed = r.paths[i].closed,
                               .rejected = r.paths[i].rejected < LOGIN_FREE ? r.paths[i].rejected
                                                                            : LOGIN_FREE,
                               .lost = r.paths[i].lost,
                               .own = {r.own[i].count, r.own[i].last_ms}};
    }
    guard->logins[guard->count++] = login;
    text_index_put(&guard->index, login->who, login);
}

void login_guard_restore(struct login_guard *guard, const struct takeover_record *record)
{
    if (record->type == TAKEOVER_LOGIN_SEED)
        takeover_get(record, &guard->seed, sizeof(guard->seed));
    else if (record->type == TAKEOVER_LOGIN)
        restore(guard, record);
}
