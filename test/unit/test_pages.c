/* master/pages: what the page's files are sent as.  What they do is tested in a browser. */
#include "master/pages.h"

#include "common/http_reply.h"
#include "master/web_assets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pages_ports ports = {8005, 8006};
static struct http_request request;
static char head[HTTP_REPLY_MAX + 1];
static const unsigned char *body;
static size_t body_len;

static void get(const char *path, const char *accept_encoding, const char *if_none_match)
{
    request.path = path;
    (void)snprintf(request.accept_encoding, sizeof(request.accept_encoding), "%s", accept_encoding);
    (void)snprintf(request.if_none_match, sizeof(request.if_none_match), "%s", if_none_match);
    size_t n = pages_reply(head, &request, &ports, &body, &body_len);
    assert_true(n > 0 && n <= HTTP_REPLY_MAX);
    head[n] = '\0';
}

static void assert_head(const char *line)
{
    if (strstr(head, line) == NULL)
        print_error("%s\n", head);
    assert_non_null(strstr(head, line));
}

static void test_every_asset(void **state)
{
    static const char *const paths[] = {"/",
                                        "/play",
                                        "/assets/style.css",
                                        "/assets/favicon.svg",
                                        "/assets/mpegts.js",
                                        "/assets/dashboard.js",
                                        "/assets/play.js"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_true(pages_exists(paths[i]));
    assert_false(pages_exists("/assets/"));
    assert_false(pages_exists("/index.html"));
    assert_false(pages_exists("/assets/../assets/style.css"));

    for (size_t i = 0; i < web_asset_count; i++) {
        const struct web_asset *a = &web_assets[i];
        char line[128];
        assert_true(a->len > 0 && a->gzip_len > 0 && a->data[a->len] == '\0');
        get(a->path, "", "");
        assert_head("HTTP/1.1 200 OK\r\n");
        (void)snprintf(line, sizeof(line), "Content-Type: %s\r\n", a->type);
        assert_head(line);
        (void)snprintf(line, sizeof(line), "Content-Length: %zu\r\n", a->len);
        assert_head(line);
        bool page = strncmp(a->type, "text/html", 9) == 0;
        assert_head(page ? "Cache-Control: no-store\r\n" : "Cache-Control: no-cache\r\n");
        assert_head("default-src 'none'; script-src 'self'; style-src 'self'; ");
        assert_head("connect-src 'self' http://*:8006 https://*:8006 ws://*:8005 wss://*:8005; ");
        assert_head("X-Content-Type-Options: nosniff\r\n");
        assert_null(strstr(head, "Content-Encoding"));
        assert_null(strstr(head, "unsafe"));
        assert_ptr_equal(a->data, body);
        assert_int_equal(a->len, body_len);
    }
}

/* The page compares it with that of the document it was made of. */
static void test_version(void **state)
{
    static const char meta[] = "<meta name=\"version\" content=\"";

    get("/", "", "");
    const char *version = strstr((const char *)body, meta);
    assert_non_null(version);
    version += sizeof(meta) - 1;
    assert_int_equal(16, strspn(version, "0123456789abcdef"));
    assert_int_equal('"', version[16]);
}

static void test_compression(void **state)
{
    static const char *const yes[] = {"gzip", "deflate, gzip, br", "GZIP;q=0.5", "br,gzip"};
    static const char *const no[] = {"", "br", "gzip;q=0", "gzip;q=0.00", "xgzip", "gzipx"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        get("/assets/mpegts.js", yes[i], "");
        assert_head("Content-Encoding: gzip\r\n");
        assert_head("Vary: Accept-Encoding\r\n");
        assert_int_equal(0x1f, body[0]);
        assert_int_equal(0x8b, body[1]);
        assert_true(body_len < 100000);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        get("/assets/mpegts.js", no[i], "");
        assert_null(strstr(head, "Content-Encoding"));
        assert_true(body_len > 100000);
    }
}

static void test_revalidation(void **state)
{
    const struct web_asset *a = &web_assets[0];
    char list[128];

    get(a->path, "gzip", a->etag);
    assert_head("HTTP/1.1 304 Not Modified\r\n");
    assert_head(a->etag);
    assert_null(strstr(head, "Content-Length"));
    assert_int_equal(0, body_len);
    (void)snprintf(list, sizeof(list), "\"x\", %s", a->etag);
    get(a->path, "", list);
    assert_head("HTTP/1.1 304 Not Modified\r\n");
    get(a->path, "", "*");
    assert_head("HTTP/1.1 304 Not Modified\r\n");
    get(a->path, "", "W/\"0123456789abcdef\"");
    assert_head("HTTP/1.1 200 OK\r\n");
}

static void test_head_and_config(void **state)
{
    get("/assets/config.json", "gzip", "");
    assert_head("Content-Type: application/json\r\n");
    assert_head("Cache-Control: no-store\r\n");
    assert_non_null(strstr(head, "\r\n\r\n{\"flv_port\":8005,\"snapshot_port\":8006}\n"));
    assert_int_equal(0, body_len);

    request.method = REQUEST_HEAD;
    get("/", "", "");
    assert_head("Content-Length: ");
    assert_int_equal(0, body_len);
    get("/assets/config.json", "", "");
    assert_null(strstr(head, "{"));
    request.method = REQUEST_GET;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_asset),     cmocka_unit_test(test_version),
        cmocka_unit_test(test_compression),     cmocka_unit_test(test_revalidation),
        cmocka_unit_test(test_head_and_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
