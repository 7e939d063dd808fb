/* common/camera_access: hosts and addresses against lists. */
#include "common/camera_access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ipc_access list_of(const char *list)
{
    struct ipc_access access = {.mode = IPC_ACCESS_LIST};
    (void)snprintf(access.list, sizeof(access.list), "%s", list);
    return access;
}

static bool host(const char *list, const char *name)
{
    const struct ipc_access access = list_of(list);
    return camera_access_host(&access, "", name);
}

static bool judge(const struct ipc_access *access, const char *own, const char *name,
                  const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        return camera_access_address(access, own, name, (const struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
    return camera_access_address(access, own, name, (const struct sockaddr *)&in6);
}

static bool address(const char *list, const char *name, const char *ip)
{
    const struct ipc_access access = list_of(list);
    return judge(&access, "", name, ip);
}

static void test_lists_that_are_none(void **state)
{
    static const char *const good[] = {"10.0.0.0/8",     "*.cams.example, 10.0.0.9",
                                       "2001:db8::/32",  "front-door.lan",
                                       "0.0.0.0/0 ::/0", "::ffff:10.0.0.1"};
    static const char *const bad[] = {"",           " , ",         "10.0.0.0/33", "10.0.0.0/",
                                      "2001::/129", "10.0.0.0/8x", "a/8",         "host:554",
                                      "rtsp://a",   "[::1]",       "10.0.0.0/-1", "c?m.lan"};
    struct ipc_access access;
    char longest[IPC_ACCESS_LIST_MAX + 1];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(camera_access_parse(good[i], &access), 0);
        assert_int_equal(access.mode, IPC_ACCESS_LIST);
        assert_string_equal(camera_access_text(&access), good[i]);
    }
    assert_int_equal(camera_access_parse("any", &access), 0);
    assert_int_equal(access.mode, IPC_ACCESS_ANY);
    assert_string_equal(camera_access_text(&access), "any");
    assert_int_equal(camera_access_parse("named", &access), 0);
    assert_int_equal(access.mode, IPC_ACCESS_NAMED);
    assert_string_equal(camera_access_text(&access), "named");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(camera_access_parse(bad[i], &access), -EINVAL);
    for (size_t i = 0; i < sizeof(longest) - 1; i++)
        longest[i] = i % 2 == 0 ? 'a' : ',';
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(camera_access_parse(longest, &access), -EINVAL);
    longest[IPC_ACCESS_LIST_MAX - 1] = '\0';
    assert_int_equal(camera_access_parse(longest, &access), 0);
}

static void test_networks_decide_by_address(void **state)
{
    const char *list = "10.0.0.0/9, 192.168.7.9, 2001:db8::/33";
    assert_true(host(list, "10.127.255.255"));
    assert_false(host(list, "10.128.0.0"));
    assert_true(host(list, "192.168.7.9"));
    assert_false(host(list, "192.168.7.8"));
    assert_true(host(list, "2001:db8:7fff::1"));
    assert_false(host(list, "2001:db8:8000::1"));
    assert_true(host(list, "any.name")); /* what it resolves to is seen later: */
    assert_true(address(list, "any.name", "10.1.2.3"));
    assert_false(address(list, "any.name", "127.0.0.1"));
    assert_false(address(list, "any.name", "169.254.169.254"));
    assert_false(address(list, "10.1.2.3", "11.1.2.3"));
}

static void test_other_spellings_of_an_address(void **state)
{
    assert_true(address("10.0.0.0/8", "n", "::ffff:10.1.2.3"));
    assert_false(address("10.0.0.0/8", "n", "::ffff:127.0.0.1"));
    assert_false(address("10.0.0.0/8", "n", "::10.1.2.3"));
    assert_false(address("*.lan", "a.lan", "::ffff:127.0.0.1"));
    /* libc reads these as addresses; here they are names, judged by what they resolve to */
    assert_false(host("*.lan", "2130706433"));
    assert_false(address("10.0.0.0/8", "0x7f.1", "127.0.0.1"));
}

static void test_patterns_decide_by_name(void **state)
{
    const char *list = "*.cams.example, gate";
    assert_true(host(list, "a.cams.example"));
    assert_true(host(list, "A.b.CAMS.example"));
    assert_true(host(list, "gate"));
    assert_false(host(list, "cams.example"));
    assert_false(host(list, "a.cams.example.evil"));
    assert_false(host(list, "gate.evil"));
    assert_false(host(list, "10.0.0.1")); /* no network is listed */
    assert_true(address(list, "a.cams.example", "203.0.113.7"));
    assert_false(address(list, "evil", "203.0.113.7"));
}

static void test_wildcards_do_not_lead_to_this_machine(void **state)
{
    static const char *const here[] = {"127.0.0.1", "0.0.0.0",         "169.254.169.254",
                                       "239.1.1.1", "255.255.255.255", "::1",
                                       "::",        "fe80::1",         "ff02::1"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        assert_false(address("*.lan", "a.lan", here[i]));
        assert_true(address("localhost", "localhost", here[i]));
    }
    assert_false(address("*.lan, 10.0.0.0/8", "a.lan", "127.0.0.1"));
    assert_true(address("*.lan, 127.0.0.0/8", "a.lan", "127.0.0.1"));
}

static void test_both_must_fit(void **state)
{
    const char *list = "*.lan, 10.0.0.0/8";
    assert_true(address(list, "a.lan", "10.0.0.1"));
    assert_false(address(list, "a.lan", "11.0.0.1"));
    assert_false(address(list, "a.evil", "10.0.0.1"));
    assert_true(host(list, "10.0.0.1"));
    assert_false(host(list, "a.evil"));
}

static void test_modes_and_the_configured_camera(void **state)
{
    struct ipc_access access = {.mode = IPC_ACCESS_ANY};
    assert_true(camera_access_host(&access, "", "x"));
    assert_true(judge(&access, "", "x", "127.0.0.1"));
    access.mode = IPC_ACCESS_NAMED;
    assert_false(camera_access_host(&access, "", "x"));
    assert_true(camera_access_host(&access, "cam.lan", "CAM.lan"));
    assert_true(judge(&access, "cam.lan", "cam.lan", "127.0.0.1"));
    assert_false(judge(&access, "cam.lan", "evil", "127.0.0.1"));
    access = list_of("10.0.0.0/8");
    assert_true(judge(&access, "192.168.0.9", "192.168.0.9", "192.168.0.9"));
    assert_false(judge(&access, "192.168.0.9", "192.168.0.8", "192.168.0.8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_that_are_none),
        cmocka_unit_test(test_networks_decide_by_address),
        cmocka_unit_test(test_other_spellings_of_an_address),
        cmocka_unit_test(test_patterns_decide_by_name),
        cmocka_unit_test(test_wildcards_do_not_lead_to_this_machine),
        cmocka_unit_test(test_both_must_fit),
        cmocka_unit_test(test_modes_and_the_configured_camera),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
