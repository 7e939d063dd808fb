/* The ways that media come from an RTSP camera.  Worker; pure. */
#ifndef WORKER_RTSP_WAY_H
#define WORKER_RTSP_WAY_H

#include <stdbool.h>

enum rtsp_way {
    RTSP_WAY_TCP,       /* on the connection */
    RTSP_WAY_UDP,       /* to a pair of ports for each track */
    RTSP_WAY_MULTICAST, /* to groups that the camera names */
    RTSP_WAY_HTTP,      /* on the connection, which is a GET and a POST (rtsp_tunnel.h) */
};

/** As logs name it. */
static inline const char *rtsp_way_name(enum rtsp_way way)
{
    static const char *const names[] = {"TCP", "UDP", "multicast", "HTTP"};
    return names[way];
}

/** Do packets come as datagrams, which may be lost and overtake each other? */
static inline bool rtsp_way_is_datagrams(enum rtsp_way way)
{
    return way == RTSP_WAY_UDP || way == RTSP_WAY_MULTICAST;
}

#endif /* WORKER_RTSP_WAY_H */
