/* Socket addresses as text. */
#include "master/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const char *format_ipv6(const char *text, uint16_t port)
{
    static char out[IPC_PEER_MAX];
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    address_format((const struct sockaddr *)&in6, out);
    return out;
}

static void test_ipv4(void **state)
{
    char out[IPC_PEER_MAX];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(65535)};
    (void)state;
    assert_int_equal(inet_pton(AF_INET, "255.255.255.255", &in.sin_addr), 1);
    address_format((const struct sockaddr *)&in, out);
    assert_string_equal(out, "255.255.255.255:65535");
}

static void test_ipv6(void **state)
{
    (void)state;
    assert_string_equal(format_ipv6("2001:db8::7", 80), "[2001:db8::7]:80");
    assert_string_equal(format_ipv6("2001:db8:1111:2222:3333:4444:5555:6666", 65535),
                        "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

static void test_an_ipv4_client_of_an_ipv6_socket(void **state)
{
    (void)state;
    assert_string_equal(format_ipv6("::ffff:192.0.2.7", 4711), "192.0.2.7:4711");
    assert_string_equal(format_ipv6("::192.0.2.7", 1), "[::192.0.2.7]:1"); /* not mapped */
}

static void test_unix(void **state)
{
    char out[IPC_PEER_MAX];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)state;
    address_format((const struct sockaddr *)&un, out);
    assert_string_equal(out, "unix");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_an_ipv4_client_of_an_ipv6_socket),
        cmocka_unit_test(test_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
