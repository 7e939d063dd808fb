/* master/access: tokens and signed URLs. */
#include "master/access.h"
#include "master/conf_option.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000

static struct conf conf;

static int setup(void **state)
{
    conf_option_set_defaults(&conf);
    return 0;
}

static bool asks_by(enum access_by by, const char *target, const char *headers)
{
    static struct http_head head;
    static char text[HTTP_HEAD_MAX];
    const char *message = NULL;
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: gw\r\n%s\r\n", target, headers);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, (size_t)n, NULL), 1);
    bool allowed = access_allows(&conf, &head.request, by, NOW, &message);
    assert_true(allowed || message != NULL);
    return allowed;
}

static bool asks(const char *target, const char *headers)
{
    return asks_by(ACCESS_BY_SIGNATURE, target, headers);
}

static void use(const char *token, const char *key)
{
    (void)snprintf(conf.access.token, sizeof(conf.access.token), "%s", token);
    (void)snprintf(conf.access.signing_key, sizeof(conf.access.signing_key), "%s", key);
}

static void test_open_without_secrets(void **state)
{
    use("", "");
    assert_true(asks("/?cam=a", ""));
    assert_true(asks("/?cam=a&token=x", "Authorization: Bearer y\r\n"));
}

static void test_token(void **state)
{
    use("s3cret+/", "");
    assert_false(asks("/?cam=a", ""));
    assert_false(asks("/?cam=a&token=", ""));
    assert_false(asks("/?cam=a&token=s3cret%2B", ""));
    assert_false(asks("/?cam=a&token=s3cret%2B//", ""));
    assert_true(asks("/?cam=a&token=s3cret%2B/", ""));
    assert_true(asks("/?cam_url=rtsp://u:p@10.0.0.9/x&token=s3cret%2B/", "")); /* raw */
    assert_false(asks("/?token=s3cret%2B/&token=s3cret%2B/", ""));
    assert_true(asks("/api/streams", "Authorization: bearer  s3cret+/\r\n"));
    assert_false(asks("/api/streams", "Authorization: Bearer s3cret\r\n"));
    assert_false(asks("/api/streams", "Authorization: Basic s3cret+/\r\n"));
    assert_false(asks("/api/streams", "Authorization: s3cret+/\r\n"));
    assert_false(asks("/?cam=a&token=s3cret%2B/%00x", ""));
}

static void test_signature_is_hmac_sha256(void **state)
{
    char signature[ACCESS_SIGNATURE_MAX];
    /* printf '/snapshot\nfront-door\n1700000100' | openssl dgst -sha256 -hmac key */
    access_sign("key", "/snapshot", "front-door", "1700000100", signature);
    assert_string_equal(signature, "b5d08de5a7b6affd07a2b05c19662427"
                                   "9229d36ec57e6f74e1359a645554002c");
}

static bool signed_for(const char *path, const char *camera, const char *expires,
                       const char *target)
{
    char signature[ACCESS_SIGNATURE_MAX];
    char text[2048];
    access_sign("key", path, camera, expires, signature);
    (void)snprintf(text, sizeof(text), "%s&expires=%s&signature=%s", target, expires, signature);
    return asks(text, "");
}

static void test_signed_urls(void **state)
{
    use("", "key");
    assert_false(asks("/?cam=a", ""));
    assert_true(signed_for("/", "a", "1700000000", "/?cam=a"));
    assert_true(signed_for("/snapshot", "a", "1700000100", "/snapshot?width=64&cam=a"));
    assert_true(signed_for("/", "rtsp://u:p@10.0.0.9/x?y&z", "1700000100",
                           "/?cam_url=rtsp://u:p@10.0.0.9/x?y&z"));
    assert_true(signed_for("/", "rtsp://10.0.0.9/x y", "1700000100",
                           "/?cam_url=rtsp%3A%2F%2F10.0.0.9%2Fx+y"));
    assert_false(signed_for("/", "a", "1699999999", "/?cam=a"));         /* expired */
    assert_false(signed_for("/", "a", "1700000100", "/?cam=b"));         /* another camera */
    assert_false(signed_for("/", "a", "1700000100", "/snapshot?cam=a")); /* another path */
    assert_false(signed_for("/", "a", "-1", "/?cam=a"));
    assert_false(signed_for("/", "a", "9999999999999", "/?cam=a"));
    assert_false(signed_for("/api/streams", "", "1700000100", "/api/streams?x=y"));
    assert_false(signed_for("/", "", "1700000100", "/?cam_url=&cam=a")); /* a is what is served */
    assert_true(signed_for("/", "a", "1700000100", "/?cam_url=&cam=a"));
    /* the transport of a named camera is the configuration's */
    assert_false(signed_for("/", "a", "1700000100", "/?cam=a&cam_type=rtsp-udp"));
    assert_false(signed_for("/", "a", "1700000100", "/?cam_url=&cam=a&cam_type=rtsp-udp"));
    assert_true(signed_for("/", "rtsp://h/s", "1700000100",
                           "/?cam_type=rtsp-udp&cam_url=rtsp%3A%2F%2Fh%2Fs"));
}

/* One signature for player, stream and pictures; of this camera alone, and no status. */
static void test_signature_for_all_paths(void **state)
{
    static const char *const paths[] = {"/", "/live.flv", "/snapshot", "/mjpeg"};
    struct http_request request = {.path = "/api/signature", .query = "cam=gate"};
    char signature[ACCESS_SIGNATURE_MAX], target[256];
    use("s3cret", "key");
    assert_true(access_sign_camera(&conf, &request, "1700000060", signature));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        (void)snprintf(target, sizeof(target), "%s?cam=gate&expires=1700000060&signature=%s",
                       paths[i], signature);
        assert_true(asks(target, ""));
        assert_false(asks_by(ACCESS_BY_TOKEN, target, ""));
        (void)snprintf(target, sizeof(target), "%s?cam=yard&expires=1700000060&signature=%s",
                       paths[i], signature);
        assert_false(asks(target, ""));
    }
    use("s3cret", "");
    assert_false(access_sign_camera(&conf, &request, "1700000060", signature));
}

static void test_changed_expiry_is_refused(void **state)
{
    char signature[ACCESS_SIGNATURE_MAX];
    char text[256];
    use("tok", "key");
    access_sign("key", "/", "a", "1700000100", signature);
    (void)snprintf(text, sizeof(text), "/?cam=a&expires=1800000000&signature=%s", signature);
    assert_false(asks(text, ""));
    (void)snprintf(text, sizeof(text), "/?cam=a&signature=%s", signature);
    assert_false(asks(text, ""));
    assert_true(asks("/?cam=a&token=tok", "")); /* either will do */
}

static void test_signature_in_capitals(void **state)
{
    char signature[ACCESS_SIGNATURE_MAX], text[256];
    use("", "key");
    access_sign("key", "/", "a", "1700000100", signature);
    for (char *c = signature; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    (void)snprintf(text, sizeof(text), "/?cam=a&expires=1700000100&signature=%s", signature);
    assert_true(asks(text, ""));
    (void)snprintf(text, sizeof(text), "/?cam=a&expires=1700000100&signature=%s0", signature);
    assert_false(asks(text, "")); /* a digit too many */
}

/* What secrets are compared by, and how often (-Wl,--wrap in the Makefile). */
static unsigned comparisons;

int __real_CRYPTO_memcmp(const void *a, const void *b, size_t len);
int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t len);

int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t len)
{
    assert_int_equal(len, SHA256_DIGEST_LENGTH);
    comparisons++;
    return __real_CRYPTO_memcmp(a, b, len);
}

static unsigned count_comparisons(const char *target, bool right)
{
    comparisons = 0;
    assert_int_equal(asks(target, ""), right);
    return comparisons;
}

/* Digests of one length are compared by a function that does not stop at a difference, and as often
 * for a wrong secret, wherever it differs and however long it is, as for the right one. */
static void test_secrets_are_compared_in_constant_time(void **state)
{
    static const char *const tokens[] = {
        "", "s", "s3cret+/tai", "s3cret+/tail0", "x3cret+/tail", "s3cret+/taix"};
    char target[512], signature[ACCESS_SIGNATURE_MAX];
    use("s3cret+/tail", "");
    assert_int_equal(count_comparisons("/?cam=a&token=s3cret%2B/tail", true), 1);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        (void)snprintf(target, sizeof(target), "/?cam=a&token=%s", tokens[i]);
        assert_int_equal(count_comparisons(target, false), 1);
    }
    use("", "key");
    access_sign("key", "/", "a", "1700000100", signature);
    for (size_t at = 0; at <= strlen(signature); at++) { /* the last one is right */
        char wrong[ACCESS_SIGNATURE_MAX];
        memcpy(wrong, signature, sizeof(wrong));
        bool right = wrong[at] == '\0';
        if (!right)
            wrong[at] = wrong[at] == '0' ? '1' : '0';
        (void)snprintf(target, sizeof(target), "/?cam=a&expires=1700000100&signature=%s", wrong);
        assert_int_equal(count_comparisons(target, right), 2); /* for this path and for all */
    }
    assert_int_equal(count_comparisons("/?cam=a&expires=1700000100&signature=0", false), 2);
}

static void test_where_only_the_token_opens(void **state)
{
    char signature[ACCESS_SIGNATURE_MAX], text[256];
    access_sign("key", "/metrics", "a", "1700000100", signature);
    (void)snprintf(text, sizeof(text), "/metrics?cam=a&expires=1700000100&signature=%s", signature);
    use("", "key");
    assert_true(asks_by(ACCESS_BY_SIGNATURE, text, ""));
    assert_false(asks_by(ACCESS_BY_TOKEN, text, ""));
    use("tok", "key");
    assert_false(asks_by(ACCESS_BY_TOKEN, text, ""));
    assert_true(asks_by(ACCESS_BY_TOKEN, "/metrics?token=tok", ""));
}

static bool may_change(const char *headers)
{
    static struct http_head head;
    static char text[HTTP_HEAD_MAX];
    const char *message = NULL;
    int n = snprintf(text, sizeof(text), "DELETE /api/streams/a HTTP/1.1\r\n%s\r\n", headers);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, (size_t)n, NULL), 1);
    bool allowed = access_allows_change(&conf, &head.request, &message);
    assert_true(allowed || strncmp(message, "Origin: ", 8) == 0);
    return allowed;
}

static void test_no_page_changes_something(void **state)
{
    char longer[512];
    use("", "");
    assert_true(may_change("Host: gw:8006\r\n"));
    assert_false(may_change("Host: gw:8006\r\nOrigin: http://gw:8006\r\n"));
    assert_false(may_change("Host: gw:8006\r\nOrigin: http://evil.example\r\n"));
    assert_false(may_change("Host: gw:8006\r\nOrigin: null\r\n"));
    assert_false(may_change("Host: gw:8006\r\nOrigin:\r\n"));
    /* One that is too long to be kept is not none. */
    (void)snprintf(longer, sizeof(longer), "Host: gw:8006\r\nOrigin: http://%0*d.example\r\n",
                   2 * IPC_HEADER_MAX, 0);
    assert_false(may_change(longer));
}

static void test_who_has_a_token_may_change_something_from_any_page(void **state)
{
    use("tok", "");
    assert_true(may_change("Host: gw:8006\r\nOrigin: http://wall.example\r\n"));
    use("", "key");
    assert_true(may_change("Host: gw:8006\r\nOrigin: http://wall.example\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_without_secrets),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_signature_is_hmac_sha256),
        cmocka_unit_test(test_signed_urls),
        cmocka_unit_test(test_signature_for_all_paths),
        cmocka_unit_test(test_changed_expiry_is_refused),
        cmocka_unit_test(test_signature_in_capitals),
        cmocka_unit_test(test_secrets_are_compared_in_constant_time),
        cmocka_unit_test(test_where_only_the_token_opens),
        cmocka_unit_test(test_no_page_changes_something),
        cmocka_unit_test(test_who_has_a_token_may_change_something_from_any_page),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
