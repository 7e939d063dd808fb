/*
 * Camera URLs: split, normalise, redact.  Every process, any thread; pure, no I/O, no name look-up.
 * A camera URL holds a password: log only what url_redact() wrote.
 */
#ifndef COMMON_URL_H
#define COMMON_URL_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_CREDENTIAL_MAX 128 /* user name or password, decoded, NUL included */
#define URL_HOST_MAX 256       /* RFC 1035 name or address literal, NUL included */
#define URL_PATH_MAX 1024      /* path and query, NUL included */

/* clang-format off */
/* X(NAME, name, default port, transport when no cam_type is given) */
#define URL_SCHEMES(X)                              \
    X(RTSP,  "rtsp",  554,  IPC_TRANSPORT_RTSP_TCP) \
    X(RTSPS, "rtsps", 322,  IPC_TRANSPORT_RTSP_TCP) \
    X(RTSPH, "rtsph", 80,   IPC_TRANSPORT_RTSP_HTTP) \
    X(RTMP,  "rtmp",  1935, IPC_TRANSPORT_RTMP)     \
    X(RTMPS, "rtmps", 443,  IPC_TRANSPORT_RTMP)     \
    X(HTTP,  "http",  80,   IPC_TRANSPORT_HTTP_FLV) \
    X(HTTPS, "https", 443,  IPC_TRANSPORT_HTTP_FLV)
/* clang-format on */

enum url_scheme {
#define X(name, text, port, transport) URL_##name,
    URL_SCHEMES(X)
#undef X
        URL_SCHEME_COUNT
};

/* A camera URL in parts, normalised: equal members mean the same camera. */
struct camera_url {
    enum url_scheme scheme;
    uint16_t port;                     /* never 0 */
    uint8_t has_user;                  /* 1: user or password is not empty */
    uint8_t host_is_ipv6;              /* 1: write the host in brackets */
    char user[URL_CREDENTIAL_MAX];     /* decoded */
    char password[URL_CREDENTIAL_MAX]; /* decoded */
    char host[URL_HOST_MAX];           /* lower case, without brackets */
    char path[URL_PATH_MAX];           /* path and query as sent; "", or begins with `/` or `?` */
};

/**
 * Split a camera URL as a person writes or pastes it.
 *
 * Rules for text that RFC 3986 does not allow:
 * - `#` does not end the host: cameras have no fragments, passwords have `#`.
 * - Each `/` and `?` is tried in turn as the end of the host part.  It ends at the first one
 *   with a valid `host` or `host:port` between it and the last `@` before it.  So `@` and `#` need
 *   no encoding in a password, nor do `/` and `?` unless the text before them happens to be a valid
 *   host.  A standard URL is therefore always read as the standard says.
 * - Exception: in an rtsp or rtmp URL a single-label host (`u:p@ss/w@10.0.0.9/cam`: `ss`) is taken
 *   as part of the password if a later `/`, `?` or the end of the URL leaves an IP address as host.
 * - In user name and password, `%` and two hexadecimal digits are an escape; any other `%` is a
 *   plain character.
 * - The first `:` ends the user name.
 *
 * @param text   len bytes, need not be terminated.  Borrowed.
 * @param u      filled on success.
 * @param reason on error: what is wrong and what is accepted, without any part of the URL.
 * @return 0; -EPROTONOSUPPORT: unsupported scheme; -EINVAL: not a camera URL; -ENAMETOOLONG: a part
 *         exceeds a limit above, or the whole exceeds IPC_URL_MAX.
 */
int url_parse(struct camera_url *u, const char *text, size_t len, const char **reason);

/**
 * Write the normalised URL: host lower case, default port dropped, credentials percent-encoded.
 * It is the camera's key, and url_parse() splits it into the same parts.
 *
 * @param out IPC_URL_MAX bytes.  Caller owns.
 * @return length without the NUL; always fits for a parsed URL.
 */
size_t url_format(const struct camera_url *u, char *out);

/**
 * Write the URL so that libavformat sends the right credentials.  libavformat decodes RTSP and HTTP
 * credentials, so these URLs are as from url_format().  It sends RTMP credentials as written, so
 * they are written raw, except `/`, `?` and `#`, which it cannot take at all.
 *
 * @param out IPC_URL_MAX bytes.  Caller owns.
 * @return length without the NUL.
 */
size_t url_format_libav(const struct camera_url *u, char *out);

/**
 * Percent-decode (RFC 3986 section 2.1).  A `%` that begins no escape is copied.
 *
 * @param out  size bytes, not terminated.  Caller owns.
 * @param form true: decode `+` to a space, as HTML forms write it.
 * @return the decoded length; bytes beyond size are not written.
 */
size_t url_decode(char *out, size_t size, const char *text, size_t len, bool form);

/** @return "rtsp", … */
const char *url_scheme_name(enum url_scheme scheme);

/** @return the transport for a scheme when no cam_type is given. */
enum ipc_transport url_default_transport(enum url_scheme scheme);

/* Which cam_type fits which URL, for error texts. */
#define URL_TRANSPORTS_ACCEPTED                                                  \
    "rtsp-tcp and rtsp-http are accepted for rtsp and rtsps URLs, rtsp-udp and " \
    "rtsp-multicast for rtsp, rtsp-http for rtsph, rtmp for rtmp and rtmps"

/**
 * Read a cam_type: `rtsp-tcp`, `rtsp-udp`, `rtsp-http`, `rtsp-multicast`, `rtmp`.
 *
 * @param transport set on success.
 * @return 0; -EINVAL: unknown, or it does not fit the scheme (RTSPS never uses UDP).
 */
int url_transport_parse(const char *name, enum url_scheme scheme, enum ipc_transport *transport);

/** @return "rtsp-tcp", "rtsp-udp", "rtsp-http", "rtsp-multicast", "rtmp", "http-flv". */
const char *url_transport_name(enum ipc_transport transport);

#endif /* COMMON_URL_H */
