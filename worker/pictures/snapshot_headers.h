/*
 * What an answer says of its picture: header lines, entity tags.  Worker, any thread; pure: the
 * time is given.  docs/api.md describes the same for users.
 */
#ifndef WORKER_SNAPSHOT_HEADERS_H
#define WORKER_SNAPSHOT_HEADERS_H

#include "worker/pictures/snapshot_render.h"

#define SNAPSHOT_ETAG_MAX 128
#define SNAPSHOT_HEADERS_MAX 512
/* The names of all lines that snapshot_headers() writes, for Access-Control-Expose-Headers. */
#define SNAPSHOT_HEADER_NAMES                                                     \
    "X-Snapshot-Age-Ms, X-Snapshot-Time, X-Snapshot-Clock, X-Snapshot-Sequence, " \
    "X-Snapshot-Size, X-Snapshot-Source-Size, X-Snapshot-Codec"

/** An entity tag for a picture in a form, quotes included (RFC 9110 section 8.8.3). */
void snapshot_etag_format(char etag[SNAPSHOT_ETAG_MAX], const struct snapshot_picture *picture,
                          const struct picture_form *form);

/**
 * @param tag  from a client.
 * @return received_us of the picture that it names; 0: no tag of ours.
 */
int64_t snapshot_etag_received_us(const char *tag);

/** Does the tag match an If-None-Match header: a list of tags, or `*`?  RFC 9110 section 13.1.2. */
bool snapshot_etag_matches(const char *if_none_match, const char *etag);

/** RFC 9110 section 5.6.7. */
void snapshot_http_date(char date[40], int64_t unix_us);

/**
 * Lines about a picture, each ending in CRLF.
 *
 * @param jpeg    what is sent of it.
 * @param now_us  clock_us().
 * @return bytes written, without the NUL.
 */
size_t snapshot_headers(char headers[SNAPSHOT_HEADERS_MAX], const struct snapshot_picture *picture,
                        const struct jpeg *jpeg, int64_t now_us);

#endif /* WORKER_SNAPSHOT_HEADERS_H */
