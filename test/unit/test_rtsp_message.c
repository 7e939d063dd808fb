#include "worker/rtsp/rtsp_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct rtsp_reader *r = calloc(1, sizeof(*r));
    assert_int_equal(rtsp_reader_init(r), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rtsp_reader_free(*state);
    free(*state);
    return 0;
}

static void feed(struct rtsp_reader *r, const void *data, size_t len)
{
    size_t room;
    uint8_t *space = rtsp_reader_space(r, &room);
    assert_true(room >= len);
    if (len > 0)
        memcpy(space, data, len);
    rtsp_reader_filled(r, len);
}

static void feed_text(struct rtsp_reader *r, const char *text)
{
    feed(r, text, strlen(text));
}

/* An interleaved RTP packet of len payload bytes, the first two of a header. */
static size_t make_frame(uint8_t *buf, uint8_t channel, uint16_t len)
{
    memset(buf, 0x55, (size_t)len + 4);
    buf[0] = '$';
    buf[1] = channel;
    buf[2] = (uint8_t)(len >> 8);
    buf[3] = (uint8_t)len;
    buf[4] = 0x80;
    buf[5] = 96;
    return (size_t)len + 4;
}

static void assert_slice(struct rtsp_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

static void test_response(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    struct rtsp_slice v;
    feed_text(r, "RTSP/1.0 200 OK\r\nCseq: 7 \r\nContent-length:5\r\nX:\r\n\r\nhelloRTSP/1.0 4");
    assert_int_equal(rtsp_reader_next(r, &m), 1);
    assert_int_equal(m.item, RTSP_ITEM_RESPONSE);
    assert_int_equal(m.status, 200);
    assert_slice(m.body, "hello");
    assert_true(rtsp_message_header(&m, "CSeq", NULL, &v));
    assert_slice(v, "7");
    assert_true(rtsp_message_header(&m, "x", NULL, &v));
    assert_slice(v, "");
    assert_false(rtsp_message_header(&m, "Session", NULL, &v));
    assert_int_equal(rtsp_reader_next(r, &m), 0);
    feed_text(r, "04 Not Found\n\n");
    assert_int_equal(rtsp_reader_next(r, &m), 1);
    assert_int_equal(m.status, 404);
    assert_int_equal(m.header_count, 0);
}

static void test_every_cut(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    uint8_t all[600];
    size_t len = make_frame(all, 0, 100);
    const char *text = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc"
                       "GET_PARAMETER rtsp://x RTSP/1.0\r\nCSeq: 2\r\n\r\n";
    memcpy(all + len, text, strlen(text));
    len += strlen(text);
    len += make_frame(all + len, 3, 12);
    for (size_t cut = 0; cut <= len; cut++) {
        unsigned items = 0;
        feed(r, all, cut);
        while (rtsp_reader_next(r, &m) == 1)
            items++;
        feed(r, all + cut, len - cut);
        while (rtsp_reader_next(r, &m) == 1)
            items++;
        assert_int_equal(items, 4);
        assert_int_equal(m.item, RTSP_ITEM_FRAME);
        assert_int_equal(m.channel, 3);
    }
    assert_int_equal(r->skipped, 0);
}

static void test_request(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    feed_text(r, "\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n");
    assert_int_equal(rtsp_reader_next(r, &m), 1);
    assert_int_equal(m.item, RTSP_ITEM_REQUEST);
    assert_slice(m.method, "OPTIONS");
}

static void test_garbage_between_frames(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    uint8_t buf[4096];
    size_t len = make_frame(buf, 0, 40);
    /* Among the garbage what looks like frames: wrong version, too short, wrong payload type. */
    static const uint8_t garbage[] = {0, 1,    2,  '$', 0, 0, 20, 0x11, 96, '$', 0,   0,
                                      7, 0x80, 96, '$', 0, 0, 20, 0x80, 97, 'x', 'R', 'T'};
    r->payload_types[0] = 96;
    memcpy(buf + len, garbage, sizeof(garbage));
    len += sizeof(garbage);
    len += make_frame(buf + len, 1, 50);
    len += make_frame(buf + len, 2, 60);
    feed(r, buf, len);
    static const size_t sizes[] = {40, 50, 60};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rtsp_reader_next(r, &m), 1);
        assert_int_equal(m.item, RTSP_ITEM_FRAME);
        assert_int_equal(m.channel, i);
        assert_int_equal(m.frame_len, sizes[i]);
    }
    assert_int_equal(r->skipped, sizeof(garbage));
    assert_int_equal(rtsp_reader_next(r, &m), 0);
}

static void test_garbage_without_end(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    uint8_t junk[4096];
    memset(junk, 0xEE, sizeof(junk));
    int rc = 0;
    for (int i = 0; i < 300 && rc == 0; i++) {
        feed(r, junk, sizeof(junk));
        rc = rtsp_reader_next(r, &m);
    }
    assert_int_equal(rc, -EPROTO);
}

static void test_limits(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    uint8_t *big = calloc(1, 4 + 65535);
    size_t len = make_frame(big, 9, 65535);
    feed(r, big, len);
    assert_int_equal(rtsp_reader_next(r, &m), 1);
    assert_int_equal(m.frame_len, 65535);
    free(big);

    feed_text(r, "RTSP/1.0 200 OK\r\nContent-Length: 65537\r\n\r\n");
    assert_int_equal(rtsp_reader_next(r, &m), -EMSGSIZE);
}

static void test_head_too_long(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    feed_text(r, "RTSP/1.0 200 OK\r\n");
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        feed_text(r, "X-Header: abcdefghijklmnopqrstuvwxyz\r\n");
        rc = rtsp_reader_next(r, &m);
    }
    assert_int_equal(rc, -EMSGSIZE);
}

static void test_many_headers(void **state)
{
    struct rtsp_reader *r = *state;
    struct rtsp_message m;
    feed_text(r, "RTSP/1.0 200 OK\r\n");
    for (int i = 0; i < 200; i++)
        feed_text(r, "X: y\r\nno colon\r\n");
    feed_text(r, "\r\n");
    assert_int_equal(rtsp_reader_next(r, &m), 1);
    assert_int_equal(m.header_count, RTSP_HEADERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_response, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_between_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_headers, setup, teardown),
    };
    return cmocka_run_group_tests_name("rtsp_message", tests, NULL, NULL);
}
