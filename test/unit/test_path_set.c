/* master/path_set, and how much login_memory keeps of all sets. */
#include "master/path_set.h"

#include "master/login_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Another one for each. */
static uint32_t path(uint32_t i)
{
    return i * UINT32_C(0x9e3779b1);
}

static void test_add_and_remove(void **state)
{
    struct path_set set = {0};
    assert_false(path_set_has(&set, path(1)));
    path_set_remove(&set, path(1));
    for (uint32_t i = 0; i < PATH_SET_MAX; i++) {
        path_set_add(&set, path(i));
        path_set_add(&set, path(i));
    }
    assert_int_equal(set.count, PATH_SET_MAX);
    for (uint32_t i = 0; i < PATH_SET_MAX; i += 2)
        path_set_remove(&set, path(i));
    for (uint32_t i = 0; i < 4 * PATH_SET_MAX; i++)
        assert_int_equal(path_set_has(&set, path(i)), i < PATH_SET_MAX && i % 2 == 1);
    path_set_clear(&set);
    assert_false(path_set_has(&set, path(1)));
    path_set_clear(&set);
}

/* The one that was added last is always there; of the others, any has gone. */
static void test_more_than_room(void **state)
{
    struct path_set set = {0};
    unsigned kept = 0;
    for (uint32_t i = 0; i < 3 * PATH_SET_MAX; i++) {
        path_set_add(&set, path(i));
        assert_true(path_set_has(&set, path(i)));
    }
    for (uint32_t i = 0; i < 3 * PATH_SET_MAX; i++)
        kept += path_set_has(&set, path(i));
    assert_int_equal(kept, PATH_SET_MAX);
    assert_int_equal(set.room, PATH_SET_MAX);
    path_set_clear(&set);
}

static struct login_memory logins;

static void open_paths(unsigned user, unsigned count)
{
    static const char text[] = "rtsp://u:p@10.0.0.9/";
    struct camera_url url;
    const char *reason;
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    (void)snprintf(url.user, sizeof(url.user), "%u", user);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(url.path, sizeof(url.path), "/%u", i);
        login_guard_accepted(&logins, &url, 1000);
    }
}

static unsigned paths_of(unsigned i)
{
    return logins.logins[i]->passwords[0].opened.count;
}

/* Somebody opens all that he can at a camera of his own. */
static void test_all_sets_are_bounded(void **state)
{
    unsigned full = LOGIN_PATHS_MAX / PATH_SET_MAX, all = 0;
    open_paths(0, 200);
    for (unsigned user = 1; user <= full + 8; user++)
        open_paths(user, PATH_SET_MAX);
    assert_int_equal(logins.count, full + 9);
    for (unsigned i = 0; i < logins.count; i++)
        all += paths_of(i);
    assert_in_range(all, LOGIN_PATHS_MAX - 4 * PATH_SET_MAX, LOGIN_PATHS_MAX);
    assert_int_equal(paths_of(0), 200);
    assert_int_equal(paths_of(full + 8), PATH_SET_MAX);
    login_memory_clear(&logins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_remove),
        cmocka_unit_test(test_more_than_room),
        cmocka_unit_test(test_all_sets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
