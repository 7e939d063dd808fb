/* master/forwarded: who a client behind proxies is, and that nobody can say to be another. */
#include "master/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char list[] = "127.0.0.1, 10.0.0.0/8 2001:db8::/32 unix";

static void test_list(void **state)
{
    assert_true(forwarded_list_ok(list));
    assert_true(forwarded_list_ok(""));
    assert_false(forwarded_list_ok("10.0.0.0/33"));
    assert_false(forwarded_list_ok("proxy.lan"));
    assert_true(forwarded_trusts(list, "10.1.2.3"));
    assert_true(forwarded_trusts(list, "::ffff:10.1.2.3"));
    assert_true(forwarded_trusts(list, "2001:db8::7"));
    assert_true(forwarded_trusts(list, "unix"));
    assert_false(forwarded_trusts(list, "127.0.0.2"));
    assert_false(forwarded_trusts("127.0.0.1", "unix"));
    assert_false(forwarded_trusts("", "127.0.0.1"));
    assert_false(forwarded_trusts(list, "nonsense"));
}

static void assert_client(const char *header, const char *expected)
{
    char out[64] = "";
    assert_true(forwarded_client(list, header, out, sizeof(out)));
    assert_string_equal(out, expected);
}

static void test_client(void **state)
{
    char out[64];
    assert_client("192.0.2.7", "192.0.2.7");
    assert_client("192.0.2.7, 10.0.0.1", "192.0.2.7");
    assert_client("192.0.2.1, 192.0.2.7,10.0.0.1 ,\t10.0.0.2",
                  "192.0.2.7"); /* the first is made up */
    assert_client("192.0.2.7:4711", "192.0.2.7");
    assert_client("[2001:db9::1]:80, 10.0.0.1", "2001:db9::1");
    assert_client("2001:db9::1", "2001:db9::1");
    assert_client("10.0.0.5, 10.0.0.1", "10.0.0.5"); /* nobody but proxies: the first of them */
    assert_client("what, 10.0.0.1", "10.0.0.1");
    assert_false(forwarded_client(list, "", out, sizeof(out)));
    assert_false(forwarded_client(list, "unknown", out, sizeof(out)));
    assert_false(forwarded_client(list, "192.0.2.7,", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
