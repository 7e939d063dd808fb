/* worker/video/nal_message: NAL units as publishers write them into FLV. */
#include "worker/video/nal_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPS "\x67\x42\xc0\x0d"
#define PPS "\x68\xcb\x83"
#define SEI "\x06\x05\x01\xaa\x80"
#define AUD "\x09\xf0"
#define IDR "\x65\x88\x84\x21"
#define TIME "\0\0\1\xa2\x22\x05\x4c\0" /* in ms since 1970, without emulation prevention */
#define CODE4 "\0\0\0\1"
#define CODE3 "\0\0\1"

struct written {
    const char *data;
    size_t len;
    unsigned length_size; /* announced */
    const char *nals;     /* first bytes of what is found */
    unsigned slices;
    bool broken;
};

#define WRITTEN(data, length_size, nals, slices, broken)          \
    {                                                             \
        data, sizeof(data) - 1, length_size, nals, slices, broken \
    }

static const struct written cases[] = {
    /* as it should be */
    WRITTEN("\0\0\0\4" SPS "\0\0\0\3" PPS "\0\0\0\4" IDR, 4, "\x67\x68\x65", 1, false),
    WRITTEN("\0\4" SPS "\0\2" AUD "\0\4" IDR "\0\4" IDR, 2, "\x67\x65\x65", 2, false),
    /* start codes */
    WRITTEN(CODE4 AUD CODE4 SPS CODE4 PPS CODE4 IDR, 4, "\x67\x68\x65", 1, false),
    WRITTEN(CODE3 SPS CODE3 PPS CODE3 IDR, 4, "\x67\x68\x65", 1, false),
    WRITTEN(CODE4 SPS CODE3 PPS CODE3 IDR, 4, "\x67\x68\x65", 1, false),
    WRITTEN(CODE3 SPS CODE4 IDR "\0\0\0", 2, "\x67\x65", 1, false),
    WRITTEN(CODE3 IDR, 3, "\x65", 1, false),
    /* one length, then start codes */
    WRITTEN("\0\0\0\x0d" SEI CODE4 IDR, 4, "\x06\x65", 1, false),
    WRITTEN("\0\0\0\x17" AUD CODE4 SPS CODE3 PPS CODE3 IDR "\0", 4, "\x67\x68\x65", 1, false),
    WRITTEN("\0\0\0\x14" AUD CODE4 SPS CODE3 PPS CODE3 "\x65\0\0\0\2\x61\x88", 4,
            "\x67\x68\x65\x61", 2, false),
    WRITTEN("\0\0\0\x0c"
            "\x06\x05\x01\xaa" CODE4 IDR,
            4, "\x06\x65", 1, false),
    WRITTEN("\0\0\0\x0b"
            "\x06\x05\x09\xaa" CODE3 IDR,
            4, "\x06\x65", 1, false),
    /* what looks like a start code in an SEI: here the time, 28 November 2026 */
    WRITTEN("\0\0\0\x0d\x06\x05\x09\xaa" TIME "\x80\0\0\0\4" IDR, 4, "\x06\x65", 1, false),
    WRITTEN("\0\0\0\x18\x06\x01\x01\xbb\x05\x09\xaa" TIME "\x80" CODE4 SPS "\0\0\0\4" IDR, 4,
            "\x06\x67\x65", 1, false),
    WRITTEN("\0\0\0\x11\x06\x05\x04\0\0\3\1\xaa\x80" CODE4 IDR, 4, "\x06\x65", 1, false),
    /* lengths of 4 bytes, whatever was announced */
    WRITTEN("\0\0\0\4" SPS "\0\0\0\4" IDR, 1, "\x67\x65", 1, false),
    WRITTEN("\0\0\0\4" SPS "\0\0\0\4" IDR, 2, "\x67\x65", 1, false),
    /* padding */
    WRITTEN("\0\0\0\4" IDR "\0", 4, "\x65", 1, false),
    WRITTEN("\0\0\0\4" IDR "\0\0\0\0\0\0\0", 4, "\x65", 1, false),
    WRITTEN("\0\0\0\0\0\0\0\4" IDR, 4, "\x65", 1, false),
    /* cut, or nothing of all this */
    WRITTEN("\0\0\0\4" SPS "\0\0\0\x40" IDR, 4, "\x67", 0, true),
    WRITTEN("\0\0\0\4" IDR "\0\1", 4, "\x65", 1, true),
    WRITTEN("\0\0\0\4" IDR "\1", 4, "\x65", 1, true),
    WRITTEN("\0\4" IDR "\0\x40\x65", 2, "\x65", 1, true),
    WRITTEN("\xff\xff\xff\xff", 1, "", 0, true),
    WRITTEN("\0\0\0", 4, "", 0, false),
    WRITTEN("", 4, "", 0, false),
};

static void check(const struct written *w)
{
    uint8_t *data = malloc(w->len + 1); /* exactly, for ASan */
    struct nal_message m;
    struct nal_message_cursor cursor;
    struct nal nal;
    size_t found = 0;
    memcpy(data, w->data, w->len);
    data = realloc(data, w->len > 0 ? w->len : 1);
    nal_message_read(&m, AV_CODEC_ID_H264, w->length_size, data, w->len);
    assert_int_equal(m.broken, w->broken);
    assert_int_equal(m.slices, w->slices);
    nal_message_begin(&cursor, data, w->len);
    for (; nal_message_next(&m, &cursor, &nal); found++) {
        assert_int_equal(nal.data[0], (uint8_t)w->nals[found]);
        assert_int_not_equal(nal.data[nal.len - 1], 0);
    }
    assert_int_equal(found, strlen(w->nals));
    if (m.slices > 0)
        assert_int_equal(m.slice.data[0], 0x65);
    free(data);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i]);
}

/* Where the first of several pictures ends. */
static void test_pictures(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        unsigned pictures;
        size_t first_len, rest_len; /* of what is left, the first picture */
    } messages[] = {
        {"\0\0\0\4" IDR "\0\0\0\4" IDR "\0\0\0\3" PPS "\0\0\0\4" IDR, 31, 3, 8, 8},
        {"\0\0\0\4" IDR "\0\0\0\2\x65\x48\0\0\0\4" IDR "\0\0\0\2\x65\x48", 28, 2, 14, 14},
        {CODE4 IDR CODE4 IDR, 16, 2, 9, 7},
        {CODE3 SPS CODE3 IDR CODE3 SPS CODE3 IDR, 28, 2, 14, 14},
        {"\0\0\0\x15" SEI CODE4 IDR CODE4 IDR "\0\0\0\4" IDR, 33, 3, 0, 8},
        {"\0\0\0\4" IDR "\0\0\0\3" PPS, 15, 1, 15, 0},
        {"\0\0\0\3" PPS, 7, 1, 7, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        const uint8_t *data = (const uint8_t *)messages[i].data;
        struct nal_message m;
        nal_message_read(&m, AV_CODEC_ID_H264, 4, data, messages[i].len);
        assert_false(m.broken);
        assert_int_equal(m.pictures, messages[i].pictures);
        assert_int_equal(m.first_len, messages[i].first_len);
        nal_message_read_picture(&m, data, messages[i].len);
        assert_true(m.first_len > 0 && m.first_len <= messages[i].len);
        if (messages[i].rest_len == 0 || messages[i].first_len == 0)
            continue;
        size_t at = messages[i].first_len;
        nal_message_read_picture(&m, data + at, messages[i].len - at);
        assert_int_equal(m.first_len, messages[i].rest_len);
        assert_true(m.slices >= 1);
    }
}

/* HEVC has headers of two bytes. */
static void test_hevc(void **state)
{
    (void)state;
    static const char text[] = "\0\0\0\x11\x40\1\xaa\0\0\0\1\x42\1\xbb\0\0\1\x26\1\xcc\xdd";
    struct nal_message m;
    struct nal_message_cursor cursor;
    struct nal nal;
    const uint8_t *data = (const uint8_t *)text;
    nal_message_read(&m, AV_CODEC_ID_HEVC, 4, data, sizeof(text) - 1);
    nal_message_begin(&cursor, data, sizeof(text) - 1);
    assert_false(m.broken);
    assert_int_equal(m.slices, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_true(nal_message_next(&m, &cursor, &nal));
        assert_int_equal(nal.data[0], "\x40\x42\x26"[i]);
        assert_int_equal(nal.len, i < 2 ? 3 : 4);
    }
    assert_false(nal_message_next(&m, &cursor, &nal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_hevc),
    };
    return cmocka_run_group_tests_name("nal_message", tests, NULL, NULL);
}
