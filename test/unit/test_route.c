/* master/route and master/query: what a request asks for; test_route_camera: of which camera. */
#include "test/unit/route_rig.h"

static void test_stream_options(void **state)
{
    assert_int_equal(get("/?cam_url=rtsp://u:p@h/s"), 0);
    assert_string_equal(out.camera_label, "rtsp://***@h/s");
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_TCP);
    assert_int_equal(out.client.kind, IPC_CLIENT_STREAM);
    assert_int_equal(out.client.join, IPC_JOIN_LIVE);
    assert_int_equal(out.client.hevc, IPC_HEVC_ENHANCED);
    assert_int_equal(out.client.av1, IPC_AV1_H264);
    assert_int_equal(out.client.audio, 1);
    assert_int_equal(out.client.allow_h265, 1);
    assert_int_equal(out.client.head, 0);
    assert_int_equal(out.client.websocket, 0);

    assert_int_equal(
        route_with(
            ROUTE_PORT_STREAM, "HEAD",
            "/x.flv?cam_url=rtsp%3A%2F%2Fh%2Fs&allow_h265=false&hevc=legacy&av1=enhanced&audio=none"
            "&join=gop&cam_type=rtsp-udp&width=1&quality=0",
            "Origin: https://o\r\n"),
        0);
    assert_int_equal(out.client.allow_h265, 0);
    assert_int_equal(out.client.hevc, IPC_HEVC_LEGACY);
    assert_int_equal(out.client.av1, IPC_AV1_ENHANCED);
    assert_int_equal(out.client.audio, 0);
    assert_int_equal(out.client.join, IPC_JOIN_GOP);
    assert_int_equal(out.client.head, 1);
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_UDP);
    assert_string_equal(out.client.origin, "https://o");

    static const struct {
        const char *pair, *message;
    } bad[] = {
        {"allow_h265=yes", "allow_h265: false or true is accepted"},
        {"allow_h265=", "allow_h265: false or true is accepted"},
        {"hevc=1", "hevc: enhanced, legacy or auto is accepted"},
        {"av1=true", "av1: h264 or enhanced is accepted"},
        {"audio=mp3", "audio: none or aac is accepted"},
        {"join=LIVE", "join: live, gop or key is accepted"},
        {"join=gop%00", "join: live, gop or key is accepted"},
        {"cam_type=rtmp", "cam_type: " URL_TRANSPORTS_ACCEPTED},
        {"cam_type=udp", "cam_type: " URL_TRANSPORTS_ACCEPTED},
        {"cam_type=http-flv", "cam_type: " URL_TRANSPORTS_ACCEPTED},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char target[256];
        (void)snprintf(target, sizeof(target), "/?%s&cam_url=rtsp://u:p@h/s", bad[i].pair);
        get(target);
        assert_error(HTTP_ERROR_BAD_PARAMETER, bad[i].message);
        assert_string_equal(out.camera_label, "rtsp://***@h/s");
    }
}

#define WS "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define WS_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define WS_VERSION "Sec-WebSocket-Version: 13\r\n"

/* Who cannot play HEVC gets H.264; what the request says comes first. */
static void test_hevc_by_player(void **state)
{
    static const char old[] = "User-Agent: Lavf/59.27.100\r\n",
                      fresh[] = "User-Agent: Lavf/60.16\r\n";
    static const struct {
        const char *pairs, *player;
        enum transcode_mode mode;
        uint32_t allow_h265, hevc;
    } cases[] = {
        {"", old, TRANSCODE_AUTO, 0, IPC_HEVC_ENHANCED},
        {"&hevc=auto", old, TRANSCODE_AUTO, 0, IPC_HEVC_ENHANCED},
        {"", fresh, TRANSCODE_AUTO, 1, IPC_HEVC_ENHANCED},
        {"", "", TRANSCODE_AUTO, 1, IPC_HEVC_ENHANCED},
        {"&hevc=enhanced", old, TRANSCODE_AUTO, 1, IPC_HEVC_ENHANCED},
        {"&hevc=legacy", old, TRANSCODE_AUTO, 1, IPC_HEVC_LEGACY},
        {"&allow_h265=true", old, TRANSCODE_AUTO, 1, IPC_HEVC_ENHANCED},
        {"&allow_h265=true&hevc=auto", old, TRANSCODE_AUTO, 1, IPC_HEVC_ENHANCED},
        {"&allow_h265=false&hevc=enhanced", fresh, TRANSCODE_AUTO, 0, IPC_HEVC_ENHANCED},
        {"", old, TRANSCODE_ASKED, 1, IPC_HEVC_ENHANCED},
        {"&allow_h265=false", old, TRANSCODE_ASKED, 0, IPC_HEVC_ENHANCED},
        {"", old, TRANSCODE_NEVER, 1, IPC_HEVC_ENHANCED},
        {"&allow_h265=false", old, TRANSCODE_NEVER, 0, IPC_HEVC_ENHANCED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[128];
        (void)snprintf(target, sizeof(target), "/?cam=gate%s", cases[i].pairs);
        conf.camera.transcode = cases[i].mode;
        assert_int_equal(route_with(ROUTE_PORT_STREAM, "GET", target, cases[i].player), 0);
        assert_int_equal(out.client.allow_h265, cases[i].allow_h265);
        assert_int_equal(out.client.hevc, cases[i].hevc);
    }
    conf.camera.transcode = TRANSCODE_AUTO;
}

/* Which of a named camera's streams; `stream` in a camera's URL is the camera's own. */
static void test_height_of_a_stream(void **state)
{
    assert_int_equal(get("/?cam=gate&height=360"), 0);
    assert_int_equal(out.client.height, 360);
    assert_int_equal(get("/?cam=gate"), 0);
    assert_int_equal(out.client.height, 0);
    get("/?cam=gate&height=15");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "height: a number from 16 to 7680");
}

static void test_streams_of_a_camera(void **state)
{
    assert_int_equal(get("/?cam=gate&stream=sub"), 0);
    assert_string_equal(out.url.path, "/gate-small");
    assert_string_equal(out.url.password, "s3cret");
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_UDP);
    assert_string_equal(out.camera_name, "gate:sub");
    assert_string_equal(out.camera_label, "gate:sub");
    assert_false(out.may_be_main);
    assert_int_equal(get_snapshot("/snapshot?cam=gate&stream=auto&width=320"), 0);
    assert_string_equal(out.camera_name, "gate:sub");
    assert_true(out.may_be_main);
    static const char *const mains[] = {"/?cam=gate", "/?cam=gate&stream=main",
                                        "/?cam=front-door&stream=auto", "/?cam=front-door"};
    for (size_t i = 0; i < sizeof(mains) / sizeof(mains[0]); i++) {
        assert_int_equal(get(mains[i]), 0);
        assert_null(strchr(out.camera_name, ':'));
        assert_false(out.may_be_main);
    }
    assert_int_equal(get("/?cam=gate&stream=sub&cam_type=rtsp-tcp"), 0);
    assert_int_equal(out.transport, IPC_TRANSPORT_RTSP_TCP);

    get("/?cam=front-door&stream=sub");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "stream: this camera has no sub-stream");
    get("/?cam_url=rtsp%3A%2F%2Fh%2Fs&stream=sub");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "stream: this camera has no sub-stream");
    get("/?cam=gate&stream=2");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "stream: main, sub or auto is accepted");
    get("/?cam=gate:sub"); /* only as the parameter says */
    assert_error(HTTP_ERROR_UNKNOWN_CAMERA, "cam: ");

    assert_int_equal(get("/?cam_url=rtsp://h/user=admin&channel=1&stream=0.sdp"), 0);
    assert_string_equal(out.url.path, "/user=admin&channel=1&stream=0.sdp");
    assert_int_equal(get("/?cam_url=rtsp://h/x?channel=1&stream=sub&audio=none"), 0);
    assert_string_equal(out.url.path, "/x?channel=1&stream=sub");
    assert_int_equal(out.client.audio, 0);
    assert_int_equal(get("/?stream=main&cam_url=rtsp://h/x?stream=0"), 0);
    assert_string_equal(out.url.path, "/x?stream=0");
}

static void test_websocket(void **state)
{
    static const char target[] = "/?cam=gate";
    assert_int_equal(route_with(ROUTE_PORT_STREAM, "GET", target, WS WS_KEY WS_VERSION), 0);
    assert_int_equal(out.client.websocket, 1);
    assert_int_equal(route_with(ROUTE_PORT_STREAM, "GET", target,
                                WS WS_KEY WS_VERSION "Sec-WebSocket-Protocol: , flv.v1, chat\r\n"),
                     0);
    assert_int_equal(out.client.websocket, 1);

    route_with(ROUTE_PORT_STREAM, "GET", target, WS WS_KEY "Sec-WebSocket-Version: 8\r\n");
    assert_error(HTTP_ERROR_BAD_REQUEST, "13");
    assert_string_equal(out.headers, "Sec-WebSocket-Version: 13\r\n");
    route_with(ROUTE_PORT_STREAM, "GET", target, WS WS_VERSION);
    assert_error(HTTP_ERROR_BAD_REQUEST, "Sec-WebSocket-Key");
    route_with(ROUTE_PORT_STREAM, "GET", target,
               WS WS_VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n");
    assert_error(HTTP_ERROR_BAD_REQUEST, "Sec-WebSocket-Key");
    route_with(ROUTE_PORT_STREAM, "GET", target,
               WS WS_KEY WS_VERSION "Sec-WebSocket-Protocol: a\"b\r\n");
    assert_error(HTTP_ERROR_BAD_REQUEST, "Sec-WebSocket-Protocol");
    assert_int_equal(out.client.websocket, 0);
    /* with the handshake right, an error is told to the WebSocket */
    static const char *const wrong[] = {"/?cam=x", "/live.flv", "/?cam=gate&cam=gate",
                                        "/?cam=gate&join=later"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(route_with(ROUTE_PORT_STREAM, "GET", wrong[i], WS WS_KEY WS_VERSION),
                         -EINVAL);
        assert_int_equal(out.client.websocket, 1);
    }
    /* what is no stream, or no GET, is no WebSocket */
    route_with(ROUTE_PORT_SNAPSHOT, "GET", "/snapshot?cam=x", WS WS_KEY WS_VERSION);
    assert_int_equal(out.client.websocket, 0);
    route_with(ROUTE_PORT_STREAM, "HEAD", "/?cam=gate", WS WS_KEY WS_VERSION);
    assert_int_equal(out.client.websocket, 0);
}

static void test_snapshot_options(void **state)
{
    assert_int_equal(get_snapshot("/snapshot?cam_url=rtsp://h/s"), 0);
    assert_int_equal(out.kind, ROUTE_SNAPSHOT);
    assert_int_equal(out.client.kind, IPC_CLIENT_SNAPSHOT);
    assert_int_equal(out.client.width, 0);
    assert_int_equal(out.client.height, 0);
    assert_int_equal(out.client.quality, 0);

    assert_int_equal(route_with(ROUTE_PORT_SNAPSHOT, "POST",
                                "/snapshot?cam_url=rtsp://h/s&width=16&height=7680&quality=100",
                                "If-None-Match: \"a\"\r\nContent-Length: 0\r\n"),
                     0);
    assert_int_equal(out.client.width, 16);
    assert_int_equal(out.client.height, 7680);
    assert_int_equal(out.client.quality, 100);
    assert_string_equal(out.client.if_none_match, "\"a\"");

    assert_int_equal(get_snapshot("/mjpeg?cam=gate"), 0);
    assert_int_equal(out.kind, ROUTE_MJPEG);
    assert_int_equal(out.client.kind, IPC_CLIENT_MJPEG);
    assert_int_equal(out.client.fps, 5);
    assert_int_equal(get_snapshot("/mjpeg?cam=gate&fps=30&quality=1"), 0);
    assert_int_equal(out.client.fps, 30);
    assert_int_equal(out.client.quality, 1);
    assert_int_equal(get_snapshot("/snapshot?cam=gate&fps=999&join=x"), 0); /* not its own */

    static const struct {
        const char *pair, *message;
    } bad[] = {
        {"width=15", "width: a number from 16 to 7680 is accepted"},
        {"width=7681", "width: a number from 16 to 7680 is accepted"},
        {"height=1e3", "height: a number from 16 to 7680 is accepted"},
        {"height=-64", "height: a number from 16 to 7680 is accepted"},
        {"height=4294967360", "height: a number from 16 to 7680 is accepted"},
        {"quality=0", "quality: a number from 1 to 100 is accepted"},
        {"quality=101", "quality: a number from 1 to 100 is accepted"},
        {"quality=", "quality: a number from 1 to 100 is accepted"},
        {"quality=%2B5", "quality: a number from 1 to 100 is accepted"},
        {"picture=old", "picture: newest or key is accepted"},
        {"fps=0", "fps: a number from 1 to 30 is accepted"},
        {"fps=31", "fps: a number from 1 to 30 is accepted"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char target[256];
        (void)snprintf(target, sizeof(target), "/mjpeg?%s&cam=gate", bad[i].pair);
        get_snapshot(target);
        assert_error(HTTP_ERROR_BAD_PARAMETER, bad[i].message);
    }
}

static void test_waiting_and_crop(void **state)
{
    (void)state;
    assert_int_equal(get_snapshot("/snapshot?cam=gate&picture=key&crop=1,2,300,400"), 0);
    assert_int_equal(out.client.picture, IPC_PICTURE_KEY);
    assert_int_equal(out.client.crop_x, 1);
    assert_int_equal(out.client.crop_y, 2);
    assert_int_equal(out.client.crop_width, 300);
    assert_int_equal(out.client.crop_height, 400);
    assert_int_equal(out.client.wait_ms, 0);

    assert_int_equal(get_snapshot("/snapshot?cam=gate&after=%22a1-2-0x0q85%22"), 0);
    assert_string_equal(out.client.if_none_match, "\"a1-2-0x0q85\"");
    assert_int_equal(out.client.wait_ms, 10000);
    assert_int_equal(get_snapshot("/snapshot?cam=gate&after=a1-2-0x0q85"), 0);
    assert_string_equal(out.client.if_none_match, "\"a1-2-0x0q85\"");
    assert_int_equal(get_snapshot("/snapshot?cam=gate&after="), 0); /* the first time */
    assert_int_equal(out.client.wait_ms, 0);

    static const struct {
        const char *headers;
        uint32_t wait_ms;
    } waits[] = {
        {"If-None-Match: \"a-1\"\r\n", 0},
        {"Prefer: wait=5\r\n", 0}, /* for what? */
        {"If-None-Match: \"a-1\"\r\nPrefer: wait=5\r\n", 5000},
        {"If-None-Match: \"a-1\"\r\nPrefer: respond-async, wait=\"7\"\r\n", 7000},
        {"If-None-Match: \"a-1\"\r\nPrefer: wait=99999999999999999999\r\n", 60000},
        {"If-None-Match: \"a-1\"\r\nPrefer: wait=soon\r\n", 0},
        {"If-None-Match: \"a-1\"\r\nPrefer: await=5, ,;\r\n", 0},
    };
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        assert_int_equal(
            route_with(ROUTE_PORT_SNAPSHOT, "GET", "/snapshot?cam=gate", waits[i].headers), 0);
        assert_int_equal(out.client.wait_ms, waits[i].wait_ms);
    }

    static const char *const bad_crops[] = {
        "1,2,300",      "1,2,300,400,5", "1,2,300,15",   "",
        "-1,2,300,400", "1,2,15,400",    "a,b,c,d",      ",",
        "1,2,300,400,", "1,,300,400",    "%201,2,30,40", "123456,2,16,16"};
    for (size_t i = 0; i < sizeof(bad_crops) / sizeof(bad_crops[0]); i++) {
        char target[256];
        (void)snprintf(target, sizeof(target), "/snapshot?cam=gate&crop=%s", bad_crops[i]);
        get_snapshot(target);
        assert_error(HTTP_ERROR_BAD_PARAMETER, "crop: X,Y,WIDTH,HEIGHT");
    }
    get_snapshot("/snapshot?cam=gate&after=%0d%0aX-Evil:1");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "after: an ETag");
}

static void test_unknown_paths(void **state)
{
    static const char *const missing[] = {"/snapshot?cam=gate",
                                          "/play/?cam=gate",
                                          "/x",
                                          "/assets/",
                                          "/assets/x.js",
                                          "/index.html",
                                          "/flv",
                                          "/x.flv/",
                                          "//",
                                          "/healthz"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        get(missing[i]);
        assert_error(HTTP_ERROR_NOT_FOUND, ".flv");
    }
    get_snapshot("/?cam=gate");
    assert_error(HTTP_ERROR_NOT_FOUND, "/snapshot");
    get_snapshot("/x.flv?cam=gate");
    assert_error(HTTP_ERROR_NOT_FOUND, "/snapshot");
}

static void test_pages(void **state)
{
    assert_int_equal(get_snapshot("/healthz?x=1"), 0);
    assert_int_equal(out.kind, ROUTE_HEALTHZ);

    static const char *const pages[] = {"/", "/?", "/play?cam=gate", "/assets/style.css",
                                        "/assets/mpegts.js"};
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        assert_int_equal(get(pages[i]), 0);
        assert_int_equal(out.kind, ROUTE_PAGE);
    }
    static const char *const browsers[] = {
        "Sec-Fetch-Mode: navigate\r\n",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
        "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"};
    for (size_t i = 0; i < sizeof(browsers) / sizeof(browsers[0]); i++) {
        assert_int_equal(route_with(ROUTE_PORT_STREAM, "GET", "/?token=x", browsers[i]), 0);
        assert_int_equal(out.kind, ROUTE_PAGE);
    }
    get_snapshot("/play?cam=gate");
    assert_error(HTTP_ERROR_NOT_FOUND, "/snapshot");
    route_with(ROUTE_PORT_STREAM, "POST", "/play", "");
    assert_error(HTTP_ERROR_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS");
    route_with(ROUTE_PORT_STREAM, "GET", "/",
               "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    assert_error(HTTP_ERROR_MISSING_CAMERA, "cam_url");
}

static void test_api(void **state)
{
    assert_int_equal(get_snapshot("/api/cameras"), 0);
    assert_int_equal(out.kind, ROUTE_API_CAMERAS);
    assert_int_equal(get_snapshot("/api/streams?x=1"), 0);
    assert_int_equal(out.kind, ROUTE_API_STREAMS);
    assert_string_equal(out.camera_label, "");
    assert_int_equal(get_snapshot("/api/streams?cam_url=RTSP://U:p@LocalHost:554/s"), 0);
    assert_int_equal(out.kind, ROUTE_API_STREAMS);
    assert_string_equal(out.camera_label, "rtsp://***@localhost/s");
    assert_int_equal(get_snapshot("/api/streams?cam=gate"), 0);
    assert_string_equal(out.camera_label, "gate");
    assert_int_equal(get_snapshot("/api/signature?cam=gate"), 0);
    assert_int_equal(out.kind, ROUTE_API_SIGNATURE);
    get_snapshot("/api/signature?cam=gate&cam_type=rtmp");
    assert_error(HTTP_ERROR_BAD_PARAMETER, "cam_type: a signature for cam=NAME");
    get_snapshot("/api/streams?cam=garage");
    assert_error(HTTP_ERROR_UNKNOWN_CAMERA, "cam");
    assert_int_equal(get_snapshot("/api/streams/gate"), 0);
    assert_int_equal(out.kind, ROUTE_API_STREAM);
    get("/api/streams");
    assert_error(HTTP_ERROR_NOT_FOUND, "/play");
}

static void test_methods(void **state)
{
    route_with(ROUTE_PORT_STREAM, "POST", "/?cam=gate", "");
    assert_error(HTTP_ERROR_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS");
    assert_string_equal(out.headers, "Allow: GET, HEAD, OPTIONS\r\n");
    route_with(ROUTE_PORT_SNAPSHOT, "DELETE", "/snapshot?cam=gate", "");
    assert_error(HTTP_ERROR_METHOD_NOT_ALLOWED, "POST");
    assert_string_equal(out.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    route_with(ROUTE_PORT_SNAPSHOT, "PUT", "/nowhere", "");
    assert_error(HTTP_ERROR_NOT_FOUND, "/snapshot");
}

static void test_preflight(void **state)
{
    route_with(ROUTE_PORT_SNAPSHOT, "OPTIONS", "/snapshot?cam_url=nonsense",
               "Origin: https://o\r\nAccess-Control-Request-Method: POST\r\n"
               "Access-Control-Request-Headers: authorization, x-a\r\n");
    assert_int_equal(out.kind, ROUTE_PREFLIGHT);
    assert_string_equal(out.headers, "Allow: GET, HEAD, POST, OPTIONS\r\n"
                                     "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"
                                     "Access-Control-Allow-Headers: authorization, x-a\r\n"
                                     "Access-Control-Max-Age: 86400\r\n");
    route_with(ROUTE_PORT_STREAM, "OPTIONS", "*", "Access-Control-Request-Headers: a\"b\r\n");
    assert_int_equal(out.kind, ROUTE_PREFLIGHT);
    assert_string_equal(out.headers, "Allow: GET, HEAD, OPTIONS\r\n"
                                     "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
                                     "Access-Control-Max-Age: 86400\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_options),
        cmocka_unit_test(test_hevc_by_player),
        cmocka_unit_test(test_height_of_a_stream),
        cmocka_unit_test(test_streams_of_a_camera),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_snapshot_options),
        cmocka_unit_test(test_waiting_and_crop),
        cmocka_unit_test(test_unknown_paths),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_api),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_preflight),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
