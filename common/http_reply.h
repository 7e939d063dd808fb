/*
 * HTTP/1.1 response heads and error bodies, for master and worker.  Pure.
 * RFC 9110, RFC 9112; CORS as in the Fetch standard.
 */
#ifndef COMMON_HTTP_REPLY_H
#define COMMON_HTTP_REPLY_H

#include <stddef.h>

/* clang-format off */
/* Every error in docs/api.md.  X(NAME, code, status) */
#define HTTP_ERRORS(X)                                    \
    X(MISSING_CAMERA,      "missing_camera",       400)   \
    X(BAD_CAMERA_URL,      "bad_camera_url",       400)   \
    X(UNSUPPORTED_SCHEME,  "unsupported_scheme",   400)   \
    X(BAD_PARAMETER,       "bad_parameter",        400)   \
    X(BAD_REQUEST,         "bad_request",          400)   \
    X(UNAUTHORIZED,        "unauthorized",         401)   \
    X(CAMERA_NOT_ALLOWED,  "camera_not_allowed",   403)   \
    X(ORIGIN_NOT_ALLOWED,  "origin_not_allowed",   403)   \
    X(MANAGE_OFF,          "manage_off",           403)   \
    X(NOT_FOUND,           "not_found",            404)   \
    X(UNKNOWN_CAMERA,      "unknown_camera",       404)   \
    X(METHOD_NOT_ALLOWED,  "method_not_allowed",   405)   \
    X(REQUEST_TIMEOUT,     "request_timeout",      408)   \
    X(CAMERA_IN_FILE,      "camera_in_file",       409)   \
    X(CAMERA_EXISTS,       "camera_exists",        412)   \
    X(BODY_TOO_LARGE,      "body_too_large",       413)   \
    X(URI_TOO_LONG,        "uri_too_long",         414)   \
    X(HEADER_TOO_LARGE,    "header_too_large",     431)   \
    X(CAMERA_UNREACHABLE,  "camera_unreachable",   502)   \
    X(CAMERA_UNAUTHORIZED, "camera_unauthorized",  502)   \
    X(CAMERA_NOT_FOUND,    "camera_not_found",     502)   \
    X(CAMERA_NO_VIDEO,     "camera_no_video",      502)   \
    X(UNSUPPORTED_CODEC,   "unsupported_codec",    502)   \
    X(TOO_MANY_CAMERAS,    "too_many_cameras",     503)   \
    X(TOO_MANY_VIEWERS,    "too_many_viewers",     503)   \
    X(CLIENT_SHARE,        "client_share",         503)   \
    X(OVERLOADED,          "overloaded",           503)   \
    X(DRAINING,            "draining",             503)   \
    X(CAMERA_TIMEOUT,      "camera_timeout",       504)   \
    X(CANNOT_SAVE,         "cannot_save",          507)
/* clang-format on */

enum http_error {
    HTTP_ERROR_NONE,
#define X(name, code, status) HTTP_ERROR_##name,
    HTTP_ERRORS(X)
#undef X
        HTTP_ERROR_COUNT
};

/* The largest head or complete error answer that the functions below write. */
#define HTTP_REPLY_MAX 8192

#define HTTP_ERROR_JSON_MAX 4928 /* the largest error body */

/** @return the code of the JSON body ("camera_timeout"), or the HTTP status. */
const char *http_error_code(enum http_error error);
int http_error_status(enum http_error error);

/**
 * Write a response head: status line, the headers given, CORS, `Cross-Origin-Resource-Policy` (a
 * cross-origin isolated page may take pictures and scripts from here), `Connection: close`
 * (`Upgrade` if the status is 101), empty line.
 *
 * @param buf     HTTP_REPLY_MAX bytes.  Caller owns.
 * @param status  200, 204, 304, …
 * @param origin  the request's Origin header to echo (with `Vary: Origin`); NULL or "": `*`.
 * @param headers further complete lines, each ending in CRLF, or "".
 * @return bytes written, without a NUL.
 */
size_t http_reply_head(char *buf, int status, const char *origin, const char *headers);

/**
 * Keep the connection after an answer: remove `Connection: close` from its head (RFC 9112 section
 * 9.3).  The answer must state its length or have no body.
 *
 * @param buf  an answer, or its head, from the functions here.
 * @param len  its length.
 * @return the new length.
 */
size_t http_reply_keep(char *buf, size_t len);

/**
 * Write an error body: {"error":{"code","message","camera"}} and a newline.
 *
 * @param buf  HTTP_ERROR_JSON_MAX bytes.  Caller owns.
 * @return bytes written, without the NUL.  Other parameters as for http_reply_error().
 */
size_t http_error_json(char *buf, enum http_error error, const char *camera, const char *message);

/**
 * Write a complete error answer: JSON body {"error":{"code","message","camera"}}, and Retry-After
 * if the status is 503.
 *
 * @param camera  redacted URL or name (escaped here), or NULL to leave it out.
 * @param message what was wrong and what is accepted (escaped here).
 * @param head    nonzero: the request was HEAD, write headers only.
 * @return bytes written to buf (HTTP_REPLY_MAX), without a NUL.
 */
size_t http_reply_error(char *buf, enum http_error error, const char *origin, const char *camera,
                        const char *message, int head);

/** As http_reply_error(), with further header lines (`Allow`), each ending in CRLF, or "". */
size_t http_reply_error_with(char *buf, enum http_error error, const char *origin,
                             const char *headers, const char *camera, const char *message,
                             int head);

#endif /* COMMON_HTTP_REPLY_H */
