/*
 * What an answer says about its picture: header lines, entity tags.  Worker, any thread; pure: the
 * time is passed in.  docs/api.md describes the same for users.
 */
#ifndef WORKER_SNAPSHOT_HEADERS_H
#define WORKER_SNAPSHOT_HEADERS_H

#include "worker/pictures/snapshot_render.h"

#define SNAPSHOT_ETAG_MAX 128
#define SNAPSHOT_HEADERS_MAX 512
/* The names of all headers that snapshot_headers() writes, for Access-Control-Expose-Headers. */
#define SNAPSHOT_HEADER_NAMES                                                     \
    "X-Snapshot-Age-Ms, X-Snapshot-Time, X-Snapshot-Clock, X-Snapshot-Sequence, " \
    "X-Snapshot-Size, X-Snapshot-Source-Size, X-Snapshot-Codec"

/** Write the entity tag of a picture in a form, quotes included (RFC 9110 section 8.8.3). */
void snapshot_etag_format(char etag[SNAPSHOT_ETAG_MAX], const struct snapshot_picture *picture,
                          const struct picture_form *form);

/**
 * @param tag  from a client.
 * @return received_us of the picture that it names; 0: it is not our tag.
 */
int64_t snapshot_etag_received_us(const char *tag);

/** Does the tag match an If-None-Match header: a list of tags, or `*`?  RFC 9110 section 13.1.2. */
bool snapshot_etag_matches(const char *if_none_match, const char *etag);

/** Write an HTTP date, RFC 9110 section 5.6.7. */
void snapshot_http_date(char date[40], int64_t unix_us);

/**
 * Write header lines about a picture, each ending in CRLF.
 *
 * @param jpeg    the JPEG that is sent.
 * @param now_us  clock_us().
 * @return bytes written, without the NUL.
 */
size_t snapshot_headers(char headers[SNAPSHOT_HEADERS_MAX], const struct snapshot_picture *picture,
                        const struct jpeg *jpeg, int64_t now_us);

#endif /* WORKER_SNAPSHOT_HEADERS_H */
