/*
 * May this request be served: token and signed URLs ([access]), web pages of others.  Master, loop
 * thread; pure: no I/O, the time is given.  Which cameras may be asked for is camera_access.h.
 *
 * A signed URL carries expires=UNIX and signature=HEX: HMAC-SHA256 (RFC 2104) under signing_key of
 *
 *     PATH "\n" CAMERA "\n" EXPIRES
 *
 * PATH is that of the request as sent (`/`, `/live.flv`, `/snapshot`, `/mjpeg`), CAMERA the decoded
 * value of cam_url or cam, without a `.flv` added for players, EXPIRES the digits of expires.
 */
#ifndef MASTER_ACCESS_H
#define MASTER_ACCESS_H

#include "master/conf.h"
#include "master/http_head.h"

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_SIGNATURE_MAX 65 /* 64 hexadecimal digits and a NUL */

/**
 * Does the request carry what [access] asks for?  Always, when neither token nor signing_key is
 * set.  Secrets are compared in constant time.
 *
 * @param now_s    UNIX time.
 * @param message  on refusal: a literal for the answer.
 */
bool access_allows(const struct conf *conf, const struct http_request *request, int64_t now_s,
                   const char **message);

/**
 * May this request change something, as far as web pages go?  Any page that a user of the network
 * has open can send requests (cross-site request forgery); browsers say in Origin whose page it is
 * (Fetch standard, section 3.1) whenever it is no mere GET; other programs send none.  None of them
 * may, unless token or signing_key is set: access_allows() has seen then what no page of others
 * knows.
 *
 * @param message  on refusal: a literal for the answer.
 */
bool access_allows_change(const struct conf *conf, const struct http_request *request,
                          const char **message);

/** The signature of a URL, as above. */
void access_sign(const char *key, const char *path, const char *camera, const char *expires,
                 char out[ACCESS_SIGNATURE_MAX]);

#endif /* MASTER_ACCESS_H */
