/*
 * RTSP URLs as they stand in requests and as cameras write them: repaired, joined with SDP control
 * attributes.  Worker; pure.  RFC 2326 section 3.2 and appendix C.1.1, and what real cameras make
 * of them.
 */
#ifndef WORKER_RTSP_URL_H
#define WORKER_RTSP_URL_H

#include "common/url.h"

#define RTSP_URL_MAX IPC_URL_MAX

struct rtsp_url {
    struct camera_url parts;    /* user name and password too: never log them */
    char request[RTSP_URL_MAX]; /* as sent in requests: without credentials */
};

/**
 * The URL that a camera was asked for with.
 *
 * @param parts  RTSP, RTSPS or RTSPH.
 */
void rtsp_url_from(struct rtsp_url *url, const struct camera_url *parts);

/**
 * Read an absolute URL that a camera wrote.  It is split by url_parse(); requests keep its spelling
 * unless it has an `@`.
 *
 * @param url  filled on success.  Caller owns.
 * @return 0; -EINVAL when it is not an rtsp:// or rtsps:// URL or a part is too long.
 */
int rtsp_url_parse(struct rtsp_url *url, const char *text);

/**
 * The base of relative control attributes, from what Content-Base says: a doubled URL loses its
 * first half, one without scheme or host, or otherwise unusable, gives way to the request's URL.
 *
 * @param request  URL of the DESCRIBE.
 * @param text     value of Content-Base or Content-Location, or the session's a=control; "" if
 * none.
 * @param out      RTSP_URL_MAX bytes.
 */
void rtsp_url_base(const char *request, const char *text, char *out);

/**
 * A track's URL.  Relative attributes are appended with exactly one slash in between, also after
 * a query: cameras mean it like that, not like RFC 3986.
 *
 * @param out  RTSP_URL_MAX bytes.
 * @return 0, or -ENAMETOOLONG.
 */
int rtsp_url_join(const char *base, const char *control, char *out);

/**
 * The same by RFC 3986, for servers that mean it like that: `/x` replaces the path, `x` its last
 * segment.
 *
 * @return 0; -ENOENT when it is no different from rtsp_url_join(); -ENAMETOOLONG.
 */
int rtsp_url_resolve(const char *base, const char *control, char *out);

#endif /* WORKER_RTSP_URL_H */
