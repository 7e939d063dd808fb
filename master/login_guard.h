/*
 * Remembers which passwords cameras rejected, and decides when another may be tried.  Master, loop
 * thread; pure: the caller passes the time.
 *
 * Cameras lock accounts after wrong passwords, and viewers could guess them.  So a password that a
 * path of a host rejected for a user is not sent there again for LOGIN_REFUSED_MS.  Neither is it
 * for other paths, but because a user may lack rights for some, a second and a third path may try
 * it, LOGIN_WAIT_MS after the one before.  After that, one path in LOGIN_REFUSED_MS may: those that
 * have not rejected it come first, the others LOGIN_WAIT_MS later.
 *
 * Other passwords may be tried: the first LOGIN_FREE wrong ones cost no wait, then one at a time
 * may be tried, after LOGIN_WAIT_MS, twice that, and so on up to LOGIN_WAIT_MAX_MS.
 * LOGIN_FORGIVEN_MS without a wrong one clears the count.  A password that is being tried counts as
 * wrong until the camera has answered.
 *
 * A password that was accepted stays allowed for other paths when it is rejected.  After LOGIN_FREE
 * rejected paths in a row, paths that it did not open last wait as other passwords do, but not for
 * those; after LOGIN_FREE paths that it had opened before, it counts as rejected.
 */
#ifndef MASTER_LOGIN_GUARD_H
#define MASTER_LOGIN_GUARD_H

#include "common/url.h"
#include "master/login_memory.h"

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_REFUSED_MS INT64_C(300000)
/* How long another one with the same password waits for the first one's answer.  LOGIN_FREE may be
 * without an answer at a time. */
#define LOGIN_TURN_MS INT64_C(2000)

enum login_verdict {
    LOGIN_ALLOWED,
    LOGIN_REFUSED, /* this password was rejected */
    LOGIN_WAIT     /* others were rejected: this one has to wait */
};

/** May a connection with this user and password be made? */
enum login_verdict login_guard_ask(const struct login_memory *logins, const struct camera_url *url,
                                   int64_t now_ms);

/** @return until when it is not sent for this path, because it was rejected; 0: it may be sent. */
int64_t login_guard_refused_until_ms(const struct login_memory *logins,
                                     const struct camera_url *url);

/**
 * Should another connection with this user and password wait, because the camera is being asked
 * about it?  Not if the last answer was that it is right.
 */
bool login_guard_is_awaited(const struct login_memory *logins, const struct camera_url *url,
                            int64_t now_ms);

/**
 * For one that has waited for ms: has the camera had that time, too?  While the workers of those
 * before it have not begun to connect, on a busy machine, LOGIN_FREE may be among those.
 */
bool login_guard_is_overdue(const struct login_memory *logins, const struct camera_url *url,
                            int64_t ms, int64_t now_ms);

/** A connection is being made.  Call login_guard_end() when the camera has answered or is left. */
void login_guard_begin(struct login_memory *logins, const struct camera_url *url, int64_t now_ms);

/** A worker has begun to connect: its LOGIN_TURN_MS begin. */
void login_guard_connects(struct login_memory *logins, const struct camera_url *url,
                          int64_t now_ms);

/** The connection of login_guard_begin() waits no longer for an answer. */
void login_guard_end(struct login_memory *logins, const struct camera_url *url);

/** An operator has the camera left before it has answered.  A password that it has not accepted so
 * far counts as a wrong one: else this would send any number to a camera that is slow to answer. */
void login_guard_left(struct login_memory *logins, const struct camera_url *url, int64_t now_ms);

/** The camera has accepted the password. */
void login_guard_accepted(struct login_memory *logins, const struct camera_url *url,
                          int64_t now_ms);

/** The camera has rejected it. @return had it accepted it last?  Then somebody has changed it. */
bool login_guard_rejected(struct login_memory *logins, const struct camera_url *url,
                          int64_t now_ms);

/**
 * An operator wants this password to be tried again: forget that it was rejected, if another one
 * might be tried now.  So an account is not locked by whoever asks for that again and again.
 *
 * @param rejected  the camera rejected it last, although it may have accepted it before: then it is
 *                  not remembered as rejected here.
 * @return false: it stays rejected.
 */
bool login_guard_forgive(struct login_memory *logins, const struct camera_url *url, bool rejected,
                         int64_t now_ms);

#endif /* MASTER_LOGIN_GUARD_H */
