/* master/camera_body: what PUT /api/cameras/NAME accepts, and why it refuses the rest. */
#include "master/camera_body.h"

#include "common/camera_access.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ipc_access access_rule = {.mode = IPC_ACCESS_ANY};
static struct conf_camera camera;
static struct camera_fault fault;

static int read_body(const char *body)
{
    return camera_body_read("gate", body, strlen(body), &access_rule, &camera, &fault);
}

static void read_ok(const char *body)
{
    int rc = read_body(body);
    if (rc != 0)
        print_error("%s: %s\n", body, fault.message);
    assert_int_equal(rc, 0);
}

static void read_fails(const char *body, enum http_error error, const char *message)
{
    static const struct conf_camera empty;
    assert_int_equal(read_body(body), -EINVAL);
    assert_int_equal(fault.error, error);
    assert_non_null(strstr(fault.message, message));
    assert_memory_equal(&camera, &empty, sizeof(empty)); /* no password stays behind */
}

static void test_whole(void **state)
{
    read_ok("{\"camera_url\": \" 'rtsp://admin:p@ss#1@10.0.0.9/a' \", \"cam_type\": \"rtsp-udp\","
            " \"title\": \" 大门 \", \"always_on\": true}");
    assert_string_equal(camera.name, "gate");
    assert_string_equal(camera.url.password, "p@ss#1");
    assert_string_equal(camera.key, "rtsp://admin:p%40ss%231@10.0.0.9/a");
    assert_string_equal(camera.title, "大门");
    assert_int_equal(camera.transport, IPC_TRANSPORT_RTSP_UDP);
    assert_true(camera.always_on);
    assert_true(camera.saved);
}

static void test_least(void **state)
{
    read_ok("{\"camera_url\": \"rtmp://h/live\"}");
    assert_int_equal(camera.transport, IPC_TRANSPORT_RTMP);
    assert_string_equal(camera.title, "");
    assert_false(camera.always_on);
    read_ok("{\"camera_url\": \"rtsp://h/\", \"cam_type\": null, \"title\": null, "
            "\"always_on\": null}");
    assert_int_equal(camera.transport, IPC_TRANSPORT_RTSP_TCP);
}

/* What GET /api/cameras shows can be sent back, but for a password that it hides. */
static void test_as_shown(void **state)
{
    read_ok("{\"name\": \"gate\", \"title\": null, \"camera_url\": \"http://h/x.flv\", "
            "\"cam_type\": \"http-flv\", \"always_on\": false, \"saved\": true, "
            "\"group\": \"Gate\", \"state\": \"backoff\", \"since\": null, \"reason\": null, "
            "\"down_since\": null, \"last_frame_at\": \"2026-11-27T11:40:55Z\", \"viewers\": 3}");
    assert_string_equal(camera.group, "Gate");
    read_fails("{\"camera_url\": \"rtsp://***@h/\"}", HTTP_ERROR_BAD_CAMERA_URL, "*** stands for");
    read_fails("{\"camera_url\": \"rtsp://h/\", \"name\": \"other\"}", HTTP_ERROR_BAD_PARAMETER,
               "name: ");
    read_fails("{\"camera_url\": \"rtsp://h/\", \"saved\": false}", HTTP_ERROR_BAD_PARAMETER,
               "saved: ");
}

static void test_sub(void **state)
{
    read_ok("{\"camera_url\": \"rtsp://h/1\", \"sub\": \" 'rtsp://u:p@ss@H/2' \", "
            "\"sub_type\": \"rtsp-udp\"}");
    assert_string_equal(camera.sub_key, "rtsp://u:p%40ss@h/2");
    assert_int_equal(camera.sub_transport, IPC_TRANSPORT_RTSP_UDP);
    assert_int_equal(camera.transport, IPC_TRANSPORT_RTSP_TCP);
    read_ok("{\"camera_url\": \"rtsp://h/1\", \"sub\": \"rtmp://h/2\", \"sub_type\": null}");
    assert_int_equal(camera.sub_transport, IPC_TRANSPORT_RTMP);
    /* none, and as GET shows it */
    read_ok("{\"camera_url\": \"rtsp://h/1\", \"sub\": \"\", \"sub_type\": \"\"}");
    assert_string_equal(camera.sub_key, "");
    read_ok("{\"camera_url\": \"rtsp://h/1\", \"sub\": {\"camera_url\": \"http://h/2.flv\", "
            "\"cam_type\": \"http-flv\", \"state\": \"unwatched\", \"since\": null, "
            "\"reason\": null, \"down_since\": null, \"last_frame_at\": null, \"viewers\": 0}}");
    assert_string_equal(camera.sub_key, "http://h/2.flv");
    assert_int_equal(camera.sub_transport, IPC_TRANSPORT_HTTP_FLV);
}

/* @param members  what follows camera_url. */
static void sub_fails(const char *members, enum http_error error, const char *message)
{
    char body[512];
    (void)snprintf(body, sizeof(body), "{\"camera_url\": \"rtsp://u:p@10.0.0.9/\", %s}", members);
    read_fails(body, error, message);
}

static void test_subs_that_are_refused(void **state)
{
    sub_fails("\"sub\": 5", HTTP_ERROR_BAD_PARAMETER, "sub: the sub-stream's URL");
    sub_fails("\"sub\": []", HTTP_ERROR_BAD_PARAMETER, "sub: the sub-stream's URL");
    sub_fails("\"sub\": {}", HTTP_ERROR_BAD_CAMERA_URL, "sub.camera_url: the camera's URL");
    sub_fails("\"sub\": \" \"", HTTP_ERROR_BAD_CAMERA_URL, "sub: ");
    sub_fails("\"sub\": \"rtsp://\"", HTTP_ERROR_BAD_CAMERA_URL, "sub: no valid host");
    sub_fails("\"sub\": \"ftp://h/\"", HTTP_ERROR_UNSUPPORTED_SCHEME, "sub: scheme");
    sub_fails("\"sub\": \"rtsp://h/a\\nurl = rtsp://i/\"", HTTP_ERROR_BAD_CAMERA_URL, "control");
    sub_fails("\"sub\": \"rtsp://***@h/\"", HTTP_ERROR_BAD_CAMERA_URL, "sub: *** stands for");
    sub_fails("\"sub\": {\"camera_url\": \"rtsp://***@h/\"}", HTTP_ERROR_BAD_CAMERA_URL,
              "sub.camera_url: *** stands for");
    sub_fails("\"sub\": {\"camera_url\": \"rtsp://h/\", \"cam_type\": \"rtmp\"}",
              HTTP_ERROR_BAD_PARAMETER, "sub.cam_type: rtsp-tcp");
    sub_fails("\"sub\": {\"camera_url\": \"rtsp://h/\", \"rtsp://u:secret@h/\": 1}",
              HTTP_ERROR_BAD_PARAMETER, "sub: it has an unknown member");
    sub_fails("\"sub\": {\"camera_url\": \"rtsp://h/\"}, \"sub_type\": \"rtsp-udp\"",
              HTTP_ERROR_BAD_PARAMETER, "sub_type: accepted if sub is a string");
    sub_fails("\"sub\": \"rtsps://h/\", \"sub_type\": \"rtsp-udp\"", HTTP_ERROR_BAD_PARAMETER,
              "sub_type: rtsp-tcp");
    sub_fails("\"sub_type\": \"rtsp-udp\"", HTTP_ERROR_BAD_PARAMETER, "sub_type: sub is needed");
    sub_fails("\"sub\": null, \"sub_type\": 1", HTTP_ERROR_BAD_PARAMETER, "sub_type: sub is");
    assert_int_equal(camera_access_parse("10.0.0.0/8", &access_rule), 0);
    sub_fails("\"sub\": \"rtsp://192.0.2.1/\"", HTTP_ERROR_CAMERA_NOT_ALLOWED, "sub: this server");
    assert_int_equal(camera_access_parse("any", &access_rule), 0);
}

/* The file refuses longer names, and could not be read any more. */
static void test_name_of_a_camera_with_a_sub(void **state)
{
    static const char body[] = "{\"camera_url\": \"rtsp://h/\", \"sub\": \"rtsp://h/2\"}";
    char name[IPC_CAMERA_ID_MAX] = "";
    memset(name, 'x', 60);
    assert_int_equal(camera_body_read(name, body, strlen(body), &access_rule, &camera, &fault),
                     -EINVAL);
    assert_non_null(strstr(fault.message, "sub: names of up to 59 characters"));
    name[59] = '\0';
    assert_int_equal(camera_body_read(name, body, strlen(body), &access_rule, &camera, &fault), 0);
}

static void test_no_object(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "\"rtsp://h/\"",
        "{\"camera_url\": \"rtsp://h/\"} x",
        "{\"camera_url\": \"rtsp://h/\", \"camera_url\": \"rtsp://i/\"}",
        "{\"camera_url\": \"rtsp://h/\\u0000x\"}",
        "{\"camera_url\": \"rtsp://h/\xff\"}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        read_fails(bodies[i], HTTP_ERROR_BAD_REQUEST, "JSON object");
}

static void test_urls(void **state)
{
    read_fails("{}", HTTP_ERROR_BAD_CAMERA_URL, "camera_url: the camera's URL is needed");
    read_fails("{\"camera_url\": 5}", HTTP_ERROR_BAD_CAMERA_URL, "camera_url: ");
    read_fails("{\"camera_url\": \"\"}", HTTP_ERROR_BAD_CAMERA_URL, "camera_url: ");
    read_fails("{\"camera_url\": \"rtsp://\"}", HTTP_ERROR_BAD_CAMERA_URL, "no valid host");
    read_fails("{\"camera_url\": \"ftp://h/\"}", HTTP_ERROR_UNSUPPORTED_SCHEME, "scheme: ");
    read_fails("{\"camera_url\": \"rtsp://h/a\\nurl = rtsp://i/\"}", HTTP_ERROR_BAD_CAMERA_URL,
               "control character");
}

static void test_other_members(void **state)
{
    read_fails("{\"camera_url\": \"rtsp://h/\", \"cam_type\": \"rtmp\"}", HTTP_ERROR_BAD_PARAMETER,
               "cam_type: rtsp-tcp");
    read_fails("{\"camera_url\": \"rtsp://h/\", \"cam_type\": 1}", HTTP_ERROR_BAD_PARAMETER,
               "cam_type: ");
    read_fails("{\"camera_url\": \"rtsp://h/\", \"always_on\": \"yes\"}", HTTP_ERROR_BAD_PARAMETER,
               "always_on: true or false");
    read_fails("{\"camera_url\": \"rtsp://h/\", \"url\": 1}", HTTP_ERROR_BAD_PARAMETER,
               "url: unknown; camera_url, cam_type, title, group, always_on, sub and sub_type");
    /* what may be a URL in the wrong place is not repeated */
    read_fails("{\"rtsp://u:secret@h/\": 1}", HTTP_ERROR_BAD_PARAMETER, "a member: unknown");
}

static void test_titles(void **state)
{
    static const char *const bad[] = {"a ;b", ";b", "a\\nb", "\\u001b[1m"};
    char body[512], title[129] = "";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(body, sizeof(body), "{\"camera_url\": \"rtsp://h/\", \"title\": \"%s\"}",
                       bad[i]);
        read_fails(body, HTTP_ERROR_BAD_PARAMETER, "title: up to 127 bytes");
    }
    memset(title, 'x', 128);
    (void)snprintf(body, sizeof(body), "{\"camera_url\": \"rtsp://h/\", \"title\": \"%s\"}", title);
    read_fails(body, HTTP_ERROR_BAD_PARAMETER, "title: up to 127 bytes");
    title[127] = '\0';
    (void)snprintf(body, sizeof(body), "{\"camera_url\": \"rtsp://h/\", \"title\": \"%s\"}", title);
    read_ok(body);
    read_ok("{\"camera_url\": \"rtsp://h/\", \"title\": \"a;b \\\"c\\\" # [d] = e\"}");
}

/* A list holds for saved cameras; `named` is for those that viewers name by URL. */
static void test_access(void **state)
{
    assert_int_equal(camera_access_parse("10.0.0.0/8, *.lan", &access_rule), 0);
    read_ok("{\"camera_url\": \"rtsp://cam.lan/\"}");
    read_fails("{\"camera_url\": \"rtsp://cam.example/\"}", HTTP_ERROR_CAMERA_NOT_ALLOWED,
               "this host");
    assert_int_equal(camera_access_parse("named", &access_rule), 0);
    read_ok("{\"camera_url\": \"rtsp://cam.example/\"}");
    assert_int_equal(camera_access_parse("any", &access_rule), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_as_shown),
        cmocka_unit_test(test_no_object),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_other_members),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_sub),
        cmocka_unit_test(test_subs_that_are_refused),
        cmocka_unit_test(test_name_of_a_camera_with_a_sub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
