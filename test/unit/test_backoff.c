/* worker/camera/backoff: how long each attempt waits, whatever chance says. */
#include "worker/camera/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The shortest and the longest delay that chance makes. */
static void assert_between(unsigned failed, bool watched, int64_t least_ms, int64_t most_ms)
{
    int64_t shortest_ms = INT64_MAX, longest_ms = 0;
    for (uint32_t random = 0; random < 2 * BACKOFF_MAX_MS; random++) {
        int64_t ms = backoff_ms(failed, watched, random);
        shortest_ms = ms < shortest_ms ? ms : shortest_ms;
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    assert_int_equal(shortest_ms, least_ms);
    assert_int_equal(longest_ms, most_ms);
}

static void test_unwatched(void **state)
{
    (void)state;
    assert_between(0, false, 375, 625);
    assert_between(1, false, 750, 1250);
    assert_between(4, false, 6000, 10000);
    assert_between(5, false, 11250, BACKOFF_MAX_MS);
    assert_between(8, false, 11250, BACKOFF_MAX_MS);
    assert_between(UINT_MAX, false, 11250, BACKOFF_MAX_MS);
}

static void test_watched(void **state)
{
    (void)state;
    assert_between(0, true, 375, 625);
    assert_between(1, true, 750, 1250);
    assert_between(2, true, 1125, BACKOFF_WATCHED_MS);
    assert_between(UINT_MAX, true, 1125, BACKOFF_WATCHED_MS);
    assert_true(backoff_ms(9, true, UINT32_MAX) <= BACKOFF_WATCHED_MS);
}

static void test_least(void **state)
{
    (void)state;
    assert_int_equal(backoff_least_ms(0, 10), 0);
    assert_int_equal(backoff_least_ms(5000, 5000), BACKOFF_ATTEMPT_EVERY_MS);
    assert_int_equal(backoff_least_ms(5000, 5999), 1);
    assert_int_equal(backoff_least_ms(5000, 6000), 0);
    assert_int_equal(backoff_least_ms(5000, 900000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unwatched),
        cmocka_unit_test(test_watched),
        cmocka_unit_test(test_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
