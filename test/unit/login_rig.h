/*
 * Test help: what is remembered of logins, a clock that the test sets, and cameras that answer at
 * once.
 */
#ifndef TEST_UNIT_LOGIN_RIG_H
#define TEST_UNIT_LOGIN_RIG_H

#include "master/login_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct login_memory logins;
static int64_t now_ms;

static inline int setup(void **state)
{
    logins.seed = 99;
    now_ms = 1000;
    return 0;
}

static inline int teardown(void **state)
{
    login_memory_clear(&logins);
    return 0;
}

static inline struct camera_url url_of(const char *text)
{
    struct camera_url url;
    const char *reason;
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    return url;
}

static inline enum login_verdict ask(const char *text)
{
    struct camera_url url = url_of(text);
    return login_guard_ask(&logins, &url, now_ms);
}

static inline void try_password(const char *text, bool right)
{
    struct camera_url url = url_of(text);
    assert_int_equal(login_guard_ask(&logins, &url, now_ms), LOGIN_ALLOWED);
    login_guard_begin(&logins, &url, now_ms);
    if (right)
        login_guard_accepted(&logins, &url, now_ms);
    else
        login_guard_rejected(&logins, &url, now_ms);
    login_guard_end(&logins, &url);
}

#endif /* TEST_UNIT_LOGIN_RIG_H */
