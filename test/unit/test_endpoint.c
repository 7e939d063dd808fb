/* master/endpoint: the table of paths, and the texts that are made of it. */
#include "master/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_methods(enum route_port port, const char *path, const char *expected)
{
    char text[ENDPOINT_METHODS_MAX];
    endpoint_list_methods(endpoint_methods(port, path), text);
    assert_string_equal(text, expected);
}

/* Rows of the same path are one endpoint to a client. */
static void test_methods(void **state)
{
    assert_methods(ROUTE_PORT_STREAM, "/", "GET, HEAD, OPTIONS");
    assert_methods(ROUTE_PORT_STREAM, "/a/b.flv", "GET, HEAD, OPTIONS");
    assert_methods(ROUTE_PORT_STREAM, "/assets/style.css", "GET, HEAD, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/snapshot", "GET, HEAD, POST, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/streams/x", "GET, HEAD, DELETE, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/streams", "GET, HEAD, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/cameras", "GET, HEAD, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/cameras/x", "PUT, DELETE, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/cameras/restart", "PUT, DELETE, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/streams/x/restart", "POST, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/streams/restart", "GET, HEAD, DELETE, OPTIONS");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/api/streams/restart/restart", "POST, OPTIONS");
}

static void test_no_such_path(void **state)
{
    assert_methods(ROUTE_PORT_STREAM, "/snapshot", "");
    assert_methods(ROUTE_PORT_STREAM, "/assets/", "");
    assert_methods(ROUTE_PORT_STREAM, "/assets/no.css", "");
    assert_methods(ROUTE_PORT_STREAM, "*", "");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/", "");
    assert_methods(ROUTE_PORT_SNAPSHOT, "/snapshots", "");
    assert_methods(ROUTE_PORT_SNAPSHOT, "", "");
}

static void test_kinds(void **state)
{
    static const struct {
        enum route_port port;
        const char *path;
        enum request_method method;
        enum route_kind kind;
    } cases[] = {
        {ROUTE_PORT_STREAM, "/", REQUEST_GET, ROUTE_STREAM},
        {ROUTE_PORT_STREAM, "/.flv", REQUEST_HEAD, ROUTE_STREAM},
        {ROUTE_PORT_STREAM, "/play", REQUEST_GET, ROUTE_PAGE},
        {ROUTE_PORT_STREAM, "/assets/config.json", REQUEST_GET, ROUTE_PAGE},
        {ROUTE_PORT_SNAPSHOT, "/snapshot", REQUEST_POST, ROUTE_SNAPSHOT},
        {ROUTE_PORT_SNAPSHOT, "/mjpeg", REQUEST_GET, ROUTE_MJPEG},
        {ROUTE_PORT_SNAPSHOT, "/healthz", REQUEST_HEAD, ROUTE_HEALTHZ},
        {ROUTE_PORT_SNAPSHOT, "/metrics", REQUEST_GET, ROUTE_METRICS},
        {ROUTE_PORT_SNAPSHOT, "/api/cameras", REQUEST_GET, ROUTE_API_CAMERAS},
        {ROUTE_PORT_SNAPSHOT, "/api/cameras/x", REQUEST_PUT, ROUTE_API_SAVE},
        {ROUTE_PORT_SNAPSHOT, "/api/cameras/x", REQUEST_DELETE, ROUTE_API_REMOVE},
        {ROUTE_PORT_SNAPSHOT, "/api/streams", REQUEST_GET, ROUTE_API_STREAMS},
        {ROUTE_PORT_SNAPSHOT, "/api/streams/x", REQUEST_GET, ROUTE_API_STREAM},
        {ROUTE_PORT_SNAPSHOT, "/api/streams/x", REQUEST_DELETE, ROUTE_API_STOP},
        {ROUTE_PORT_SNAPSHOT, "/api/streams/x/restart", REQUEST_POST, ROUTE_API_RESTART},
        {ROUTE_PORT_SNAPSHOT, "/api/streams/restart", REQUEST_GET, ROUTE_API_STREAM},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(endpoint_kind(cases[i].port, cases[i].path, cases[i].method),
                         cases[i].kind);
}

static void test_list_of_paths(void **state)
{
    char text[ENDPOINT_PATHS_MAX];
    endpoint_list_paths(ROUTE_PORT_STREAM, text);
    assert_string_equal(text, "/, *.flv and /play");
    endpoint_list_paths(ROUTE_PORT_SNAPSHOT, text);
    assert_string_equal(text, "/snapshot, /mjpeg, /healthz, /metrics, /api/cameras, "
                              "/api/cameras/NAME, "
                              "/api/signature, /api/streams and /api/streams/ID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_no_such_path),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_list_of_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
