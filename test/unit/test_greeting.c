/* master/greeting: the URL that the first log lines tell to open. */
#include "master/greeting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <uv.h>

#include <cmocka.h>

static struct sockaddr_storage address(const char *ip, int port)
{
    struct sockaddr_storage out = {0};
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)&out) != 0)
        assert_int_equal(uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&out), 0);
    return out;
}

static const char *url(const char *listening, int port, const char *outside)
{
    static char out[IPC_PEER_MAX];
    struct sockaddr_storage at = address(listening, port);
    struct sockaddr_storage other = address(outside, 0);
    greeting_format_url((struct sockaddr *)&at, (struct sockaddr *)&other, out);
    return out;
}

static void test_url(void **state)
{
    assert_string_equal(url("0.0.0.0", 8005, "192.0.2.1"), "http://192.0.2.1:8005/");
    assert_string_equal(url("::", 8005, "192.0.2.1"), "http://192.0.2.1:8005/");
    assert_string_equal(url("::", 8005, "2001:db8::1"), "http://[2001:db8::1]:8005/");
    assert_string_equal(url("127.0.0.1", 8005, "192.0.2.1"), "http://127.0.0.1:8005/");
    assert_string_equal(url("::1", 8005, "192.0.2.1"), "http://[::1]:8005/");
    assert_string_equal(url("0.0.0.0", 80, "192.0.2.1"), "http://192.0.2.1/");
    assert_string_equal(url("0.0.0.0", 8080, "192.0.2.1"), "http://192.0.2.1:8080/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
