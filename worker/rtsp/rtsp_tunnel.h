/*
 * RTSP over HTTP, as QuickTime introduced it and cameras use it: one connection with a GET brings
 * the camera's bytes, another with a POST takes ours, in base64 (RFC 4648 section 4).  A cookie
 * tells the camera that the two belong together.  Worker; pure.
 */
#ifndef WORKER_RTSP_TUNNEL_H
#define WORKER_RTSP_TUNNEL_H

#include "common/http_reply.h"
#include "common/url.h"
#include "worker/rtsp/rtsp_auth.h"

#define RTSP_TUNNEL_HEAD_MAX 8192u    /* bytes of an answer's head */
#define RTSP_TUNNEL_REQUEST_MAX 8192u /* bytes of a request */

enum rtsp_tunnel_answer {
    RTSP_TUNNEL_MORE,    /* more bytes are needed */
    RTSP_TUNNEL_OPEN,    /* the stream follows the head */
    RTSP_TUNNEL_AGAIN,   /* connect again and send credentials */
    RTSP_TUNNEL_REFUSED, /* `status` tells why; 0: the answer is not HTTP */
};

struct rtsp_tunnel {
    struct rtsp_auth auth;
    char host[URL_HOST_MAX + 16]; /* for the Host header */
    char path[URL_PATH_MAX + 1];  /* never empty */
    char cookie[24];
    char head[RTSP_TUNNEL_HEAD_MAX];
    size_t head_len;
    int status; /* the last answer's */

    /* What was sent up before the camera said anything: a POST that asks for a password is sent
     * again with all of it. */
    uint8_t unheard[RTSP_TUNNEL_REQUEST_MAX];
    size_t unheard_len;
    bool unheard_lost; /* it was too much to remember */
    bool heard;
};

/**
 * @param url   the camera's URL.  Borrowed for the call.
 * @param seed  random: the cookie and cnonces are made from it.
 */
void rtsp_tunnel_init(struct rtsp_tunnel *tunnel, const struct camera_url *url, uint64_t seed);

/**
 * Write the request that opens a direction.  rtsp_tunnel_read() then starts anew.
 *
 * @param up   POST, else GET.
 * @param buf  RTSP_TUNNEL_REQUEST_MAX bytes.
 * @return length, or -ENAMETOOLONG.
 */
int rtsp_tunnel_request(struct rtsp_tunnel *tunnel, bool up, char *buf);

/**
 * Take bytes of the answer to the newest request.
 *
 * @param used  set with OPEN: how many of them belong to the head.
 */
enum rtsp_tunnel_answer rtsp_tunnel_read(struct rtsp_tunnel *tunnel, const uint8_t *data,
                                         size_t len, size_t *used);

/** Remember bytes that go up, until the camera is heard. */
void rtsp_tunnel_remember(struct rtsp_tunnel *tunnel, const uint8_t *data, size_t len);

/** The camera has said something in the tunnel: forget what was sent up. */
void rtsp_tunnel_hear(struct rtsp_tunnel *tunnel);

/** The error to report after RTSP_TUNNEL_REFUSED. */
enum http_error rtsp_tunnel_error(const struct rtsp_tunnel *tunnel);

#endif /* WORKER_RTSP_TUNNEL_H */
