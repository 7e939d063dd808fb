/* master/api: the JSON of /api/…, and that no password is in it. */
#include "master/api.h"

#include "common/clock.h"
#include "master/conf_file.h"
#include "master/conf_option.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;

static int setup(void **state)
{
    static const char text[] = "[camera \"gate\"]\nurl = rtsp://admin:hunter2@10.0.0.9/s\n"
                               "always_on = yes\n[camera \"yard\"]\nurl = rtmp://10.0.0.8/live/x\n";
    char error[512];
    conf_option_set_defaults(&conf);
    return conf_read(&conf, "test", text, sizeof(text) - 1, error, sizeof(error));
}

static int teardown(void **state)
{
    conf_free(&conf);
    return 0;
}

static json_t *take(char *text)
{
    assert_non_null(text);
    assert_null(strstr(text, "hunter2"));
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void assert_text(const char *want, const json_t *object, const char *name)
{
    assert_string_equal(want, json_string_value(json_object_get(object, name)));
}

static void test_cameras(void **state)
{
    json_t *top = take(api_cameras(&conf));
    json_t *list = json_object_get(top, "cameras");
    assert_int_equal(2, json_array_size(list));
    json_t *gate = json_array_get(list, 0), *yard = json_array_get(list, 1);
    assert_text("gate", gate, "name");
    assert_text("rtsp://***@10.0.0.9/s", gate, "camera_url");
    assert_text("rtsp-tcp", gate, "cam_type");
    assert_true(json_is_true(json_object_get(gate, "always_on")));
    assert_text("rtmp://10.0.0.8/live/x", yard, "camera_url");
    assert_true(json_is_false(json_object_get(yard, "always_on")));
    json_decref(top);
}

static void fill(struct camera *cam, const char *id, const char *key)
{
    memset(cam, 0, sizeof(*cam));
    (void)snprintf(cam->id, sizeof(cam->id), "%s", id);
    (void)snprintf(cam->key, sizeof(cam->key), "%s", key);
    (void)snprintf(cam->shown, sizeof(cam->shown), "rtsp://***@10.0.0.9/s");
    cam->state_since_ms = clock_ms() - 60000;
}

static void test_streams(void **state)
{
    struct camera named, other;
    const struct camera *items[] = {&named, &other};
    struct camera_list list = {items, 0};

    json_t *top = take(api_streams(&conf, &list));
    assert_int_equal(0, json_array_size(json_object_get(top, "streams")));
    json_decref(top);

    fill(&named, "gate", "rtsp://admin:hunter2@10.0.0.9/s");
    named.worker = (struct worker *)(uintptr_t)8; /* only compared with NULL */
    named.state.state = IPC_CAMERA_STREAMING;
    named.state.restarts = 3;
    named.stats.video_codec = 0x68766331;
    named.stats.audio_codec = 0x6d703461;
    named.stats.width = 1280;
    named.stats.height = 720;
    named.stats.frame_rate_mhz = 12500;
    named.stats.viewers = 7;
    named.bit_rate_bps = 4000000;
    fill(&other, "0123456789abcdef", "rtsp://10.0.0.7/s");
    other.refusal = HTTP_ERROR_CAMERA_UNAUTHORIZED;
    other.refused_until_ms = clock_ms() + 60000;
    list.count = 2;

    top = take(api_streams(&conf, &list));
    json_t *one = json_array_get(json_object_get(top, "streams"), 0);
    assert_text("gate", one, "id");
    assert_text("gate", one, "name");
    assert_text("streaming", one, "state");
    assert_text("H.265", one, "video_codec");
    assert_text("AAC", one, "audio_codec");
    assert_text("rtsp://***@10.0.0.9/s", one, "camera_url");
    assert_int_equal(1280, json_integer_value(json_object_get(one, "width")));
    assert_int_equal(4000000, json_integer_value(json_object_get(one, "bit_rate")));
    assert_int_equal(7, json_integer_value(json_object_get(one, "viewers")));
    assert_int_equal(3, json_integer_value(json_object_get(one, "restarts")));
    assert_true(json_real_value(json_object_get(one, "frame_rate")) == 12.5);
    assert_true(json_is_null(json_object_get(one, "last_error")));
    assert_int_equal(20, json_string_length(json_object_get(one, "since")));

    json_t *two = json_array_get(json_object_get(top, "streams"), 1);
    assert_true(json_is_null(json_object_get(two, "name")));
    assert_true(json_is_null(json_object_get(two, "video_codec")));
    assert_text("stopped", two, "state");
    assert_text("camera_unauthorized", two, "last_error");
    json_decref(top);

    char *text = NULL;
    assert_int_equal(0, api_stream(&conf, &list, "0123456789abcdef", &text));
    top = take(text);
    assert_text("0123456789abcdef", top, "id");
    json_decref(top);
    assert_int_equal(-ENOENT, api_stream(&conf, &list, "0123456789abcde", &text));
    assert_int_equal(-ENOENT, api_stream(&conf, &list, "", &text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cameras),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
