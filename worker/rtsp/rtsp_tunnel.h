/*
 * RTSP over HTTP, as QuickTime began it and cameras and their manuals have it: one connection with
 * a GET brings what the camera says, another with a POST takes what we say, in base64 (RFC 4648
 * section 4).  A cookie tells the camera that they belong together.  Worker; pure: texts in and
 * out.
 */
#ifndef WORKER_RTSP_TUNNEL_H
#define WORKER_RTSP_TUNNEL_H

#include "common/http_reply.h"
#include "common/url.h"
#include "worker/rtsp/rtsp_auth.h"

#define RTSP_TUNNEL_HEAD_MAX 8192u    /* of an answer, and its body if it is no stream */
#define RTSP_TUNNEL_REQUEST_MAX 8192u /* of a request */

enum rtsp_tunnel_answer {
    RTSP_TUNNEL_MORE,    /* more bytes are needed */
    RTSP_TUNNEL_OPEN,    /* what follows the head is the stream */
    RTSP_TUNNEL_AGAIN,   /* connect again and ask with credentials */
    RTSP_TUNNEL_REFUSED, /* with this status */
};

struct rtsp_tunnel {
    struct rtsp_auth auth;
    char host[URL_HOST_MAX + 16]; /* of the Host header */
    char path[URL_PATH_MAX + 1];  /* never empty */
    char cookie[24];
    char head[RTSP_TUNNEL_HEAD_MAX];
    size_t head_len;
    int status; /* of the last answer */
};

/**
 * @param url   of the camera.  Borrowed for the call.
 * @param seed  random: the cookie and cnonces are made of it.
 */
void rtsp_tunnel_init(struct rtsp_tunnel *tunnel, const struct camera_url *url, uint64_t seed);

/**
 * The request that opens a direction.  The answer is read anew after this.
 *
 * @param up   POST, else GET.
 * @param buf  RTSP_TUNNEL_REQUEST_MAX bytes.
 * @return length, or -ENAMETOOLONG.
 */
int rtsp_tunnel_request(struct rtsp_tunnel *tunnel, bool up, char *buf);

/**
 * Bytes that answer the GET.
 *
 * @param used  set with OPEN: how many of them are the head's.
 */
enum rtsp_tunnel_answer rtsp_tunnel_read(struct rtsp_tunnel *tunnel, const uint8_t *data,
                                         size_t len, size_t *used);

/** The status of an answer that begins with HTTP/1.x NNN; 0 if it does not. */
int rtsp_tunnel_status(const char *head, size_t len);

/** What a REFUSED means. */
enum http_error rtsp_tunnel_error(const struct rtsp_tunnel *tunnel);

#endif /* WORKER_RTSP_TUNNEL_H */
