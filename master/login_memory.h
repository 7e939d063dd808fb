/*
 * Remembers what cameras have answered to passwords: for each host, port and user the last
 * passwords, as hashes, and which paths have accepted or rejected them.  Decides what is dropped
 * when there is no room.  Master, loop thread; pure: the caller passes the time.
 * What may be tried: login_guard.h.
 */
#ifndef MASTER_LOGIN_MEMORY_H
#define MASTER_LOGIN_MEMORY_H

#include "common/url.h"
#include "master/login_rejections.h"
#include "master/path_set.h"
#include "master/text_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGIN_WHO_MAX (URL_HOST_MAX + URL_CREDENTIAL_MAX + 16)
#define LOGIN_PASSWORDS 8 /* remembered for each login */
/* The login with the fewest wrong passwords goes.  One client cannot start as many cameras as would
 * push out others (camera_admission.c). */
#define LOGIN_MAX 4096
/* Of sets that are not small: 1 MiB.  At the bound the largest set is forgotten; its paths then
 * count as any other. */
#define LOGIN_PATHS_MAX (1u << 18)

struct login_password {
    uint64_t hash; /* 0: unused */
    unsigned trying;
    int64_t connects_ms; /* when the last one that is trying began to connect; 0: not yet */
    int64_t asked_ms;    /* when the first of those that are trying did; 0: none has */
    bool accepted;
    int64_t refused_until_ms; /* by the paths that rejected it; others wait less */
    struct path_set opened;   /* these accepted it last */
    /* Since it was last accepted: */
    struct path_set closed;      /* these rejected it, each once */
    unsigned rejected;           /* how many did, LOGIN_FREE at most */
    unsigned lost;               /* how many of them had accepted it before */
    struct login_rejections own; /* others' guesses do not delay a password that was accepted */
};

/* One user on one port of a host. */
struct login {
    char who[LOGIN_WHO_MAX];
    struct login_password passwords[LOGIN_PASSWORDS];
    struct login_rejections all; /* of whatever password */
    int64_t used_ms;
};

struct login_memory { /* zeroed at first, except for a random seed */
    uint64_t seed;    /* for hashing passwords, which are not kept */
    struct login *logins[LOGIN_MAX];
    size_t count;
    struct text_index index;
};

/** Are host, port, user and password the same?  A host may be spelled in several ways. */
bool login_is_same(const struct camera_url *a, const struct camera_url *b);

/** @return a hash of the URL's path, for its sets. */
uint32_t login_memory_path(const struct login_memory *memory, const struct camera_url *url);

/** @return the URL's login.  NULL: it has no user, or nothing is known of it. */
struct login *login_memory_find(const struct login_memory *memory, const struct camera_url *url);

/** @return the URL's password of that login.  NULL: the login is, or nothing is known of it. */
struct login_password *login_memory_password(const struct login_memory *memory, struct login *login,
                                             const struct camera_url *url);

/**
 * Find the URL's login and password; add what is not there, and drop another for it.
 *
 * @param login  NULL: the URL has no user, or all logins are in use.
 * @return NULL: login is, or all of its passwords are being tried.
 */
struct login_password *login_memory_add(struct login_memory *memory, const struct camera_url *url,
                                        struct login **login, int64_t now_ms);

/**
 * Add a path to a set of a password.  Before it grows, another set may be forgotten
 * (LOGIN_PATHS_MAX).
 */
void login_memory_add_path(struct login_memory *memory, struct path_set *set, uint32_t path);

/** Of a login from another program: @return by its name; NULL: nothing is known of it. */
struct login *login_memory_find_who(const struct login_memory *memory, const char *who);

/** Add a login from another program.  @param who  terminated; copied. @return NULL: no room. */
struct login *login_memory_add_who(struct login_memory *memory, const char *who);

/** Forget all but the seed, and give the memory back. */
void login_memory_clear(struct login_memory *memory);

#endif /* MASTER_LOGIN_MEMORY_H */
