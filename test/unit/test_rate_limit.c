/* master/rate_limit: a bucket per client. */
#include "master/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct rate_limit limit;

static int setup(void **state)
{
    memset(&limit, 0, sizeof(limit));
    limit.seed = 42;
    return 0;
}

static bool pass(const char *ip, uint32_t per_minute, int64_t now_ms)
{
    struct client_key key;
    assert_true(client_key_parse(ip, &key));
    return rate_limit_pass(&limit, &key, per_minute, now_ms);
}

static void test_burst_and_refill(void **state)
{
    int64_t t = 1000;
    for (int i = 0; i < 6; i++)
        assert_true(pass("10.0.0.1", 6, t));
    assert_false(pass("10.0.0.1", 6, t));
    assert_false(pass("10.0.0.1", 6, t + 9900));
    assert_true(pass("10.0.0.1", 6, t + 10100)); /* one each 10 s */
    assert_false(pass("10.0.0.1", 6, t + 10200));
    t += 1000000; /* and never more than a minute's worth */
    for (int i = 0; i < 6; i++)
        assert_true(pass("10.0.0.1", 6, t));
    assert_false(pass("10.0.0.1", 6, t));
}

static void test_clients_are_apart(void **state)
{
    assert_true(pass("10.0.0.1", 1, 1000));
    assert_false(pass("10.0.0.1", 1, 1000));
    assert_true(pass("10.0.0.2", 1, 1000));
    assert_false(pass("::ffff:10.0.0.2", 1, 1000));
    assert_true(pass("2001:db8:0:1::1", 1, 1000));
    assert_false(pass("2001:db8:0:1:ffff::2", 1, 1000)); /* the same /64 */
    assert_true(pass("2001:db8:0:2::1", 1, 1000));
}

static void test_no_limit(void **state)
{
    for (int i = 0; i < 1000; i++)
        assert_true(pass("10.0.0.1", 0, 1000));
}

static void test_more_clients_than_room(void **state)
{
    for (uint32_t i = 0; i < 3 * RATE_LIMIT_SETS * RATE_LIMIT_WAYS; i++) {
        const struct client_key key = {.bits = {1, i}};
        assert_true(rate_limit_pass(&limit, &key, 1, 1000 + i));
        assert_false(rate_limit_pass(&limit, &key, 1, 1000 + i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_burst_and_refill, setup),
        cmocka_unit_test_setup(test_clients_are_apart, setup),
        cmocka_unit_test_setup(test_no_limit, setup),
        cmocka_unit_test_setup(test_more_clients_than_room, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
