/* worker/websocket, common/websocket_close: exact bytes both ways, and every way a client may be
 * wrong. */
#include "worker/viewers/websocket.h"

#include "common/http_reply.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_header(uint64_t len, const char *bytes, size_t n)
{
    uint8_t buf[WEBSOCKET_HEADER_MAX];
    assert_int_equal(n, websocket_binary_header(buf, len));
    assert_memory_equal(bytes, buf, n);
}

static void test_binary_header(void **state)
{
    check_header(0, "\x82\x00", 2);
    check_header(125, "\x82\x7d", 2);
    check_header(126, "\x82\x7e\x00\x7e", 4);
    check_header(65535, "\x82\x7e\xff\xff", 4);
    check_header(65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
    check_header(0x0123456789abcdefu, "\x82\x7f\x01\x23\x45\x67\x89\xab\xcd\xef", 10);
}

static void test_control_frames(void **state)
{
    uint8_t close[WEBSOCKET_CLOSE_MAX], pong[WEBSOCKET_PONG_FRAME_MAX], payload[125];

    assert_int_equal(4, websocket_close_frame(close, WEBSOCKET_GOING_AWAY));
    assert_memory_equal("\x88\x02\x03\xe9", close, 4);
    assert_int_equal(2, websocket_close_frame(close, WEBSOCKET_NO_STATUS));
    assert_memory_equal("\x88\x00", close, 2);

    assert_int_equal(2, websocket_pong_frame(pong, NULL, 0));
    assert_memory_equal("\x8a\x00", pong, 2);
    assert_int_equal(7, websocket_pong_frame(pong, (const uint8_t *)"Hello", 5));
    assert_memory_equal("\x8a\x05Hello", pong, 7);
    memset(payload, 7, sizeof(payload));
    assert_int_equal(127, websocket_pong_frame(pong, payload, sizeof(payload)));
    assert_memory_equal("\x8a\x7d\x07", pong, 3);
}

/* The reason is JSON whatever the message is, and fits. */
static void check_error(enum http_error error, const char *message, uint16_t code, const char *want)
{
    uint8_t frame[WEBSOCKET_CLOSE_MAX];
    size_t len = websocket_close_error(frame, error, message);
    assert_true(len >= 4 && len <= sizeof(frame));
    assert_int_equal(frame[0], 0x88);
    assert_int_equal(frame[1], len - 2);
    assert_int_equal(frame[2] << 8 | frame[3], code);
    json_t *top = json_loadb((const char *)frame + 4, len - 4, 0, NULL);
    assert_non_null(top);
    json_t *told = json_object_get(top, "error");
    assert_string_equal(http_error_code(error), json_string_value(json_object_get(told, "code")));
    assert_string_equal(want, json_string_value(json_object_get(told, "message")));
    json_decref(top);
}

static void test_close_that_tells_an_error(void **state)
{
    char longest[200], cut[200];
    check_error(HTTP_ERROR_CAMERA_UNREACHABLE, "Connection refused", 4502, "Connection refused");
    check_error(HTTP_ERROR_UNAUTHORIZED, "a \"token\"\r\n\x01", 4401, "a \"token\"\r\n\x01");
    check_error(HTTP_ERROR_MISSING_CAMERA, "", 4400, "");
    check_error(HTTP_ERROR_CAMERA_TIMEOUT, "\xff", 4504, "\xef\xbf\xbd");
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    for (int e = HTTP_ERROR_NONE + 1; e < HTTP_ERROR_COUNT; e++) {
        size_t room = 123 - strlen("{'error':{'code':'','message':''}}") -
                      strlen(http_error_code((enum http_error)e));
        (void)snprintf(cut, sizeof(cut), "%.*s", (int)room, longest);
        check_error((enum http_error)e, longest,
                    (uint16_t)(4000 + http_error_status((enum http_error)e)), cut);
    }
    /* a character is not cut */
    for (size_t i = 0; i + 3 < sizeof(longest); i += 3)
        memcpy(longest + i, "大", 3);
    longest[198] = '\0';
    (void)snprintf(cut, sizeof(cut), "%.*s", 69, longest); /* 72 would be one byte too many */
    check_error(HTTP_ERROR_CAMERA_UNREACHABLE, longest, 4502, cut);
}

static void test_error_before_a_stream(void **state)
{
    static uint8_t buf[WEBSOCKET_ERROR_MAX];
    static char camera[3000], message[3000];
    size_t n = websocket_error(buf, HTTP_ERROR_UNKNOWN_CAMERA, "x", "y");
    static const char want[] = "\x81\x3f{\"error\":{\"code\":\"unknown_camera\",\"message\":\"y\","
                               "\"camera\":\"x\"}}\n\x88";
    assert_memory_equal(buf, want, sizeof(want) - 1);
    assert_true(n > sizeof(want));
    memset(camera, '"', sizeof(camera) - 1);
    memset(message, 1, sizeof(message) - 1);
    n = websocket_error(buf, HTTP_ERROR_CAMERA_UNAUTHORIZED, camera, message);
    assert_int_equal(buf[1], 126);
    size_t len = (size_t)buf[2] << 8 | buf[3];
    assert_true(len > 4000 && len < HTTP_ERROR_JSON_MAX);
    json_t *top = json_loadb((const char *)buf + 4, len, 0, NULL);
    assert_non_null(top);
    json_decref(top);
    assert_int_equal(buf[4 + len], 0x88);
    assert_int_equal(n, 4 + len + 2 + buf[5 + len]);
}

/* --- the parser ---------------------------------------------------------- */

struct bytes {
    size_t len;
    uint8_t data[70000];
};

/* Append a masked frame as a client writes it; payload may be NULL for zeroes. */
static void put_frame(struct bytes *b, unsigned first, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *p = b->data + b->len;

    *p++ = (uint8_t)first;
    if (len <= 125) {
        *p++ = (uint8_t)(0x80 | len);
    } else if (len <= 65535) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = 0x80 | 127;
        for (int i = 7; i >= 0; i--)
            *p++ = (uint8_t)((uint64_t)len >> (8 * i));
    }
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < len; i++)
        *p++ = (uint8_t)((payload == NULL ? 0 : ((const uint8_t *)payload)[i]) ^ mask[i & 3]);
    b->len = (size_t)(p - b->data);
}

/* Feed in pieces of `step` bytes and write the events down: "ping(abc) close(1000)". */
static void parse_in_steps(const struct bytes *b, size_t step, char *out, size_t out_size)
{
    struct websocket_parser parser = {0};
    size_t used = 0;

    out[0] = '\0';
    for (size_t at = 0; at < b->len; at += step) {
        size_t len = b->len - at < step ? b->len - at : step;
        size_t n = 0;
        while (n < len) {
            struct websocket_event e;
            size_t took = websocket_parse(&parser, b->data + at + n, len - n, &e);
            assert_true(took <= len - n);
            n += took;
            if (e.kind == WEBSOCKET_EVENT_NONE)
                assert_int_equal(n, len);
            else if (e.kind == WEBSOCKET_EVENT_PING)
                used += (size_t)snprintf(out + used, out_size - used, "ping(%.*s) ",
                                         (int)e.payload_len, (const char *)e.payload);
            else
                used +=
                    (size_t)snprintf(out + used, out_size - used, "%s(%u) ",
                                     e.kind == WEBSOCKET_EVENT_CLOSE ? "close" : "error", e.code);
            assert_true(used < out_size);
        }
    }
}

static void check_events(const struct bytes *b, const char *want)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 64, sizeof(b->data)};
    char got[1024];

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        parse_in_steps(b, steps[i], got, sizeof(got));
        assert_string_equal(want, got);
    }
}

static void check_raw(const char *data, size_t len, const char *want)
{
    static struct bytes b;
    b.len = len;
    memcpy(b.data, data, len);
    check_events(&b, want);
}
#define CHECK_RAW(literal, want) check_raw((literal), sizeof(literal) - 1, (want))

static void test_parse_good(void **state)
{
    static struct bytes b;

    CHECK_RAW("", "");
    /* "Hello" of RFC 6455 section 5.7, masked. */
    CHECK_RAW("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "");
    CHECK_RAW("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "ping(Hello) ");

    b.len = 0;
    put_frame(&b, 0x89, "", 0);
    put_frame(&b, 0x8a, "unasked pong", 12);
    put_frame(&b, 0x82, NULL, 0);
    put_frame(&b, 0x82, NULL, WEBSOCKET_MESSAGE_MAX);
    put_frame(&b, 0x81, NULL, WEBSOCKET_MESSAGE_MAX);
    put_frame(&b, 0x89, "a", 1);
    put_frame(&b, 0x89, "b", 1);
    put_frame(&b, 0x88, "\x03\xe8", 2);
    put_frame(&b, 0x89, "after the close", 15);
    check_events(&b, "ping() ping(a) ping(b) close(1000) ");

    /* A message in fragments with a ping among them; the bound is for the whole message. */
    b.len = 0;
    put_frame(&b, 0x01, NULL, 2000);
    put_frame(&b, 0x00, NULL, 0);
    put_frame(&b, 0x89, "mid", 3);
    put_frame(&b, 0x00, NULL, 2000);
    put_frame(&b, 0x80, NULL, 96);
    put_frame(&b, 0x81, NULL, 1);
    put_frame(&b, 0x88, "", 0);
    check_events(&b, "ping(mid) close(1005) ");

    b.len = 0;
    char long_ping[126];
    memset(long_ping, 'x', 125);
    long_ping[125] = '\0';
    put_frame(&b, 0x89, long_ping, 125);
    char want[160];
    (void)snprintf(want, sizeof(want), "ping(%s) ", long_ping);
    check_events(&b, want);
}

static void test_parse_close_codes(void **state)
{
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999};
    static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    static struct bytes b;
    char want[32];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint8_t payload[5] = {(uint8_t)(good[i] >> 8), (uint8_t)good[i], 'b', 'y', 'e'};
        b.len = 0;
        put_frame(&b, 0x88, payload, i % 2 == 0 ? 2 : 5);
        (void)snprintf(want, sizeof(want), "close(%u) ", good[i]);
        check_events(&b, want);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t payload[2] = {(uint8_t)(bad[i] >> 8), (uint8_t)bad[i]};
        b.len = 0;
        put_frame(&b, 0x88, payload, 2);
        check_events(&b, "error(1002) ");
    }
    b.len = 0;
    put_frame(&b, 0x88, "x", 1);
    check_events(&b, "error(1002) ");
}

static void test_parse_malformed(void **state)
{
    static struct bytes b;

    /* not masked */
    CHECK_RAW("\x81\x05Hello", "error(1002) ");
    CHECK_RAW("\x89\x00", "error(1002) ");
    CHECK_RAW("\x88\x02\x03\xe8", "error(1002) ");
    /* each reserved bit, each reserved opcode */
    for (unsigned bit = 0x10; bit <= 0x40; bit <<= 1) {
        b.len = 0;
        put_frame(&b, 0x82 | bit, "x", 1);
        check_events(&b, "error(1002) ");
    }
    for (unsigned op = 0; op < 16; op++) {
        if ((op >= 3 && op <= 7) || op >= 11) {
            b.len = 0;
            put_frame(&b, 0x80 | op, "x", 1);
            check_events(&b, "error(1002) ");
        }
    }
    /* control frames: fragmented, or over 125 bytes */
    for (unsigned op = 8; op <= 10; op++) {
        b.len = 0;
        put_frame(&b, op, "\x03\xe8", 2);
        check_events(&b, "error(1002) ");
        b.len = 0;
        put_frame(&b, 0x80 | op, NULL, 126);
        check_events(&b, "error(1002) ");
        b.len = 0;
        put_frame(&b, 0x80 | op, NULL, 65536);
        check_events(&b, "error(1002) ");
    }
    /* fragmentation: a continuation of nothing, a new message within one */
    b.len = 0;
    put_frame(&b, 0x80, "x", 1);
    check_events(&b, "error(1002) ");
    b.len = 0;
    put_frame(&b, 0x82, "x", 1);
    put_frame(&b, 0x80, "x", 1);
    check_events(&b, "error(1002) ");
    b.len = 0;
    put_frame(&b, 0x01, "x", 1);
    put_frame(&b, 0x81, "x", 1);
    check_events(&b, "error(1002) ");
    /* lengths: not the shortest form, top bit set */
    CHECK_RAW("\x82\xfe\x00\x7d\x01\x02\x03\x04", "error(1002) ");
    CHECK_RAW("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04", "error(1002) ");
    CHECK_RAW("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", "error(1002) ");
    /* after an error everything is ignored */
    CHECK_RAW("\x81\x05\x89\x80\x01\x02\x03\x04", "error(1002) ");
}

static void test_parse_too_big(void **state)
{
    static struct bytes b;

    b.len = 0;
    put_frame(&b, 0x82, NULL, WEBSOCKET_MESSAGE_MAX + 1);
    check_events(&b, "error(1009) ");
    b.len = 0;
    put_frame(&b, 0x81, NULL, 65536);
    check_events(&b, "error(1009) ");
    CHECK_RAW("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", "error(1009) ");
    /* in fragments, and with a sum that would overflow */
    b.len = 0;
    put_frame(&b, 0x02, NULL, WEBSOCKET_MESSAGE_MAX);
    put_frame(&b, 0x80, NULL, 1);
    check_events(&b, "error(1009) ");
    CHECK_RAW("\x02\x81\x01\x02\x03\x04x"
              "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04",
              "error(1009) ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_that_tells_an_error),
        cmocka_unit_test(test_error_before_a_stream),
        cmocka_unit_test(test_binary_header),
        cmocka_unit_test(test_control_frames),
        cmocka_unit_test(test_parse_good),
        cmocka_unit_test(test_parse_close_codes),
        cmocka_unit_test(test_parse_malformed),
        cmocka_unit_test(test_parse_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
