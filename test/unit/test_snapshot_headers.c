/* worker/pictures/snapshot_headers: tags that name a picture and a form, times, lines. */
#include "worker/pictures/snapshot_headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct snapshot_picture picture = {
    .stamp = {.seq = 77, .number = 42, .received_us = 0xabcdef, .codec = AV_CODEC_ID_HEVC},
    .width = 1920,
    .height = 1080,
    .taken_us = INT64_C(1795782896789012)};

static void test_tag_names_picture_and_form(void **state)
{
    (void)state;
    struct picture_form a = {.width = 640, .quality = 85}, b = a, c = a;
    char tag[SNAPSHOT_ETAG_MAX], other[SNAPSHOT_ETAG_MAX];
    b.quality = 86;
    c.crop = (struct picture_crop){1, 2, 3, 4};
    snapshot_etag_format(tag, &picture, &a);
    assert_string_equal(tag, "\"abcdef-4d-640x0q85\"");
    assert_int_equal(snapshot_etag_received_us(tag), 0xabcdef);
    snapshot_etag_format(other, &picture, &b);
    assert_string_not_equal(tag, other);
    snapshot_etag_format(other, &picture, &c);
    assert_string_not_equal(tag, other);
    assert_int_equal(snapshot_etag_received_us(other), 0xabcdef);
    struct snapshot_picture later = picture;
    later.stamp.received_us++; /* the same number of another worker */
    snapshot_etag_format(other, &later, &a);
    assert_string_not_equal(tag, other);
}

static void test_tags_of_others(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      "*",       "\"\"",      "\"-4d\"",
        "abc-1", "\"abc\"", "\"xyz-1\"", "\"ffffffffffffffff-1-0x0q85\"",
        "W/",    "W/abc-1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(snapshot_etag_received_us(bad[i]), 0);
    assert_int_equal(snapshot_etag_received_us("W/\"1f-2-0x0q85\""), 0x1f);
    assert_true(snapshot_etag_matches("*", "\"1\""));
    assert_true(snapshot_etag_matches("\"0\", \"1\"", "\"1\""));
    assert_false(snapshot_etag_matches("\"11\"", "\"1\""));
}

static void test_lines(void **state)
{
    (void)state;
    struct jpeg jpeg = {.width = 640, .height = 360};
    struct snapshot_picture p = picture;
    char lines[SNAPSHOT_HEADERS_MAX];
    size_t len = snapshot_headers(lines, &p, &jpeg, 0xabcdef + 12345);
    assert_int_equal(len, strlen(lines));
    assert_string_equal(lines, "X-Snapshot-Age-Ms: 12\r\n"
                               "X-Snapshot-Time: 2026-11-27T12:34:56.789Z\r\n"
                               "X-Snapshot-Clock: server\r\n"
                               "X-Snapshot-Sequence: 42\r\n"
                               "X-Snapshot-Size: 640x360\r\n"
                               "X-Snapshot-Source-Size: 1920x1080\r\n"
                               "X-Snapshot-Codec: H.265\r\n");
    p.stamp.captured_us = p.taken_us;
    p.stamp.codec = AV_CODEC_ID_H264;
    (void)snapshot_headers(lines, &p, &jpeg, 0);
    assert_non_null(strstr(lines, "X-Snapshot-Clock: camera\r\n"));
    assert_non_null(strstr(lines, "X-Snapshot-Codec: H.264\r\n"));
    for (char *line = lines; *line != '\0'; line = strstr(line, "\r\n") + 2) {
        char name[40] = "";
        memcpy(name, line, strcspn(line, ":"));
        assert_non_null(strstr(SNAPSHOT_HEADER_NAMES, name));
    }
    char date[40];
    snapshot_http_date(date, p.taken_us);
    assert_string_equal(date, "Fri, 27 Nov 2026 12:34:56 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag_names_picture_and_form),
        cmocka_unit_test(test_tags_of_others),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
