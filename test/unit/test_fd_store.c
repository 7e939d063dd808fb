/* Which programs that were killed count as killed soon.  What is stored: test/e2e/test_restart.py.
 */
#include "common/clock.h"
#include "master/fd_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define WATCHDOG_MS 30000

/* @return how many have been killed soon when the last one, the sixth, lived for so long. */
static unsigned short_runs(int64_t lived_ms, int64_t watchdog_ms, bool *trusts)
{
    struct service service = {.watchdog_ms = watchdog_ms};
    struct fd_store store = {.service = &service, .left = -1};
    struct takeover_server left = {.began_us = clock_us() - lived_ms * 1000,
                                   .short_runs = FD_STORE_SHORT_RUNS - 1};
    *trusts = fd_store_trusts(&store, &left);
    return store.short_runs;
}

static void test_killed_soon(void **state)
{
    bool trusts;
    assert_int_equal(short_runs(FD_STORE_SHORT_MS / 2, 0, &trusts), FD_STORE_SHORT_RUNS);
    assert_false(trusts);
    assert_int_equal(short_runs(FD_STORE_SHORT_MS, 0, &trusts), 0);
    assert_true(trusts);
}

/* It hung after some seconds; the watchdog waited, then ended it. */
static void test_killed_by_the_watchdog(void **state)
{
    bool trusts;
    assert_int_equal(short_runs(WATCHDOG_MS + FD_STORE_SHORT_MS / 2, WATCHDOG_MS, &trusts),
                     FD_STORE_SHORT_RUNS);
    assert_false(trusts);
    assert_int_equal(short_runs(WATCHDOG_MS + FD_STORE_SHORT_MS, WATCHDOG_MS, &trusts), 0);
    assert_true(trusts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_soon),
        cmocka_unit_test(test_killed_by_the_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
