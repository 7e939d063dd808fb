/* common/http_reply: response heads and error bodies, byte for byte. */
#include "common/http_reply.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char buf[HTTP_REPLY_MAX + 1];

static void test_head(void **state)
{
    size_t n = http_reply_head(buf, 200, NULL, "Content-Type: video/x-flv\r\n");
    buf[n] = '\0';
    assert_string_equal(buf, "HTTP/1.1 200 OK\r\n"
                             "Content-Type: video/x-flv\r\n"
                             "Access-Control-Allow-Origin: *\r\n"
                             "Cross-Origin-Resource-Policy: cross-origin\r\n"
                             "Connection: close\r\n"
                             "\r\n");

    n = http_reply_head(buf, 304, "https://a.example", "");
    buf[n] = '\0';
    assert_string_equal(buf, "HTTP/1.1 304 Not Modified\r\n"
                             "Access-Control-Allow-Origin: https://a.example\r\n"
                             "Vary: Origin\r\n"
                             "Cross-Origin-Resource-Policy: cross-origin\r\n"
                             "Connection: close\r\n"
                             "\r\n");

    /* RFC 6455 section 4.2.2: the upgrade needs its own Connection */
    n = http_reply_head(buf, 101, "", "Upgrade: websocket\r\n");
    buf[n] = '\0';
    assert_string_equal(buf, "HTTP/1.1 101 Switching Protocols\r\n"
                             "Upgrade: websocket\r\n"
                             "Access-Control-Allow-Origin: *\r\n"
                             "Cross-Origin-Resource-Policy: cross-origin\r\n"
                             "Connection: Upgrade\r\n"
                             "\r\n");
}

static void test_error(void **state)
{
    static const char expected_head[] = "HTTP/1.1 504 Gateway Timeout\r\n"
                                        "Content-Type: application/json\r\n"
                                        "Content-Length: 94\r\n"
                                        "Cache-Control: no-store\r\n"
                                        "Access-Control-Allow-Origin: *\r\n"
                                        "Cross-Origin-Resource-Policy: cross-origin\r\n"
                                        "Connection: close\r\n"
                                        "\r\n";
    static const char expected_body[] = "{\"error\":{\"code\":\"camera_timeout\",\"message\":\"no "
                                        "picture\",\"camera\":\"rtsp://***@10.0.0.9/cam\"}}\n";
    size_t n = http_reply_error(buf, HTTP_ERROR_CAMERA_TIMEOUT, NULL, "rtsp://***@10.0.0.9/cam",
                                "no picture", 0);
    buf[n] = '\0';
    assert_int_equal(n, sizeof(expected_head) - 1 + sizeof(expected_body) - 1);
    assert_memory_equal(buf, expected_head, sizeof(expected_head) - 1);
    assert_string_equal(buf + sizeof(expected_head) - 1, expected_body);

    /* HEAD: the same headers, no body */
    n = http_reply_error(buf, HTTP_ERROR_CAMERA_TIMEOUT, NULL, "rtsp://***@10.0.0.9/cam",
                         "no picture", 1);
    buf[n] = '\0';
    assert_string_equal(buf, expected_head);
}

static void test_error_headers(void **state)
{
    size_t n = http_reply_error_with(buf, HTTP_ERROR_METHOD_NOT_ALLOWED, "http://o",
                                     "Allow: GET, HEAD\r\n", NULL, "m", 0);
    buf[n] = '\0';
    assert_non_null(strstr(buf, "HTTP/1.1 405 Method Not Allowed\r\n"));
    assert_non_null(strstr(buf, "\r\nAllow: GET, HEAD\r\n"));
    assert_non_null(strstr(buf, "\r\nAccess-Control-Allow-Origin: http://o\r\n"));
    assert_null(strstr(buf, "\"camera\""));
    assert_null(strstr(buf, "Retry-After"));
}

static json_t *body_of(enum http_error error, const char *camera, const char *message)
{
    size_t n = http_reply_error(buf, error, NULL, camera, message, 0);
    buf[n] = '\0';
    char *body = strstr(buf, "\r\n\r\n");
    assert_non_null(body);
    unsigned long length = 0;
    assert_int_equal(sscanf(strstr(buf, "Content-Length: "), "Content-Length: %lu", &length), 1);
    assert_int_equal(length, strlen(body + 4));
    json_error_t problem;
    json_t *root = json_loads(body + 4, 0, &problem);
    if (root == NULL)
        print_error("%s\n%s\n", problem.text, body + 4);
    assert_non_null(root);
    return root;
}

static const char *field(json_t *root, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(root, "error"), name));
    return text != NULL ? text : "";
}

static void test_escapes(void **state)
{
    json_t *root =
        body_of(HTTP_ERROR_BAD_PARAMETER, "a\"b\\c</script>\x01\x1f\x7f", "\xc3\xbc\n\xff\xe2\x82");
    assert_string_equal(field(root, "camera"), "a\"b\\c</script>\x01\x1f\x7f");
    assert_string_equal(field(root, "message"), "\xc3\xbc\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    assert_null(strstr(buf, "</script>"));
    json_decref(root);

    /* overlong, surrogate, too large: RFC 3629 */
    root = body_of(HTTP_ERROR_BAD_PARAMETER, NULL,
                   "\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"
                   "\xe0\x80\x80\xf0\x80\x80\x80\xf0\x9f\x98\x80");
    assert_non_null(strstr(field(root, "message"), "\xf0\x9f\x98\x80"));
    assert_int_equal(strlen(field(root, "message")), 16 * 3 + 4);
    json_decref(root);
}

/* Whatever comes in, the answer fits and is JSON. */
static void test_long_texts(void **state)
{
    static const char fills[] = {'a', '"', '\x01', '\xff'};
    static char text[20000];
    for (size_t i = 0; i < sizeof(fills); i++) {
        memset(text, fills[i], sizeof(text) - 1);
        json_t *root = body_of(HTTP_ERROR_OVERLOADED, text, text);
        assert_string_equal(field(root, "code"), "overloaded");
        json_decref(root);
        size_t n = http_reply_error(buf, HTTP_ERROR_OVERLOADED, NULL, text, text, 0);
        assert_true(n < HTTP_REPLY_MAX);
    }
}

static void test_table(void **state)
{
    for (int e = HTTP_ERROR_NONE + 1; e < HTTP_ERROR_COUNT; e++) {
        size_t n = http_reply_error(buf, (enum http_error)e, NULL, NULL, "m", 0);
        buf[n] = '\0';
        int status = http_error_status((enum http_error)e);
        char line[64];
        /* a status line has its reason */
        (void)snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
        assert_memory_equal(buf, line, strlen(line));
        assert_true(buf[strlen(line)] >= 'A' && buf[strlen(line)] <= 'Z');
        assert_int_equal(strstr(buf, "Retry-After: 5\r\n") != NULL, status == 503);
    }
    assert_string_equal(http_error_code(HTTP_ERROR_UNKNOWN_CAMERA), "unknown_camera");
    assert_int_equal(http_error_status(HTTP_ERROR_UNKNOWN_CAMERA), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),          cmocka_unit_test(test_error),
        cmocka_unit_test(test_error_headers), cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_long_texts),    cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
