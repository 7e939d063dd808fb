/*
 * Bytes of a request head -> struct http_request.  Master, loop thread; pure, no I/O.  RFC 9112 as
 * llhttp reads it, with limits; the body is left to the caller.  Besides:
 *
 * - A line that ends without CR, and a header that continues in the next line (obs-fold), are
 *   errors (RFC 9112 sections 2.2 and 5.2): a proxy may read them in another way.
 * - The target may hold bytes above 127, as in a camera URL that somebody pastes.
 */
#ifndef MASTER_HTTP_HEAD_H
#define MASTER_HTTP_HEAD_H

#include "common/http_reply.h"
#include "common/ipc.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_TARGET_MAX 8192 /* bytes of the request target; beyond: 414 */
#define HTTP_HEAD_MAX 16384  /* bytes of the whole head; beyond: 431 */
#define HTTP_AUTHORIZATION_MAX 512
#define HTTP_FORWARDED_MAX 512
#define HTTP_ACCEPT_MAX 512
#define HTTP_USER_AGENT_MAX 512

enum request_method {
    REQUEST_GET,
    REQUEST_HEAD,
    REQUEST_POST,
    REQUEST_PUT,
    REQUEST_DELETE,
    REQUEST_OPTIONS,
    REQUEST_OTHER
};

/* clang-format off */
/* The headers that the server uses.  X(member, name, size).  A longer value counts as absent. */
#define REQUEST_HEADERS(X)                                                        \
    X(origin,               "Origin",                         IPC_HEADER_MAX)     \
    X(if_none_match,        "If-None-Match",                  IPC_HEADER_MAX)     \
    X(prefer,               "Prefer",                         IPC_HEADER_MAX)     \
    X(user_agent,           "User-Agent",                     HTTP_USER_AGENT_MAX) \
    X(authorization,        "Authorization",                  HTTP_AUTHORIZATION_MAX) \
    X(forwarded_for,        "X-Forwarded-For",                HTTP_FORWARDED_MAX) \
    X(accept,               "Accept",                         HTTP_ACCEPT_MAX)    \
    X(sec_fetch_mode,       "Sec-Fetch-Mode",                 IPC_HEADER_MAX)     \
    X(expect,               "Expect",                         IPC_HEADER_MAX)     \
    X(accept_encoding,      "Accept-Encoding",                IPC_HEADER_MAX)     \
    X(upgrade,              "Upgrade",                        IPC_HEADER_MAX)     \
    X(websocket_key,        "Sec-WebSocket-Key",              IPC_HEADER_MAX)     \
    X(websocket_version,    "Sec-WebSocket-Version",          IPC_HEADER_MAX)     \
    X(websocket_protocol,   "Sec-WebSocket-Protocol",         IPC_HEADER_MAX)     \
    X(cors_request_method,  "Access-Control-Request-Method",  IPC_HEADER_MAX)     \
    X(cors_request_headers, "Access-Control-Request-Headers", IPC_HEADER_MAX)
/* clang-format on */

/* One request.  Strings are as sent, undecoded, "" when absent.  Do not copy: path and query point
 * into target. */
struct http_request {
    enum request_method method;
    bool upgrade_websocket;           /* Upgrade: websocket and Connection: upgrade, RFC 6455 */
    bool keep;                        /* HTTP/1.1 without `Connection: close`, and no body */
    bool in_chunks;                   /* the body comes in chunks (RFC 9112 section 7.1) */
    uint64_t body_len;                /* Content-Length, 0 without one */
    bool has_origin;                  /* true even when the value is too long for origin */
    const char *path;                 /* into target: from `/`; "*" for OPTIONS * */
    const char *query;                /* into target: after the first `?`, with any `#`; or "" */
    char target[HTTP_TARGET_MAX + 1]; /* with a NUL in place of the `?` */
#define X(member, name, size) char member[size];
    REQUEST_HEADERS(X)
#undef X
};

/* Where in the lines of a head we are.  Private. */
struct http_head_lines {
    bool in_headers; /* the request line is over */
    char last;       /* the last byte */
    char word[5];    /* the first bytes of the request line's last word */
    size_t word_len; /* up to sizeof(word) */
};

/* A head being read.  Members other than request and error are private. */
struct http_head {
    struct http_request request;
    enum http_error error; /* BAD_REQUEST, URI_TOO_LONG, HEADER_TOO_LARGE */
    bool complete;
    llhttp_t parser;
    struct http_head_lines lines;
    const char *raw; /* while llhttp runs: the bytes received, and the copy that it reads */
    const char *clean;
    size_t head_bytes;
    size_t target_len;
    size_t value_len;
    size_t name_len;
    int header; /* the header being read, as an index into the table; -1: not needed */
    bool in_value;
    char name[64];
};

/** Start a new head. */
void http_head_init(struct http_head *head);

/**
 * Feed the next bytes received.
 *
 * @param consumed NULL, or set to how many bytes belonged to the head (less than len only when it
 *                 is complete or bad).
 * @return 1 head complete, request is valid; 0 more bytes needed; -EBADMSG with head->error set,
 *         and request.origin if that arrived before.
 */
int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *consumed);

#endif /* MASTER_HTTP_HEAD_H */
