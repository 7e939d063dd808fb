/* worker/rtsp/rtsp_tunnel: RTSP over HTTP, its two requests and the answer. */
#include "worker/rtsp/rtsp_tunnel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rtsp_tunnel tunnel;
static char request[RTSP_TUNNEL_REQUEST_MAX];

static void start(const char *text)
{
    struct camera_url url;
    const char *reason;
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    rtsp_tunnel_init(&tunnel, &url, 0x1234);
    assert_true(rtsp_tunnel_request(&tunnel, false, request) > 0);
}

static enum rtsp_tunnel_answer answer(const char *text, size_t *used)
{
    return rtsp_tunnel_read(&tunnel, (const uint8_t *)text, strlen(text), used);
}

static void test_requests(void **state)
{
    (void)state;
    start("rtsph://user:pw@[fe80::1]:8080/cam?x=1");
    assert_ptr_equal(strstr(request, "GET /cam?x=1 HTTP/1.0\r\nHost: [fe80::1]:8080\r\n"), request);
    assert_non_null(strstr(request, "\r\nAccept: application/x-rtsp-tunnelled\r\n"));
    const char *cookie = strstr(request, "\r\nx-sessioncookie: ");
    assert_non_null(cookie);
    assert_null(strstr(request, "Authorization"));
    assert_string_equal(request + strlen(request) - 4, "\r\n\r\n");

    char line[64];
    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(cookie + 2, "\r"), cookie + 2);
    assert_true(rtsp_tunnel_request(&tunnel, true, request) > 0);
    assert_ptr_equal(strstr(request, "POST /cam?x=1 HTTP/1.0\r\n"), request);
    assert_non_null(strstr(request, line)); /* they belong together */
    assert_non_null(strstr(request, "\r\nContent-Type: application/x-rtsp-tunnelled\r\n"));
    assert_non_null(strstr(request, "\r\nContent-Length: "));

    start("rtsph://h");
    assert_ptr_equal(strstr(request, "GET / HTTP/1.0\r\nHost: h:80\r\n"), request);
}

static void test_open(void **state)
{
    static const char text[] = "HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n"
                               "Content-Length: 99999\r\n\r\n";
    size_t used = 0;
    (void)state;
    start("rtsph://h/s");
    assert_int_equal(answer(text, &used), RTSP_TUNNEL_OPEN);
    assert_int_equal(used, strlen(text));

    start("rtsph://h/s"); /* in pieces, and with something behind */
    for (size_t i = 0; i + 1 < strlen(text); i++)
        assert_int_equal(rtsp_tunnel_read(&tunnel, (const uint8_t *)text + i, 1, &used),
                         RTSP_TUNNEL_MORE);
    assert_int_equal(answer("\nRTSP/1.0", &used), RTSP_TUNNEL_OPEN);
    assert_int_equal(used, 1);

    start("rtsph://h/s"); /* bare line feeds */
    assert_int_equal(answer("HTTP/1.0 200 OK\nServer: a\n\n$\r\n\r\n", &used), RTSP_TUNNEL_OPEN);
    assert_int_equal(used, 27);
}

static void test_password(void **state)
{
    static const char refusal[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 20\r\n"
                                  "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n";
    size_t used = 0;
    (void)state;
    start("rtsph://user:pw@h/s");
    assert_int_equal(answer(refusal, &used), RTSP_TUNNEL_AGAIN);
    assert_true(rtsp_tunnel_request(&tunnel, false, request) > 0);
    assert_non_null(strstr(request, "Authorization: Digest username=\"user\""));
    assert_non_null(strstr(request, "uri=\"/s\""));
    assert_int_equal(answer("HTTP/1.0 200 OK\r\n\r\n", &used), RTSP_TUNNEL_OPEN);
    assert_true(rtsp_tunnel_request(&tunnel, true, request) > 0);
    assert_non_null(strstr(request, "Authorization: Digest username=\"user\""));

    start("rtsph://user:wrong@h/s");
    assert_int_equal(answer(refusal, &used), RTSP_TUNNEL_AGAIN);
    assert_true(rtsp_tunnel_request(&tunnel, false, request) > 0);
    assert_int_equal(answer(refusal, &used), RTSP_TUNNEL_REFUSED);
    assert_int_equal(rtsp_tunnel_error(&tunnel), HTTP_ERROR_CAMERA_UNAUTHORIZED);
}

/* The POST alone is asked for a password, or for another nonce than the GET. */
static void test_password_for_post(void **state)
{
    size_t used = 0;
    (void)state;
    start("rtsph://user:pw@h/s");
    assert_int_equal(answer("HTTP/1.0 200 OK\r\n\r\n", &used), RTSP_TUNNEL_OPEN);
    for (int i = 0; i < 2; i++) {
        assert_true(rtsp_tunnel_request(&tunnel, true, request) > 0);
        rtsp_tunnel_remember(&tunnel, (const uint8_t *)"DESCRIBE", 8);
        char refusal[100];
        (void)snprintf(refusal, sizeof(refusal),
                       "HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", "
                       "nonce=\"n%d\"\r\n\r\n",
                       i);
        assert_int_equal(answer(refusal, &used), RTSP_TUNNEL_AGAIN);
        assert_true(rtsp_tunnel_request(&tunnel, true, request) > 0);
        assert_non_null(strstr(request, i == 0 ? "nonce=\"n0\"" : "nonce=\"n1\""));
        assert_int_equal(answer("HTTP/1.0 200 OK\r\n\r\n", &used), RTSP_TUNNEL_OPEN);
    }
    assert_int_equal(tunnel.unheard_len, 16);
    assert_memory_equal(tunnel.unheard, "DESCRIBEDESCRIBE", 16);
    rtsp_tunnel_hear(&tunnel);
    rtsp_tunnel_remember(&tunnel, (const uint8_t *)"SETUP", 5);
    assert_int_equal(tunnel.unheard_len, 0);
    assert_false(tunnel.unheard_lost);
}

static void test_too_much_to_remember(void **state)
{
    (void)state;
    start("rtsph://h/s");
    for (size_t i = 0; i < sizeof(tunnel.unheard) / 100; i++)
        rtsp_tunnel_remember(&tunnel, (const uint8_t *)request, 100);
    assert_false(tunnel.unheard_lost);
    rtsp_tunnel_remember(&tunnel, (const uint8_t *)request, 100);
    rtsp_tunnel_remember(&tunnel, (const uint8_t *)request, 1);
    assert_true(tunnel.unheard_lost);
}

static void test_refused(void **state)
{
    static char big[RTSP_TUNNEL_HEAD_MAX + 1];
    static const struct {
        const char *text;
        enum http_error error;
    } cases[] = {
        {"HTTP/1.0 404 Not Found\r\n\r\n", HTTP_ERROR_CAMERA_NOT_FOUND},
        {"HTTP/1.0 403 Forbidden\r\n\r\n", HTTP_ERROR_CAMERA_UNAUTHORIZED},
        {"HTTP/1.0 500 Oops\r\n\r\n", HTTP_ERROR_CAMERA_UNREACHABLE},
        {"HTTP/1.0 2x0 OK\r\n\r\n", HTTP_ERROR_CAMERA_UNREACHABLE},
        {"SSH-2.0-OpenSSH\r\n\r\n", HTTP_ERROR_CAMERA_UNREACHABLE},
        {"\r\n\r\n", HTTP_ERROR_CAMERA_UNREACHABLE},
        {big, HTTP_ERROR_CAMERA_UNREACHABLE},
    };
    size_t used = 0;
    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start("rtsph://h/s");
        assert_int_equal(answer(cases[i].text, &used), RTSP_TUNNEL_REFUSED);
        assert_int_equal(rtsp_tunnel_error(&tunnel), cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_password_for_post),
        cmocka_unit_test(test_too_much_to_remember),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("rtsp_tunnel", tests, NULL, NULL);
}
