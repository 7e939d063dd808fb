#include "worker/pictures/exif.h"

#include "common/bytes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* TIFF 6.0, section 2 */
enum { TYPE_ASCII = 2, TYPE_LONG = 4, TYPE_UNDEFINED = 7 };
enum {
    TAG_EXIF_IFD = 0x8769,
    TAG_EXIF_VERSION = 0x9000,
    TAG_DATE_TIME_ORIGINAL = 0x9003,
    TAG_OFFSET_TIME_ORIGINAL = 0x9011,
    TAG_SUB_SEC_TIME_ORIGINAL = 0x9291
};
#define ENTRY_BYTES 12
#define TIFF_HEAD_BYTES 8
#define EXIF_ENTRIES 4
/* Offsets from the TIFF head: a directory with one entry, the EXIF directory, then long values. */
#define EXIF_IFD_AT (TIFF_HEAD_BYTES + 2 + ENTRY_BYTES + 4)
#define VALUES_AT (EXIF_IFD_AT + 2 + EXIF_ENTRIES * ENTRY_BYTES + 4)
#define DATE_BYTES 20 /* "2026:11:27 12:34:56" and its NUL */
#define OFFSET_BYTES 7

static uint8_t *put_entry(uint8_t *p, unsigned tag, unsigned type, uint32_t count)
{
    return bytes_put32(bytes_put16(bytes_put16(p, tag), type), count);
}

static uint8_t *put_bytes(uint8_t *p, const char *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

static uint8_t *put_tiff(uint8_t *p, const char *date, const char *milliseconds)
{
    p = put_bytes(p, "MM\0\x2a", 4); /* big endian */
    p = bytes_put32(p, TIFF_HEAD_BYTES);
    p = bytes_put16(p, 1);
    p = bytes_put32(put_entry(p, TAG_EXIF_IFD, TYPE_LONG, 1), EXIF_IFD_AT);
    p = bytes_put32(p, 0); /* no further directory */

    p = bytes_put16(p, EXIF_ENTRIES); /* in the order of their tags */
    p = put_bytes(put_entry(p, TAG_EXIF_VERSION, TYPE_UNDEFINED, 4), "0232", 4);
    p = bytes_put32(put_entry(p, TAG_DATE_TIME_ORIGINAL, TYPE_ASCII, DATE_BYTES), VALUES_AT);
    p = bytes_put32(put_entry(p, TAG_OFFSET_TIME_ORIGINAL, TYPE_ASCII, OFFSET_BYTES),
                    VALUES_AT + DATE_BYTES);
    p = put_bytes(put_entry(p, TAG_SUB_SEC_TIME_ORIGINAL, TYPE_ASCII, 4), milliseconds, 4);
    p = bytes_put32(p, 0);
    p = put_bytes(p, date, DATE_BYTES);
    return put_bytes(p, "+00:00", OFFSET_BYTES);
}

size_t exif_write(uint8_t segment[EXIF_BYTES], int64_t taken_us)
{
    char date[DATE_BYTES], milliseconds[4];
    struct tm tm;
    time_t seconds = (time_t)(taken_us / 1000000);
    if (taken_us < 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900)
        return 0;
    (void)strftime(date, sizeof(date), "%Y:%m:%d %H:%M:%S", &tm);
    (void)snprintf(milliseconds, sizeof(milliseconds), "%03u", (unsigned)(taken_us / 1000 % 1000));

    uint8_t *length = put_bytes(segment, "\xff\xe1", 2);
    uint8_t *p = put_bytes(length + 2, "Exif\0", 6);
    p = put_tiff(p, date, milliseconds);
    bytes_put16(length, (uint32_t)(p - length));
    assert((size_t)(p - segment) <= EXIF_BYTES);
    return (size_t)(p - segment);
}
