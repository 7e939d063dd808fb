#include "worker/pictures/snapshot_headers.h"

#include "worker/media/video_codec.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void snapshot_etag_format(char etag[SNAPSHOT_ETAG_MAX], const struct snapshot_picture *picture,
                          const struct picture_form *form)
{
    char crop[48] = "";
    if (form->crop.width > 0)
        (void)snprintf(crop, sizeof(crop), "c%u.%u.%u.%u", form->crop.x, form->crop.y,
                       form->crop.width, form->crop.height);
    /* received_us tells apart pictures of two workers with the same ring number */
    (void)snprintf(etag, SNAPSHOT_ETAG_MAX, "\"%llx-%llx-%ux%uq%u%s\"",
                   (unsigned long long)picture->stamp.received_us,
                   (unsigned long long)picture->stamp.seq, form->width, form->height, form->quality,
                   crop);
}

int64_t snapshot_etag_received_us(const char *tag)
{
    static const char digits[] = "0123456789abcdef";
    if (strncmp(tag, "W/", 2) == 0) /* a proxy that compresses makes tags weak */
        tag += 2;
    if (*tag++ != '"')
        return 0;
    size_t len = strspn(tag, digits);
    if (len == 0 || len > 15 || tag[len] != '-')
        return 0;
    return (int64_t)strtoull(tag, NULL, 16);
}

bool snapshot_etag_matches(const char *if_none_match, const char *etag)
{
    return strcmp(if_none_match, "*") == 0 || strstr(if_none_match, etag) != NULL;
}

void snapshot_http_date(char date[40], int64_t unix_us)
{
    struct tm tm = {0};
    time_t t = (time_t)(unix_us / 1000000);
    (void)gmtime_r(&t, &tm);
    (void)strftime(date, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* RFC 3339, milliseconds, UTC */
static void format_time(char text[40], int64_t unix_us)
{
    struct tm tm = {0};
    time_t t = (time_t)(unix_us / 1000000);
    (void)gmtime_r(&t, &tm);
    size_t n = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, 40 - n, ".%03dZ", (int)(unix_us / 1000 % 1000));
}

size_t snapshot_headers(char headers[SNAPSHOT_HEADERS_MAX], const struct snapshot_picture *picture,
                        const struct jpeg *jpeg, int64_t now_us)
{
    const struct picture_stamp *s = &picture->stamp;
    char when[40];
    format_time(when, picture->taken_us);
    int n = snprintf(headers, SNAPSHOT_HEADERS_MAX,
                     "X-Snapshot-Age-Ms: %lld\r\n"
                     "X-Snapshot-Time: %s\r\n"
                     "X-Snapshot-Clock: %s\r\n"
                     "X-Snapshot-Sequence: %llu\r\n"
                     "X-Snapshot-Size: %ux%u\r\n"
                     "X-Snapshot-Source-Size: %dx%d\r\n"
                     "X-Snapshot-Codec: %s\r\n",
                     (long long)((now_us - s->received_us) / 1000), when,
                     s->captured_us != 0 ? "camera" : "server", (unsigned long long)s->number,
                     jpeg->width, jpeg->height, picture->width, picture->height,
                     video_codec_name(s->codec));
    assert(n > 0 && n < SNAPSHOT_HEADERS_MAX);
    return (size_t)n;
}
