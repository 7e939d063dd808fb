/* master/route and master/query: which camera a request names, by URL or by name. */
#include "test/unit/route_rig.h"

static void assert_camera(const char *target, const char *expected)
{
    char url[IPC_URL_MAX];
    if (get(target) != 0)
        print_error("%s: %s\n", target, out.message);
    assert_int_equal(out.kind, ROUTE_STREAM);
    (void)url_format(&out.url, url);
    assert_string_equal(url, expected);
}

/* cam_url as players, browsers, scripts and people write it */
static const struct {
    const char *target, *url;
} urls[] = {
    {"/?cam_url=rtsp://10.0.0.9/s", "rtsp://10.0.0.9/s"},
    {"/?cam_url=rtsp%3A%2F%2F10.0.0.9%2Fs", "rtsp://10.0.0.9/s"},
    {"/?cam_url=rtsp%3a%2f%2fu%3ap%2540ss%4010.0.0.9%2Fs%3Fa%3D1%26b%3D2",
     "rtsp://u:p%40ss@10.0.0.9/s?a=1&b=2"},
    {"/?cam_url=rtsp%3A%2F%2Fu%3Ap%2Bq%4010.0.0.9%2Fa+b", "rtsp://u:p+q@10.0.0.9/a%20b"},
    /* raw: to the end, with its own query, `+` being itself */
    {"/?cam_url=rtsp://u:p@ss@10.0.0.9/cam?channel=1&subtype=0",
     "rtsp://u:p%40ss@10.0.0.9/cam?channel=1&subtype=0"},
    {"/?cam_url=rtsp://u:a&b+c@10.0.0.9/s", "rtsp://u:a&b+c@10.0.0.9/s"},
    {"/?cam_url=rtsp://admin:p@ss#1@10.0.0.9:554/cam?channel=1&subtype=0",
     "rtsp://admin:p%40ss%231@10.0.0.9/cam?channel=1&subtype=0"},
    {"/?cam_url=rtsp://h/a%20b?c=%41", "rtsp://h/a%20b?c=%41"},
    /* ... but for known pairs at its end */
    {"/?cam_url=rtsp://h/s?channel=1&subtype=0&audio=none&join=gop",
     "rtsp://h/s?channel=1&subtype=0"},
    {"/?cam_url=rtsp://h/s?join=key&x=1&audio=none", "rtsp://h/s?join=key&x=1"},
    {"/?cam_url=rtsp://h/s?a=1&audio=none&b=2", "rtsp://h/s?a=1&audio=none&b=2"},
    {"/?cam_url=rtsp://h/s&token=abc&width=999", "rtsp://h/s"},
    /* ... and those with which players get around caches */
    {"/?join=key&cam_url=rtsp://h/s?a=1&b=2&_=123", "rtsp://h/s?a=1&b=2"},
    {"/?cam_url=rtsp://h/s&t=1700000000000", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s&_=1&ts=2&time=3&timestamp=4&rnd=5&random=0.6&nocache=7", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s?a=1&rnd=0.25&audio=none&nocache=1", "rtsp://h/s?a=1"},
    {"/?cam_url=rtsp://h/s&t=123.flv", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s?t=1&a=2", "rtsp://h/s?t=1&a=2"},
    {"/?cam_url=rtsp://h/s?t=1", "rtsp://h/s?t=1"},
    {"/?cam_url=rtsp://h/s?a=1&t=1700000000", "rtsp://h/s?a=1"},
    {"/?cam_url=rtsp://h/s?a=1&ts=1700000000000.5&time=0.5", "rtsp://h/s?a=1"},
    {"/?cam_url=rtsp://h/s?a=1&nocache=1&t=90&token=x", "rtsp://h/s?a=1&nocache=1&t=90"},
    {"/?cam_url=rtsp://h/s?a=1&timestamp=12.5", "rtsp://h/s?a=1&timestamp=12.5"},
    {"/?cam_url=rtsp://h/s?a=1&t=main&ts=", "rtsp://h/s?a=1&t=main&ts="},
    {"/?cam_url=rtsp://h/s?a=1&time=1.2.3", "rtsp://h/s?a=1&time=1.2.3"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs%3Fa%3D1%26t%3D5", "rtsp://h/s?a=1&t=5"},
    {"/?cam_url=rtsp://h/s?_=123", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s?_=123&t=5&audio=none", "rtsp://h/s?_=123&t=5"},
    {"/?cam_url=rtsp://h/s?nocache=1700000000000&audio=none&rnd=1", "rtsp://h/s"},
    {"/?cam_url=rtsp://nvr/play?time=1700000000", "rtsp://nvr/play?time=1700000000"},
    {"/?cam_url=rtsp://h/s?_=1&_=2", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s?_=a", "rtsp://h/s?_=a"},
    {"/?cam_url=rtsp://h/s?_", "rtsp://h/s?_"},
    /* pasted with what surrounds it */
    {"/?cam_url=%22rtsp://u:p@h/s%22", "rtsp://u:p@h/s"},
    {"/?cam_url=\"rtsp://h/s\"&audio=none", "rtsp://h/s"},
    {"/?cam_url='rtsp://h/s'%20&t=1", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s%20", "rtsp://h/s"},
    {"/?cam_url=%27rtsp://h/s%27", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s?name=%27a%27", "rtsp://h/s?name=%27a%27"},
    {"/?cam_url=rtsp://h/s?name=%22a%22", "rtsp://h/s?name=%22a%22"},
    {"/?cam_url=rtsp://h/s?a=%3Cb%3E&join=gop", "rtsp://h/s?a=%3Cb%3E"},
    /* decoded, an escape is the camera's */
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs%3Fname%3D%2522a%2522", "rtsp://h/s?name=%22a%22"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs%2520", "rtsp://h/s%20"},
    {"/?cam_url=%22rtsp%3A%2F%2Fh%2Fs%2520%22%0a&join=gop", "rtsp://h/s%20"},
    {"/?cam_url=%20%09rtsp://h/s%0d%0A", "rtsp://h/s"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs%0a", "rtsp://h/s"},
    {"/?cam_url=+%22rtsp%3A%2F%2Fh%2Fs%22+", "rtsp://h/s"},
    {"/?cam_url=%E2%80%9Crtsp://h/s%e2%80%9d", "rtsp://h/s"},
    {"/?cam_url=%3Crtsp://h/s%3E", "rtsp://h/s"},
    {"/?cam_url=%E2%80%9ertsp://h/s%e2%80%9F&audio=none", "rtsp://h/s"},
    {"/?cam_url=\u2039rtsp://h/s\u203a", "rtsp://h/s"},
    {"/?cam_url=%E3%80%8Crtsp://h/s\u300d", "rtsp://h/s"},
    {"/?cam_url=\u300artsp://h/s%E3%80%8B", "rtsp://h/s"},
    {"/?cam_url=%EF%BC%82rtsp://h/s%EF%BC%82", "rtsp://h/s"},
    {"/?cam_url=%EF%BC%87rtsp://h/s%EF%BC%87", "rtsp://h/s"},
    {"/?cam_url=%22rtsp://h/s&_=12%22", "rtsp://h/s"},
    {"/?cam_url='rtsp://h/s?a=1&t=1700000000&audio=none'%0a", "rtsp://h/s?a=1"},
    {"/?cam_url=%09rtsp://h/s%E2%80%8E%E2%80%AC", "rtsp://h/s"}, /* marks of direction */
    {"/?cam_url=\u202artsp://h/s%E2%81%A0%E2%80%AF%C2%AD", "rtsp://h/s"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs%E2%80%A8", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/%E5%A4%A7%E9%97%A8", "rtsp://h/%E5%A4%A7%E9%97%A8"},
    {"/?cam_url=rtsp://h/%80%0A%A0", "rtsp://h/%80%0A%A0"}, /* no UTF-8 */
    {"/?cam_url=%E3%80%80rtsp%3A%2F%2Fh%2Fs%C2%A0", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s.flv%0a", "rtsp://h/s"},
    {"/?cam_url=%22rtsp://h/s%22.flv", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s&audio=none%0a", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s&audio=none.flv%0a", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s&", "rtsp://h/s&"},
    /* encoded: anything may follow */
    {"/?x&=&cam_url=rtsp%3A%2F%2Fh%2Fs&t=rtsp://x/y&join=gop", "rtsp://h/s"},
    /* the suffix that players want */
    {"/?cam_url=rtsp://h/s?a=1&b=2.flv", "rtsp://h/s?a=1&b=2"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs.flv", "rtsp://h/s"},
    {"/?cam_url=rtsp://h/s&audio=none.flv", "rtsp://h/s"},
    {"/?audio=none&cam_url=rtmp://h/live/x.flv", "rtmp://h/live/x"},
    {"/?cam_url=rtsp%3A%2F%2Fh%2Fs&audio=none.flv", "rtsp://h/s"},
    {"/live/front.flv?cam_url=rtsp://h/s.mp4", "rtsp://h/s.mp4"},
    {"/.flv?cam_url=rtsp://h/s", "rtsp://h/s"},
    /* another gateway: its suffix is its own */
    {"/?cam_url=http://gw:8005/x.flv", "http://gw:8005/x.flv"},
    {"/?cam_url=http://gw:8005/?cam_url=rtsp://u:p@10.0.0.9/s",
     "http://gw:8005/?cam_url=rtsp://u:p@10.0.0.9/s"},
    /* absolute form, as a proxy asks */
    {"http://gw:8005/?cam_url=rtsp://h/s", "rtsp://h/s"},
};

static void test_camera_urls(void **state)
{
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_camera(urls[i].target, urls[i].url);

    assert_int_equal(get("/?cam_url=rtsp://h/s&audio=none.flv"), 0);
    assert_int_equal(out.client.audio, 0);
    assert_int_equal(get("/?join=key&cam_url=rtsp://h/s?a=1&audio=none"), 0);
    assert_int_equal(out.client.audio, 0);
    assert_int_equal(out.client.join, IPC_JOIN_KEY);
}

static void test_camera_errors(void **state)
{
    get("/x.flv");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    get("/?cam_url=&cam=");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    get("/?cam_url=%22%20%22%0a");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    get("/x.flv?url=rtsp://h/s");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    get("/?url=rtsp://h/s");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    route_with(ROUTE_PORT_STREAM, "GET", "/?token=x",
               "Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    route_with(ROUTE_PORT_STREAM, "GET", "/?x", "Accept: video/webm,video/*;q=0.9,*/*;q=0.5\r\n");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
    get("/?cam_url=file:///etc/passwd");
    assert_error(HTTP_ERROR_UNSUPPORTED_SCHEME, "rtsp, rtsps, rtsph, rtmp, rtmps, http and https");
    get("/?cam_url=10.0.0.9");
    assert_error(HTTP_ERROR_BAD_CAMERA_URL, "scheme://");
    get("/?cam_url=rtsp://secret:secret@/s");
    assert_error(HTTP_ERROR_BAD_CAMERA_URL, "host");
    assert_null(strstr(out.message, "secret"));
    assert_string_equal(out.camera_label, "");
    get("/?cam_url=rtsp%3A%2F%2Fh%2F%0d%0aX");
    assert_error(HTTP_ERROR_BAD_CAMERA_URL, "control character");
    get("/?cam_url=rtsp%3A%2F%2Fh%00%2Fs");
    assert_error(HTTP_ERROR_BAD_CAMERA_URL, "control character");
    get("/?cam=garage");
    assert_error(HTTP_ERROR_UNKNOWN_CAMERA, "cam");
    get("/?cam=front-door%00x");
    assert_error(HTTP_ERROR_UNKNOWN_CAMERA, "cam");
    get("/?cam=gate&cam_url=rtsp://h/s");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "cam:");
    get("/?cam_url=rtsp://h/s?a=1&cam=gate");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "percent-encode");
    get("/?cam=gate&cam=gate");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "cam: given more than once");
    get("/?cam_url=rtsp://h/s&cam_url=rtsp://h/t");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "cam_url: given more than once");
    get("/?join=gop&cam_url=rtsp://h/s&join=gop");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "join: given more than once");

    static char target[4000];
    for (int raw = 0; raw <= 1; raw++) {
        int n = sprintf(target, "/?cam_url=rtsp%sh/", raw ? "://" : "%3A//");
        memset(target + n, 'a', IPC_URL_MAX);
        target[n + IPC_URL_MAX] = '\0';
        get(target);
        assert_error(HTTP_ERROR_BAD_CAMERA_URL, "2047");
    }
}

static void test_named_camera(void **state)
{
    assert_camera("/?cam=front-door", "rtsp://admin:secret@10.0.0.9/stream1");
    assert_camera("/?cam=%22front-door%22%0a", "rtsp://admin:secret@10.0.0.9/stream1");
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_UDP);
    assert_string_equal(out.camera_label, "front-door");
    assert_camera("/?cam=gate.flv", "rtmp://10.0.0.8/live/gate");
    assert_int_equal(out.transport, IPC_TRANSPORT_RTMP);
    assert_camera("/?cam=front%2Ddoor&cam_type=rtsp-tcp", "rtsp://admin:secret@10.0.0.9/stream1");
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_TCP);

    /* errors after the camera is known name it, never its URL */
    get("/?cam=front-door&join=now");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "join: live, gop or key is accepted");
    assert_string_equal(out.camera_label, "front-door");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_camera_urls),
        cmocka_unit_test(test_camera_errors),
        cmocka_unit_test(test_named_camera),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
