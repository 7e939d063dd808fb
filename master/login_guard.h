/*
 * Which passwords cameras rejected, and when another may be tried.  Master, loop thread; pure, the
 * time is given.
 *
 * Cameras lock accounts, and viewers could guess.  So a password that a host rejected for a user is
 * not sent there again for LOGIN_REFUSED_MS, whatever path is asked for.  Another password is no
 * wall: LOGIN_FREE wrong ones cost nothing, then one at a time may be tried, after LOGIN_WAIT_MS,
 * twice that, and so on up to LOGIN_WAIT_MAX_MS.  Ten minutes without a wrong one forgive all.
 * Passwords that are being tried count as wrong ones until the camera has answered.
 */
#ifndef MASTER_LOGIN_GUARD_H
#define MASTER_LOGIN_GUARD_H

#include "common/url.h"
#include "master/text_index.h"

#include <stddef.h>
#include <stdint.h>

#define LOGIN_FREE 3
#define LOGIN_REFUSED_MS INT64_C(300000)
#define LOGIN_WAIT_MS INT64_C(60000)
#define LOGIN_WAIT_MAX_MS INT64_C(300000)
#define LOGIN_FORGIVEN_MS INT64_C(600000)
#define LOGIN_PASSWORDS 8 /* remembered for a host and user */
#define LOGIN_MAX 1024    /* hosts and users; the one that was quiet longest is forgotten */

enum login_verdict {
    LOGIN_ALLOWED,
    LOGIN_REFUSED, /* this password was rejected */
    LOGIN_WAIT     /* so many others were that this one has to wait */
};

struct login;

struct login_guard { /* zeroed at first, but for a random seed */
    uint64_t seed;   /* of the passwords' hashes: they themselves are not kept */
    struct login *logins[LOGIN_MAX];
    size_t count;
    struct text_index index;
};

/** May a connection with this user and password be made? */
enum login_verdict login_guard_ask(const struct login_guard *guard, const struct camera_url *url,
                                   int64_t now_ms);

/** A connection is being made.  login_guard_end() when the camera has answered, or is left. */
void login_guard_begin(struct login_guard *guard, const struct camera_url *url, int64_t now_ms);
void login_guard_end(struct login_guard *guard, const struct camera_url *url);

/** What the camera answered. */
void login_guard_accepted(struct login_guard *guard, const struct camera_url *url, int64_t now_ms);
void login_guard_rejected(struct login_guard *guard, const struct camera_url *url, int64_t now_ms);

/** Forget what was rejected for this host and user. */
void login_guard_forgive(struct login_guard *guard, const struct camera_url *url);

void login_guard_clear(struct login_guard *guard);

#endif /* MASTER_LOGIN_GUARD_H */
