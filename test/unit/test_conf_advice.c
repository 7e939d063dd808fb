/* master/conf_advice: what is warned of, and what is not. */
#include "master/conf_advice.h"
#include "master/conf_file.h"
#include "master/conf_option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char buf[CONF_ADVICE_MAX];

static struct conf read_ini(const char *ini)
{
    struct conf conf;
    char error[512];
    conf_option_set_defaults(&conf);
    assert_int_equal(conf_read(&conf, "f", ini, strlen(ini), error, sizeof(error)), 0);
    conf.file.path = "/etc/f";
    conf.file.secrets = conf_has_secrets(&conf);
    return conf;
}

static const char *file_advice(const char *ini, unsigned mode)
{
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    struct conf conf = read_ini(ini);
    conf.file.mode = mode;
    buf[0] = '\0';
    bool advised = conf_advise_file(&conf, &text);
    assert_int_equal(advised, buf[0] != '\0');
    conf_free(&conf);
    return buf;
}

#define CAMERA "[camera \"a\"]\nurl = rtsp://"

static void test_file(void **state)
{
    static const char *const secrets[] = {CAMERA "u:p@h/s\n", CAMERA "h/s?password=p\n",
                                          "[access]\ntoken = t\n", "[access]\nsigning_key = k\n",
                                          CAMERA "h/s\n[camera \"b\"]\nurl = rtmp://u:p@h/a/s\n"};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        assert_string_equal(file_advice(secrets[i], 0644),
                            "/etc/f has mode 0644: every user of this machine can read the "
                            "passwords in it; run chmod o= /etc/f");
        assert_string_equal(file_advice(secrets[i], 0640), "");
        assert_string_equal(file_advice(secrets[i], 0600), "");
    }
    assert_string_equal(file_advice(CAMERA "h/s\n", 0644), "");
    assert_string_equal(file_advice("", 0644), "");
    assert_non_null(
        strstr(file_advice("", 0646), "0646: every user of this machine can change it"));
    assert_non_null(
        strstr(file_advice(secrets[0], 0666), "read the passwords in it and change it"));
    assert_null(strstr(buf, "u:p"));
}

static bool access_advised(const char *ini, const char *bind)
{
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    struct conf conf = read_ini(ini);
    buf[0] = '\0';
    bool advised = conf_advise_access(&conf, bind, &text);
    assert_int_equal(advised, buf[0] != '\0');
    conf_free(&conf);
    return advised;
}

static void test_access(void **state)
{
    static const char *const outside[] = {"0.0.0.0", "::", "192.0.2.1", "2001:db8::1"};
    static const char *const inside[] = {"127.0.0.1", "127.1.2.3", "::1", NULL};
    for (size_t i = 0; i < 4; i++) {
        assert_true(access_advised("", outside[i]));
        assert_non_null(strstr(buf, outside[i]));
        assert_false(access_advised("", inside[i]));
        assert_false(access_advised("[access]\ntoken = t\n", outside[i]));
        assert_false(access_advised("[access]\nsigning_key = k\n", outside[i]));
        assert_false(access_advised("[access]\ncameras = named\n", outside[i]));
        assert_false(access_advised("[access]\ncameras = 10.0.0.0/8\n", outside[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
