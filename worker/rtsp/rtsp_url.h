/*
 * Reads and repairs RTSP URLs that cameras write, writes those in requests, and joins them with SDP
 * control attributes.  Worker; pure.  RFC 2326 section 3.2 and appendix C.1.1, and real cameras'
 * deviations from them.
 */
#ifndef WORKER_RTSP_URL_H
#define WORKER_RTSP_URL_H

#include "common/url.h"

#define RTSP_URL_MAX IPC_URL_MAX

struct rtsp_url {
    struct camera_url parts;    /* includes user name and password: never log them */
    char request[RTSP_URL_MAX]; /* as sent in requests: without credentials */
};

/**
 * Make a URL from the parts of a camera URL.
 *
 * @param parts  RTSP, RTSPS or RTSPH.
 */
void rtsp_url_from(struct rtsp_url *url, const struct camera_url *parts);

/**
 * Read an absolute URL that a camera wrote.  Requests keep its spelling unless it has an `@`.
 *
 * @param url  filled on success.  Caller owns.
 * @return 0; -EINVAL when it is not an rtsp:// or rtsps:// URL or a part is too long.
 */
int rtsp_url_parse(struct rtsp_url *url, const char *text);

/**
 * Find the base URL for relative control attributes.  A doubled URL loses its first half; an
 * unusable one, such as one without scheme or host, is replaced with the request's URL.
 *
 * @param request  the URL of the DESCRIBE.
 * @param text     the value of Content-Base or Content-Location, or the session's a=control; "" if
 *                 there is none.
 * @param out      RTSP_URL_MAX bytes.
 */
void rtsp_url_base(const char *request, const char *text, char *out);

/**
 * Make a track's URL.  Relative attributes are appended with exactly one slash in between, even
 * after a query: this is what most cameras mean, not RFC 3986.
 *
 * @param out  RTSP_URL_MAX bytes.
 * @return 0, or -ENAMETOOLONG.
 */
int rtsp_url_join(const char *base, const char *control, char *out);

/**
 * The same by RFC 3986, for servers that follow it: `/x` replaces the path, `x` its last segment.
 *
 * @return 0; -ENOENT when the result would be the same as rtsp_url_join()'s; -ENAMETOOLONG.
 */
int rtsp_url_resolve(const char *base, const char *control, char *out);

#endif /* WORKER_RTSP_URL_H */
