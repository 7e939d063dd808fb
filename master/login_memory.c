#include "master/login_memory.h"

#include "common/url_host.h"
#include "common/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The port distinguishes cameras behind the same address. */
static void write_who(const struct camera_url *url, char out[LOGIN_WHO_MAX])
{
    char host[URL_HOST_MAX];
    url_host_write(url->host, host);
    (void)snprintf(out, LOGIN_WHO_MAX, "%s %u %s", host, (unsigned)url->port, url->user);
}

bool login_is_same(const struct camera_url *a, const struct camera_url *b)
{
    char who_a[LOGIN_WHO_MAX], who_b[LOGIN_WHO_MAX];
    write_who(a, who_a);
    write_who(b, who_b);
    return a->has_user && b->has_user && strcmp(who_a, who_b) == 0 &&
           strcmp(a->password, b->password) == 0;
}

/* --- hashes ------------------------------------------------------------------ */

/* FNV-1a from a random start. */
static uint64_t hash_text(const struct login_memory *memory, const char *text)
{
    uint64_t hash = memory->seed ^ UINT64_C(0xcbf29ce484222325);
    do {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    } while (*text++ != '\0');
    return hash;
}

/* Never 0. */
static uint64_t hash_password(const struct login_memory *memory, const char *password)
{
    return hash_text(memory, password) | 1;
}

uint32_t login_memory_path(const struct login_memory *memory, const struct camera_url *url)
{
    uint64_t hash = hash_text(memory, url->path);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd); /* paths differ in a few digits */
    return (uint32_t)(hash >> 32);
}

/* --- logins ------------------------------------------------------------------ */

struct login *login_memory_find_who(const struct login_memory *memory, const char *who)
{
    return (struct login *)(uintptr_t)text_index_find(&memory->index, who);
}

struct login *login_memory_find(const struct login_memory *memory, const struct camera_url *url)
{
    char who[LOGIN_WHO_MAX];
    if (!url->has_user)
        return NULL;
    write_who(url, who);
    return login_memory_find_who(memory, who);
}

struct login *login_memory_add_who(struct login_memory *memory, const char *who)
{
    if (memory->count == LOGIN_MAX)
        return NULL;
    struct login *login = xcalloc(1, sizeof(*login));
    (void)snprintf(login->who, sizeof(login->who), "%s", who);
    memory->logins[memory->count++] = login;
    text_index_put(&memory->index, login->who, login);
    return login;
}

static bool is_in_use(const struct login *login)
{
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        if (login->passwords[i].trying > 0)
            return true;
    }
    return false;
}

static void forget_paths(struct login_password *p)
{
    path_set_clear(&p->opened);
    path_set_clear(&p->closed);
}

static void forget(struct login_memory *memory, size_t i)
{
    struct login *login = memory->logins[i];
    text_index_remove(&memory->index, login->who, login);
    memory->logins[i] = memory->logins[--memory->count];
    for (size_t k = 0; k < LOGIN_PASSWORDS; k++)
        forget_paths(&login->passwords[k]);
    free(login);
}

/* Whoever guesses could use other names until the guesses are forgotten: the more wrong passwords,
 * the longer they are remembered. */
static bool is_worth_less(const struct login *a, const struct login *b, int64_t now_ms)
{
    unsigned count_a = login_rejections_count(&a->all, now_ms);
    unsigned count_b = login_rejections_count(&b->all, now_ms);
    return count_a != count_b ? count_a < count_b : a->used_ms < b->used_ms;
}

static void make_room(struct login_memory *memory, int64_t now_ms)
{
    size_t least = LOGIN_MAX;
    for (size_t i = 0; i < memory->count; i++) {
        const struct login *login = memory->logins[i];
        if (!is_in_use(login) &&
            (least == LOGIN_MAX || is_worth_less(login, memory->logins[least], now_ms)))
            least = i;
    }
    if (least < LOGIN_MAX)
        forget(memory, least);
}

/* @return NULL: all are in use. */
static struct login *find_or_add(struct login_memory *memory, const struct camera_url *url,
                                 int64_t now_ms)
{
    char who[LOGIN_WHO_MAX];
    write_who(url, who);
    struct login *login = login_memory_find_who(memory, who);
    if (login == NULL && memory->count == LOGIN_MAX)
        make_room(memory, now_ms);
    if (login == NULL)
        login = login_memory_add_who(memory, who);
    if (login != NULL)
        login->used_ms = now_ms;
    return login;
}

void login_memory_clear(struct login_memory *memory)
{
    while (memory->count > 0)
        forget(memory, memory->count - 1);
    text_index_clear(&memory->index);
}

/* --- passwords --------------------------------------------------------------- */

struct login_password *login_memory_password(const struct login_memory *memory, struct login *login,
                                             const struct camera_url *url)
{
    uint64_t hash = hash_password(memory, url->password);
    for (size_t i = 0; login != NULL && i < LOGIN_PASSWORDS; i++) {
        if (login->passwords[i].hash == hash)
            return &login->passwords[i];
    }
    return NULL;
}

static bool may_be_dropped_first(const struct login_password *p, const struct login_password *other)
{
    if (other->hash == 0 || p->hash == 0)
        return other->hash != 0;
    if (p->accepted != other->accepted)
        return !p->accepted;
    return p->refused_until_ms < other->refused_until_ms;
}

/* The oldest refusal, but never a password that is being tried: else guesses would push out the
 * right one, which would have to wait as they do.  @return NULL: all are being tried. */
static struct login_password *make_room_for_password(struct login *login)
{
    struct login_password *found = NULL;
    for (size_t i = 0; i < LOGIN_PASSWORDS; i++) {
        struct login_password *p = &login->passwords[i];
        if (p->trying == 0 && (found == NULL || may_be_dropped_first(p, found)))
            found = p;
    }
    if (found != NULL)
        forget_paths(found);
    return found;
}

struct login_password *login_memory_add(struct login_memory *memory, const struct camera_url *url,
                                        struct login **login, int64_t now_ms)
{
    *login = url->has_user ? find_or_add(memory, url, now_ms) : NULL;
    struct login_password *p = login_memory_password(memory, *login, url);
    if (p != NULL || *login == NULL)
        return p;
    p = make_room_for_password(*login);
    if (p != NULL)
        *p = (struct login_password){.hash = hash_password(memory, url->password)};
    return p;
}

/* --- paths ------------------------------------------------------------------- */

struct largest {
    struct path_set *set;
    size_t total; /* room of all that are not small */
};

static void look_at(struct largest *largest, struct path_set *set, const struct path_set *but)
{
    if (set->room <= PATH_SET_SMALL)
        return;
    largest->total += set->room;
    if (set != but && (largest->set == NULL || set->room > largest->set->room))
        largest->set = set;
}

/* Whoever has most loses first: somebody with a camera of his own could fill any bound. */
static void make_room_for_paths(struct login_memory *memory, const struct path_set *growing)
{
    struct largest largest = {NULL, growing->room};
    for (size_t i = 0; i < memory->count; i++) {
        for (size_t k = 0; k < LOGIN_PASSWORDS; k++) {
            look_at(&largest, &memory->logins[i]->passwords[k].opened, growing);
            look_at(&largest, &memory->logins[i]->passwords[k].closed, growing);
        }
    }
    if (largest.total > LOGIN_PATHS_MAX && largest.set != NULL)
        path_set_clear(largest.set);
}

void login_memory_add_path(struct login_memory *memory, struct path_set *set, uint32_t path)
{
    if (set->room >= PATH_SET_SMALL && path_set_will_grow(set))
        make_room_for_paths(memory, set);
    path_set_add(set, path);
}
