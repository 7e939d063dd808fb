/* Requests to a server with two named cameras.  For the unit tests of master/route. */
#ifndef TEST_ROUTE_RIG_H
#define TEST_ROUTE_RIG_H

#include "master/conf_file.h"
#include "master/conf_option.h"
#include "master/route.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;
static struct http_head head;
static struct route out;

static const char ini[] = "[camera \"front-door\"]\n"
                          "url = rtsp://admin:secret@10.0.0.9/stream1\n"
                          "type = rtsp-udp\n"
                          "[camera \"gate\"]\n"
                          "url = rtmp://10.0.0.8/live/gate\n"
                          "sub = rtsp://u:s3cret@10.0.0.8/gate-small\n"
                          "sub_type = rtsp-udp\n";

static inline int setup(void **state)
{
    char text[512];
    conf_option_set_defaults(&conf);
    return conf_read(&conf, "test", ini, sizeof(ini) - 1, text, sizeof(text));
}

static inline int teardown(void **state)
{
    conf_free(&conf);
    return 0;
}

static inline int route_with(enum route_port port, const char *method, const char *target,
                             const char *headers)
{
    static char text[HTTP_HEAD_MAX];
    int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: gw\r\n%s\r\n", method, target,
                     headers);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, (size_t)n, NULL), 1);
    memset(&out, 0xee, sizeof(out));
    int rc = route_request(&conf, port, &head.request, &out);
    assert_int_equal(rc, out.kind == ROUTE_ERROR ? -EINVAL : 0);
    assert_true(strlen(out.message) < sizeof(out.message));
    return rc;
}

static inline int get(const char *target)
{
    return route_with(ROUTE_PORT_STREAM, "GET", target, "");
}

static inline int get_snapshot(const char *target)
{
    return route_with(ROUTE_PORT_SNAPSHOT, "GET", target, "");
}

static inline void assert_error(enum http_error error, const char *in_message)
{
    assert_int_equal(out.kind, ROUTE_ERROR);
    assert_string_equal(http_error_code(out.error), http_error_code(error));
    if (strstr(out.message, in_message) == NULL)
        print_error("message: %s\n", out.message);
    assert_non_null(strstr(out.message, in_message));
}

#endif /* TEST_ROUTE_RIG_H */
