#include "worker/rtsp/rtsp_url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    struct rtsp_url u;
    assert_int_equal(rtsp_url_parse(&u, "rtsp://admin:p%40ss%2F%zz@10.0.0.9/cam?channel=1&x=a@b"),
                     0);
    assert_string_equal(u.parts.host, "10.0.0.9");
    assert_int_equal(u.parts.port, 554);
    assert_int_equal(u.parts.scheme, URL_RTSP);
    assert_string_equal(u.parts.user, "admin");
    assert_string_equal(u.parts.password, "p@ss/%zz");
    assert_string_equal(u.request, "rtsp://10.0.0.9/cam?channel=1&x=a@b");

    assert_int_equal(rtsp_url_parse(&u, "RTSPS://u:a@b:c@[fe80::1]:8322"), 0);
    assert_int_equal(u.parts.scheme, URL_RTSPS);
    assert_string_equal(u.parts.host, "fe80::1");
    assert_int_equal(u.parts.port, 8322);
    assert_string_equal(u.parts.password, "a@b:c");
    assert_string_equal(u.request, "rtsps://[fe80::1]:8322");

    assert_int_equal(rtsp_url_parse(&u, "rtsps://user@h/"), 0);
    assert_int_equal(u.parts.port, 322);
    assert_string_equal(u.parts.user, "user");
    assert_string_equal(u.parts.password, "");

    /* As the camera spells it. */
    assert_int_equal(rtsp_url_parse(&u, "RTSP://Camera.LAN:554/a b"), 0);
    assert_string_equal(u.parts.host, "camera.lan");
    assert_string_equal(u.request, "rtsp://Camera.LAN:554/a b");
}

static void test_from(void **state)
{
    static const char text[] = "rtsp://admin:p%40ss/w?d@Camera.LAN:554/cam?x=a@b";
    struct camera_url parts;
    struct rtsp_url u;
    const char *reason;
    assert_int_equal(url_parse(&parts, text, strlen(text), &reason), 0);
    rtsp_url_from(&u, &parts);
    assert_memory_equal(&u.parts, &parts, sizeof(parts));
    assert_string_equal(u.parts.password, "p@ss/w?d");
    assert_string_equal(u.request, "rtsp://camera.lan/cam?x=a@b");

    assert_int_equal(url_parse(&parts, "rtsph://u:p@h/s", strlen("rtsph://u:p@h/s"), &reason), 0);
    rtsp_url_from(&u, &parts);
    assert_string_equal(u.request, "rtsp://h:80/s");
}

static void test_parse_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      "rtsp:",
                                      "rtsp://",
                                      "http://h/",
                                      "rtsp://:554/",
                                      "rtsp://h:0/",
                                      "rtsp://h:65536/",
                                      "rtsp://h:5x/",
                                      "rtsp://[::1/",
                                      "rtsp://[::1]x/",
                                      "rtsp://h/\r\nX: y",
                                      "rtsp://u%00:p@h/",
                                      "rtsp://\xff\xfe/",
                                      "rtsp://x:y/"};
    struct rtsp_url u;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rtsp_url_parse(&u, bad[i]), -EINVAL);
}

static void assert_base(const char *text, const char *expected)
{
    char out[RTSP_URL_MAX];
    rtsp_url_base("rtsp://10.0.0.9/s?a=1", text, out);
    assert_string_equal(out, expected);
}

static void test_base(void **state)
{
    assert_base("", "rtsp://10.0.0.9/s?a=1");
    assert_base("rtsp://10.0.0.9/s/", "rtsp://10.0.0.9/s/");
    assert_base("rtsp://rtsp://cam.lan:554/s/", "rtsp://cam.lan:554/s/");
    assert_base("rtsp://10.0.0.9/rtsp://10.0.0.9/s/", "rtsp://10.0.0.9/s/");
    assert_base("10.0.0.9/s/", "rtsp://10.0.0.9/s?a=1");
    assert_base("*", "rtsp://10.0.0.9/s?a=1");
    assert_base("rtsp://::ffff:192.168.1.123/onvif/", "rtsp://10.0.0.9/s?a=1");
    assert_base("rtsp://u:p@10.0.0.9/s/", "rtsp://10.0.0.9/s/");
}

static void assert_join(const char *base, const char *control, const char *expected)
{
    char out[RTSP_URL_MAX];
    assert_int_equal(rtsp_url_join(base, control, out), 0);
    assert_string_equal(out, expected);
}

static void test_join(void **state)
{
    assert_join("rtsp://h/s/", "trackID=1", "rtsp://h/s/trackID=1");
    assert_join("rtsp://h/s", "trackID=1", "rtsp://h/s/trackID=1");
    assert_join("rtsp://h/s/", "/trackID=1", "rtsp://h/s/trackID=1");
    assert_join("rtsp://h/cam?channel=1&subtype=0", "trackID=0",
                "rtsp://h/cam?channel=1&subtype=0/trackID=0");
    assert_join("rtsp://h/s", "?ctype=video", "rtsp://h/s?ctype=video");
    assert_join("rtsp://h/s/", "", "rtsp://h/s/");
    assert_join("rtsp://h/s/", "*", "rtsp://h/s/");
    assert_join("rtsp://h/s/", "rtsp://other/t1", "rtsp://other/t1");
    assert_join("rtsp://h/s/", "rtsp://u:p@h/t1", "rtsp://h/t1");
    /* Nobody could connect to these, but the camera knows them. */
    assert_join("rtsp://h/s/", "rtsp://10.0.0.1:554:554/t1", "rtsp://10.0.0.1:554:554/t1");
    assert_join("rtsp://h/s/", "rtsp://u:p@q@h:0/t1?a=@", "rtsp://h:0/t1?a=@");
    assert_join("rtsp://h/s/", "RTSP://[fe80::1%eth0]/t1", "RTSP://[fe80::1%eth0]/t1");
}

static void test_resolve(void **state)
{
    char out[RTSP_URL_MAX];
    assert_int_equal(rtsp_url_resolve("rtsp://h/a/s?x=1", "/t1", out), 0);
    assert_string_equal(out, "rtsp://h/t1");
    assert_int_equal(rtsp_url_resolve("rtsp://h/a/s?x=1", "t1", out), 0);
    assert_string_equal(out, "rtsp://h/a/t1");
    assert_int_equal(rtsp_url_resolve("rtsp://h/a/", "t1", out), -ENOENT);
    assert_int_equal(rtsp_url_resolve("rtsp://h/a", "*", out), -ENOENT);
    assert_int_equal(rtsp_url_resolve("rtsp://h/a", "rtsp://h/b", out), -ENOENT);
}

static void test_too_long(void **state)
{
    char control[RTSP_URL_MAX];
    char out[RTSP_URL_MAX];
    memset(control, 'a', sizeof(control) - 1);
    control[sizeof(control) - 1] = '\0';
    assert_int_equal(rtsp_url_join("rtsp://h/", control, out), -ENAMETOOLONG);
    assert_int_equal(rtsp_url_resolve("rtsp://h/", control, out), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from),          cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_base),
        cmocka_unit_test(test_join),          cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests_name("rtsp_url", tests, NULL, NULL);
}
