/* master/http_head: request heads as clients send them, whole, in pieces, and broken. */
#include "master/http_head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct http_head head;

static int feed(const char *text)
{
    http_head_init(&head);
    return http_head_feed(&head, text, strlen(text), NULL);
}

static void test_ffmpeg(void **state)
{
    static const char text[] = "GET /?cam_url=rtsp://u:p@ss#1@10.0.0.9/cam?a=1&b=2 HTTP/1.1\r\n"
                               "User-Agent: Lavf/59.27.100\r\n"
                               "Accept: */*\r\n"
                               "Range: bytes=0-\r\n"
                               "Connection: close\r\n"
                               "Host: 127.0.0.1:8005\r\n"
                               "Icy-MetaData: 1\r\n"
                               "\r\n";
    assert_int_equal(feed(text), 1);
    assert_int_equal(head.request.method, REQUEST_GET);
    assert_string_equal(head.request.path, "/");
    assert_string_equal(head.request.query, "cam_url=rtsp://u:p@ss#1@10.0.0.9/cam?a=1&b=2");
    assert_string_equal(head.request.origin, "");
    assert_false(head.request.upgrade_websocket);

    /* Byte by byte it is the same. */
    http_head_init(&head);
    for (size_t i = 0; i + 1 < sizeof(text) - 1; i++)
        assert_int_equal(http_head_feed(&head, text + i, 1, NULL), 0);
    assert_int_equal(http_head_feed(&head, text + sizeof(text) - 2, 1, NULL), 1);
    assert_string_equal(head.request.query, "cam_url=rtsp://u:p@ss#1@10.0.0.9/cam?a=1&b=2");
}

static const char browser[] = "GET /live.flv?cam=front-door HTTP/1.1\r\n"
                              "Host: gw:8005\r\n"
                              "connection: keep-alive, Upgrade\r\n"
                              "UPGRADE: WebSocket\r\n"
                              "Origin: https://dash.example  \r\n"
                              "Authorization: Bearer abc\r\n"
                              "If-None-Match: \"1-2\"\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: flv, chat\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "X-Padding:\r\n"
                              "Origin: https://second.example\r\n"
                              "\r\n";

static void check_browser(void)
{
    assert_true(head.request.upgrade_websocket);
    assert_string_equal(head.request.path, "/live.flv");
    assert_string_equal(head.request.query, "cam=front-door");
    assert_string_equal(head.request.origin, "https://dash.example");
    assert_string_equal(head.request.authorization, "Bearer abc");
    assert_string_equal(head.request.if_none_match, "\"1-2\"");
    assert_string_equal(head.request.websocket_version, "13");
    assert_string_equal(head.request.websocket_protocol, "flv, chat");
    assert_string_equal(head.request.websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
}

static void test_websocket(void **state)
{
    /* cut at every place, with a frame right behind the head */
    char bytes[sizeof(browser) + 4];
    memcpy(bytes, browser, sizeof(browser) - 1);
    memcpy(bytes + sizeof(browser) - 1, "\x81\x80xyz", 5);
    for (size_t cut = 0; cut < sizeof(browser) - 1; cut++) {
        size_t consumed;
        http_head_init(&head);
        assert_int_equal(http_head_feed(&head, bytes, cut, &consumed), 0);
        assert_int_equal(consumed, cut);
        assert_int_equal(http_head_feed(&head, bytes + cut, sizeof(bytes) - cut, &consumed), 1);
        assert_int_equal(consumed, sizeof(browser) - 1 - cut);
        check_browser();
        assert_int_equal(http_head_feed(&head, "x", 1, &consumed), 1);
        assert_int_equal(consumed, 0);
    }

    assert_int_equal(feed("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), 1);
    assert_false(head.request.upgrade_websocket);
    assert_int_equal(feed("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 1);
    assert_false(head.request.upgrade_websocket);
    assert_int_equal(feed("POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
                     1);
    assert_false(head.request.upgrade_websocket);
    assert_int_equal(
        feed("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n"), 1);
    assert_true(head.request.upgrade_websocket);
}

static void test_methods(void **state)
{
    static const struct {
        const char *text;
        enum request_method method;
    } methods[] = {{"GET", REQUEST_GET},       {"HEAD", REQUEST_HEAD},       {"POST", REQUEST_POST},
                   {"DELETE", REQUEST_DELETE}, {"OPTIONS", REQUEST_OPTIONS}, {"PUT", REQUEST_PUT},
                   {"PATCH", REQUEST_OTHER}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "%s /x HTTP/1.1\r\n\r\n", methods[i].text);
        assert_int_equal(feed(text), 1);
        assert_int_equal(head.request.method, methods[i].method);
    }
}

static void test_targets(void **state)
{
    assert_int_equal(feed("GET http://gw:8005/snapshot?cam=a HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.path, "/snapshot");
    assert_string_equal(head.request.query, "cam=a");
    assert_int_equal(feed("GET http://gw:8005?cam=a HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.path, "/");
    assert_string_equal(head.request.query, "cam=a");
    assert_int_equal(feed("GET http://gw HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.path, "/");
    assert_int_equal(feed("OPTIONS * HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.path, "*");
    assert_int_equal(feed("GET /? HTTP/1.0\r\n\r\n"), 1);
    assert_string_equal(head.request.query, "");
    assert_int_equal(feed("GET /\xc3\xbc?\xc3\xbc HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.query, "\xc3\xbc");
    assert_int_equal(feed("\r\n\r\nGET /\xc3\xbc HTTP/1.1\r\n\r\n"), 1);
    assert_string_equal(head.request.path, "/\xc3\xbc");
}

/* What two programs may read in two ways is refused, at whatever place the bytes are cut. */
static void test_ambiguous(void **state)
{
    static const char *const heads[] = {
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\r\nA: b\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\nA:\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
        "GET / RTSP/1.0\r\n\r\n",
        "DESCRIBE rtsp://h/ RTSP/1.0\r\n\r\n",
        "SOURCE /x ICE/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /\r\n\r\n",
        "G\xc3\xbcT / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        for (size_t cut = 1; cut < strlen(heads[i]); cut++) {
            http_head_init(&head);
            int rc = http_head_feed(&head, heads[i], cut, NULL);
            if (rc == 0)
                rc = http_head_feed(&head, heads[i] + cut, strlen(heads[i]) - cut, NULL);
            assert_int_equal(rc, -EBADMSG);
            assert_int_equal(head.error, HTTP_ERROR_BAD_REQUEST);
        }
    }
    /* no line of the head: what follows it may begin with a space */
    assert_int_equal(feed("GET / HTTP/1.1\r\n\r\n x"), 1);
}

/* A body is neither read nor waited for. */
static void test_body(void **state)
{
    static const char text[] = "POST /snapshot?cam=a HTTP/1.1\r\nContent-Length: 5\r\n"
                               "Expect: 100-continue\r\n\r\nhello";
    size_t consumed;
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, sizeof(text) - 1, &consumed), 1);
    assert_int_equal(consumed, sizeof(text) - 1 - 5);
    assert_int_equal(feed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 1);
}

static void fails(const char *text, enum http_error error)
{
    assert_int_equal(feed(text), -EBADMSG);
    assert_int_equal(head.error, error);
    assert_int_equal(http_head_feed(&head, "x", 1, NULL), -EBADMSG);
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / FTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nA(b: c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nOrigin: a\rb\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        fails(bad[i], HTTP_ERROR_BAD_REQUEST);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, "GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24, NULL), -EBADMSG);

    /* What came before the error can still be answered to. */
    assert_int_equal(feed("GET / HTTP/1.1\r\nOrigin: http://o\r\nA(b: c\r\n\r\n"), -EBADMSG);
    assert_string_equal(head.request.origin, "http://o");
}

static char big[HTTP_HEAD_MAX + 64];

static void test_target_limit(void **state)
{
    for (int over = 0; over <= 1; over++) {
        size_t n = (size_t)sprintf(big, "GET /");
        memset(big + n, 'a', HTTP_TARGET_MAX - 1 + (size_t)over);
        n += HTTP_TARGET_MAX - 1 + (size_t)over;
        (void)sprintf(big + n, " HTTP/1.1\r\n\r\n");
        assert_int_equal(feed(big), over ? -EBADMSG : 1);
        if (over)
            assert_int_equal(head.error, HTTP_ERROR_URI_TOO_LONG);
        else
            assert_int_equal(strlen(head.request.path), HTTP_TARGET_MAX);
    }
}

/* A client made up a list so long that what its proxy adds has no room: that is what counts. */
static void test_long_list_of_proxies(void **state)
{
    static const char begin[] = "GET / HTTP/1.1\r\nX-Forwarded-For: ";
    static const char end[] = ", 192.0.2.7";
    static char text[HTTP_HEAD_MAX];
    for (size_t made_up = HTTP_FORWARDED_MAX - 40; made_up < 4000; made_up += 7) {
        size_t len = sizeof(begin) - 1;
        memcpy(text, begin, len);
        for (size_t i = 0; i < made_up; i++)
            text[len++] = "10.0.0.1,"[i % 9];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\r\n\r\n", end);
        for (size_t piece = 1; piece <= len; piece = piece == 1    ? 97
                                                     : piece == 97 ? len
                                                                   : len + 1) {
            int rc = 0;
            http_head_init(&head);
            for (size_t at = 0; at < len && rc == 0; at += piece)
                rc = http_head_feed(&head, text + at, piece < len - at ? piece : len - at, NULL);
            assert_int_equal(rc, 1);
            const char *got = head.request.forwarded_for;
            size_t got_len = strlen(got);
            size_t whole = made_up + sizeof(end) - 1;
            assert_int_equal(got_len, whole < HTTP_FORWARDED_MAX ? whole : HTTP_FORWARDED_MAX - 1);
            assert_string_equal(got + got_len - (sizeof(end) - 1), end);
            assert_int_equal(got[0] == '?', whole >= HTTP_FORWARDED_MAX);
        }
    }
}

static void test_head_limit(void **state)
{
    for (size_t over = 0; over <= 1; over++) {
        static const char start[] = "GET / HTTP/1.1\r\nX: ";
        memset(big, 'a', sizeof(big));
        memcpy(big, start, sizeof(start) - 1);
        memcpy(big + HTTP_HEAD_MAX + over - 4, "\r\n\r\n", 4);
        http_head_init(&head);
        int rc = http_head_feed(&head, big, HTTP_HEAD_MAX + over, NULL);
        assert_int_equal(rc, over ? -EBADMSG : 1);
        assert_int_equal(head.error, over ? HTTP_ERROR_HEADER_TOO_LARGE : HTTP_ERROR_NONE);

        /* the same in pieces: never more than the limit is taken */
        http_head_init(&head);
        rc = 0;
        for (size_t i = 0; i < HTTP_HEAD_MAX + over && rc == 0; i += 1000) {
            size_t left = HTTP_HEAD_MAX + over - i;
            rc = http_head_feed(&head, big + i, left < 1000 ? left : 1000, NULL);
        }
        assert_int_equal(rc, over ? -EBADMSG : 1);
    }
}

static void test_long_values_count_as_absent(void **state)
{
    char text[2048];
    char value[IPC_HEADER_MAX + 1];
    memset(value, 'o', sizeof(value));
    value[IPC_HEADER_MAX] = '\0';
    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nOrigin: %s\r\nIf-None-Match: %s\r\n\r\n",
                   value, value + 1);
    assert_int_equal(feed(text), 1);
    assert_string_equal(head.request.origin, "");
    assert_string_equal(head.request.if_none_match, value + 1);

    http_head_init(&head);
    for (const char *c = text; *c != '\0'; c++)
        (void)http_head_feed(&head, c, 1, NULL);
    assert_true(head.complete);
    assert_string_equal(head.request.origin, "");
    assert_string_equal(head.request.if_none_match, value + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ffmpeg),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_target_limit),
        cmocka_unit_test(test_long_list_of_proxies),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_long_values_count_as_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
