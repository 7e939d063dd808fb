/*
 * Authenticates to a camera: Basic (RFC 7617) and Digest with MD5 and SHA-256, with and without
 * qop=auth (RFC 2069, 2617, 7616).  Worker; pure, no I/O.  Cameras lock an account after a few
 * wrong passwords, so nothing is tried twice without a reason.
 */
#ifndef WORKER_RTSP_AUTH_H
#define WORKER_RTSP_AUTH_H

#include "common/url.h"
#include "worker/rtsp/rtsp_message.h"

#define RTSP_AUTH_HEADER_MAX 4096

enum rtsp_auth_scheme {
    RTSP_AUTH_NONE,
    RTSP_AUTH_BASIC,
    RTSP_AUTH_MD5,
    RTSP_AUTH_SHA256,
    RTSP_AUTH_SCHEMES
};

/* A camera's challenge; there is one per scheme. */
struct rtsp_auth_challenge {
    bool offered;
    bool session; /* algorithm MD5-sess or SHA-256-sess */
    bool qop_auth;
    bool has_opaque;
    bool stale;
    char realm[256]; /* the text between the quotes, escapes included */
    char nonce[512];
    char opaque[512];
};

struct rtsp_auth {
    char user[URL_CREDENTIAL_MAX];
    char password[URL_CREDENTIAL_MAX];
    uint64_t seed;                /* for cnonces */
    enum rtsp_auth_scheme scheme; /* in use */
    struct rtsp_auth_challenge challenges[RTSP_AUTH_SCHEMES];
    uint32_t nonce_count;
    bool accepted;     /* the credentials were accepted once on this connection */
    bool carried;      /* the challenge is of the connection before, and was not answered since */
    unsigned attempts; /* refusals since a request was last accepted */
    unsigned rejected; /* schemes that were refused: 1 << scheme */
};

/** @param seed  random: cnonces are made from it. */
void rtsp_auth_init(struct rtsp_auth *auth, const char *user, const char *password, uint64_t seed);

/**
 * Take the challenges in a 401.  There may be several, in one or more headers, in any order; the
 * best is SHA-256, then MD5, then Basic.  If SHA-256 is refused, MD5 is tried once.
 *
 * @return true if the request should be sent again with rtsp_auth_header(); false: the camera does
 *         not accept these credentials.
 */
bool rtsp_auth_refused(struct rtsp_auth *auth, const struct rtsp_message *m);

/** Has the camera asked for a password, but not yet judged the answer? */
bool rtsp_auth_is_open(const struct rtsp_auth *auth);

/** Begin a new connection with the challenge of the one before, which the camera has closed. */
void rtsp_auth_carry(struct rtsp_auth *auth, const struct rtsp_auth *before);

/** A request was answered with a status other than 401. */
void rtsp_auth_accepted(struct rtsp_auth *auth);

/**
 * Write a request's Authorization line, CRLF included; empty before the first challenge.
 *
 * @param buf  RTSP_AUTH_HEADER_MAX bytes.
 * @return length, or -ENAMETOOLONG.
 */
int rtsp_auth_header(struct rtsp_auth *auth, const char *method, const char *uri, char *buf);

#endif /* WORKER_RTSP_AUTH_H */
