#include "worker/rtsp/rtsp_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct rtsp_message challenge(const char *const *values, size_t count)
{
    struct rtsp_message m = {.item = RTSP_ITEM_RESPONSE, .status = 401};
    for (size_t i = 0; i < count; i++) {
        m.headers[i].name = (struct rtsp_slice){"WWW-Authenticate", 16};
        m.headers[i].value = (struct rtsp_slice){values[i], strlen(values[i])};
    }
    m.header_count = count;
    return m;
}

static bool refuse(struct rtsp_auth *auth, const char *value)
{
    struct rtsp_message m = challenge(&value, 1);
    return rtsp_auth_refused(auth, &m);
}

static const char *header(struct rtsp_auth *auth, const char *method, const char *uri)
{
    static char buf[RTSP_AUTH_HEADER_MAX];
    assert_true(rtsp_auth_header(auth, method, uri, buf) >= 0);
    return buf;
}

static void test_nothing_without_challenge(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    assert_string_equal(header(&auth, "DESCRIBE", "rtsp://x/"), "");
}

static void test_basic(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "Aladdin", "open sesame", 1); /* RFC 7617 section 2 */
    assert_true(refuse(&auth, "Basic realm=\"WallyWorld\""));
    assert_string_equal(header(&auth, "DESCRIBE", "rtsp://x/"),
                        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    assert_false(refuse(&auth, "Basic realm=\"WallyWorld\""));
}

/* RFC 2069 form; response computed with Python's hashlib. */
static void test_digest_md5(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "admin", "secret", 1);
    assert_true(refuse(&auth, "Digest realm=\"cam\", nonce=\"abc\""));
    assert_string_equal(header(&auth, "DESCRIBE", "rtsp://h/s"),
                        "Authorization: Digest username=\"admin\", realm=\"cam\", nonce=\"abc\", "
                        "uri=\"rtsp://h/s\", response=\"e093c993357e455747beb87b0fe5bb68\"\r\n");
}

/* RFC 7616 section 3.9.1, with a cnonce of ours. */
static void test_digest_sha256(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "Mufasa", "Circle of Life", 1);
    assert_true(refuse(&auth, "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", "
                              "algorithm=SHA-256, "
                              "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "
                              "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    const char *h = header(&auth, "GET", "/dir/index.html");
    assert_non_null(strstr(h, "algorithm=SHA-256"));
    assert_non_null(strstr(h, "qop=auth, nc=00000001, cnonce=\"910a2dec89025cc1\""));
    assert_non_null(strstr(h, "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    assert_non_null(
        strstr(h, "response=\"084f644174d5686081fcd7272a410296aef57a1af9b500f3508119efd571df7d\""));
    assert_non_null(strstr(header(&auth, "GET", "/"), "nc=00000002"));
}

static void test_best_of_several(void **state)
{
    static const char *const orders[][3] = {
        {"Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"m\", algorithm=MD5",
         "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256"},
        {"Digest realm=\"r\", nonce=\"s\", algorithm=\"SHA-256\"", "Basic realm=\"r\"",
         "Digest realm=\"r\", nonce=\"m\""},
        {"Digest realm=\"r\", nonce=\"m\"",
         "Digest realm=\"r\", nonce=\"x\", algorithm=SHA-512-256",
         "Digest algorithm=SHA-256,realm=\"r\",nonce=\"s\""},
    };
    for (size_t i = 0; i < 3; i++) {
        struct rtsp_auth auth;
        rtsp_auth_init(&auth, "u", "p", 1);
        struct rtsp_message m = challenge(orders[i], 3);
        assert_true(rtsp_auth_refused(&auth, &m));
        assert_int_equal(auth.scheme, RTSP_AUTH_SHA256);
        assert_non_null(strstr(header(&auth, "SETUP", "x"), "nonce=\"s\""));
    }
}

static void test_several_in_one_header(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    assert_true(
        refuse(&auth, "Basic realm=\"a, Digest b\", Digest realm=\"r \\\"q\\\"\", nonce=\"n\""));
    assert_int_equal(auth.scheme, RTSP_AUTH_MD5);
    assert_non_null(strstr(header(&auth, "SETUP", "x"), "realm=\"r \\\"q\\\"\", nonce=\"n\""));
}

static void test_md5_once_after_sha256(void **state)
{
    static const char *const both[] = {"Digest realm=\"r\", nonce=\"m\", algorithm=MD5",
                                       "Digest realm=\"r\", nonce=\"s\", algorithm=SHA-256"};
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    struct rtsp_message m = challenge(both, 2);
    assert_true(rtsp_auth_refused(&auth, &m));
    assert_true(rtsp_auth_refused(&auth, &m));
    assert_int_equal(auth.scheme, RTSP_AUTH_MD5);
    assert_false(rtsp_auth_refused(&auth, &m));
}

/* Accounts get locked: a wrong password is sent once. */
static void test_wrong_password_is_final(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    assert_true(refuse(&auth, "Digest realm=\"r\", nonce=\"1\""));
    assert_false(refuse(&auth, "Digest realm=\"r\", nonce=\"2\""));
}

static void test_stale_nonce(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    assert_true(refuse(&auth, "Digest realm=\"r\", nonce=\"1\""));
    assert_true(refuse(&auth, "Digest realm=\"r\", nonce=\"2\", stale=TRUE"));
    assert_non_null(strstr(header(&auth, "SETUP", "x"), "nonce=\"2\""));
    rtsp_auth_accepted(&auth);
    /* The password was right before: a new nonce is enough, even unsaid. */
    assert_true(refuse(&auth, "Digest realm=\"r\", nonce=\"3\""));
    rtsp_auth_accepted(&auth);
    assert_false(refuse(&auth, "Digest realm=\"r\", nonce=\"3\""));
}

static void test_stale_without_end(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "u", "p", 1);
    int tries = 0;
    while (refuse(&auth, "Digest realm=\"r\", nonce=\"1\", stale=true"))
        assert_true(++tries < 10);
}

static void test_no_credentials(void **state)
{
    struct rtsp_auth auth;
    rtsp_auth_init(&auth, "", "", 1);
    assert_false(refuse(&auth, "Digest realm=\"r\", nonce=\"1\""));
}

static void test_broken_challenges(void **state)
{
    static const char *const broken[] = {"",
                                         "=",
                                         "\"",
                                         "Digest",
                                         "Digest =",
                                         "Digest nonce=\"x",
                                         "Digest realm=\"a\\",
                                         ",,,",
                                         "Negotiate abc==",
                                         "Digest nonce",
                                         "Basic,Basic,Basic"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct rtsp_auth auth;
        rtsp_auth_init(&auth, "u", "p", 1);
        (void)refuse(&auth, broken[i]);
        (void)header(&auth, "SETUP", "x");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_without_challenge),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_digest_md5),
        cmocka_unit_test(test_digest_sha256),
        cmocka_unit_test(test_best_of_several),
        cmocka_unit_test(test_several_in_one_header),
        cmocka_unit_test(test_md5_once_after_sha256),
        cmocka_unit_test(test_wrong_password_is_final),
        cmocka_unit_test(test_stale_nonce),
        cmocka_unit_test(test_stale_without_end),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_broken_challenges),
    };
    return cmocka_run_group_tests_name("rtsp_auth", tests, NULL, NULL);
}
