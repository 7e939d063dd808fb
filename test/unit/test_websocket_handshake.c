/* master/websocket_handshake: what is accepted, and the exact answer. */
#include "master/websocket_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static struct http_request *request(const char *key, const char *protocol, const char *origin)
{
    static struct http_request r;
    memset(&r, 0, sizeof(r));
    (void)snprintf(r.websocket_version, sizeof(r.websocket_version), "13");
    (void)snprintf(r.websocket_key, sizeof(r.websocket_key), "%s", key);
    (void)snprintf(r.websocket_protocol, sizeof(r.websocket_protocol), "%s", protocol);
    (void)snprintf(r.origin, sizeof(r.origin), "%s", origin);
    return &r;
}

static void test_keys(void **state)
{
    static const char *const bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25j====",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBs-SBub25jZQ==",
        "dGhlIHNhbXBs\r\nub25jZQ==",
        "                        ",
    };
    (void)state;
    assert_null(websocket_handshake_fault(request(KEY, "", "")));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(strstr(websocket_handshake_fault(request(bad[i], "", "")), "Key"));
    struct http_request *old = request(KEY, "", "");
    old->websocket_version[1] = '2';
    assert_non_null(strstr(websocket_handshake_fault(old), "Version: 13"));
    /* a subprotocol may not end a line of the answer */
    static const char *const protocols[] = {"a\r\nX: 1", "a\"b", ",\x01"};
    for (size_t i = 0; i < 3; i++)
        assert_non_null(
            strstr(websocket_handshake_fault(request(KEY, protocols[i], "")), "Protocol"));
}

static void check(const char *protocol, const char *origin, const char *middle)
{
    char buf[HTTP_REPLY_MAX], want[1024];
    const struct http_request *r = request(KEY, protocol, origin);
    assert_null(websocket_handshake_fault(r));
    buf[websocket_handshake(buf, r)] = '\0';
    (void)snprintf(want, sizeof(want),
                   "HTTP/1.1 101 Switching Protocols\r\n"
                   "Upgrade: websocket\r\n"
                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" /* section 1.3 */
                   "%s"
                   "Cross-Origin-Resource-Policy: cross-origin\r\n"
                   "Connection: Upgrade\r\n\r\n",
                   middle);
    assert_string_equal(want, buf);
}

static void test_answer(void **state)
{
    char longest[IPC_HEADER_MAX] = "";
    (void)state;
    check("", "", "Access-Control-Allow-Origin: *\r\n");
    check(", ,", "", "Access-Control-Allow-Origin: *\r\n");
    check("flv", "https://a.example",
          "Sec-WebSocket-Protocol: flv\r\n"
          "Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n");
    check(" , one, two", "", "Sec-WebSocket-Protocol: one\r\nAccess-Control-Allow-Origin: *\r\n");
    memset(longest, 'p', sizeof(longest) - 1);
    char middle[IPC_HEADER_MAX + 128];
    (void)snprintf(middle, sizeof(middle),
                   "Sec-WebSocket-Protocol: %s\r\nAccess-Control-Allow-Origin: *\r\n", longest);
    check(longest, "", middle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
