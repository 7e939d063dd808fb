/*
 * May this request be served?  Checks token and signed URLs ([access]), and web pages of other
 * origins.  Master, loop thread; pure: no I/O, the caller passes the time.  camera_access.h decides
 * which cameras may be requested.
 *
 * A signed URL carries expires=UNIX and signature=HEX: HMAC-SHA256 (RFC 2104) under signing_key of
 *
 *     PATH "\n" CAMERA "\n" EXPIRES
 *
 * PATH is the request's path as sent (`/`, `/live.flv`, `/snapshot`, `/mjpeg`), or `*` for all of
 * them: one signature then opens player, stream and pictures of a camera.  CAMERA is the decoded
 * value of cam_url or cam, without the `.flv` that some players append, EXPIRES the digits of
 * expires.  With cam the signature opens no request that has a cam_type.
 */
#ifndef MASTER_ACCESS_H
#define MASTER_ACCESS_H

#include "master/conf.h"
#include "master/http_head.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_SIGNATURE_MAX 65 /* 64 hexadecimal digits and a NUL */
#define ACCESS_ANY_PATH "*"
#define ACCESS_NO_CAM_TYPE \
    "cam_type: a signature for cam=NAME leaves the transport to the configuration"

/* What a request needs.  Streams and pictures are open to a signature, too; status, metrics and
 * changes only to the token. */
enum access_by { ACCESS_BY_TOKEN, ACCESS_BY_SIGNATURE /* or the token */ };

/**
 * Does the request carry what [access] asks for?  Always true when neither token nor signing_key is
 * set.  Secrets are compared in constant time.
 *
 * @param now_s    UNIX time.
 * @param message  on refusal: a literal for the answer.
 */
bool access_allows(const struct conf *conf, const struct http_request *request, enum access_by by,
                   int64_t now_s, const char **message);

/**
 * May this request change something?  Any web page that a user has open can send requests
 * (cross-site request forgery).  Unless the request is a mere GET or HEAD, browsers name the page's
 * origin in Origin (Fetch standard, section 3.1); other programs send none.  A request with Origin
 * may change nothing, unless token or signing_key is set: then access_allows() has seen a secret
 * that foreign pages do not know.
 *
 * @param message  on refusal: a literal for the answer.
 */
bool access_allows_change(const struct conf *conf, const struct http_request *request,
                          const char **message);

/**
 * Compute the signature that opens stream and pictures of the camera that a request names.
 *
 * @param expires  digits: UNIX time.
 * @return false: there is no signing_key, or the query has a fault.
 */
bool access_sign_camera(const struct conf *conf, const struct http_request *request,
                        const char *expires, char out[ACCESS_SIGNATURE_MAX]);

/** Compute a URL's signature, as above. */
void access_sign(const char *key, const char *path, const char *camera, const char *expires,
                 char out[ACCESS_SIGNATURE_MAX]);

#endif /* MASTER_ACCESS_H */
