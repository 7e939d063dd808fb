/* The ways that media come from an RTSP camera.  Worker; pure. */
#ifndef WORKER_RTSP_WAY_H
#define WORKER_RTSP_WAY_H

#include "common/ipc.h"

#include <stdbool.h>

enum rtsp_way {
    RTSP_WAY_TCP,       /* on the connection */
    RTSP_WAY_UDP,       /* to a pair of ports for each track */
    RTSP_WAY_MULTICAST, /* to groups that the camera names */
    RTSP_WAY_HTTP,      /* on the connection, which is a GET and a POST (rtsp_tunnel.h) */
};

/** As logs name it. */
const char *rtsp_way_name(enum rtsp_way way);

/** Do packets come as datagrams, which may be lost and overtake each other? */
bool rtsp_way_is_datagrams(enum rtsp_way way);

/** The way of a transport.  Behind TLS media stay on the connection: as datagrams everybody on the
 * way could see them. */
enum rtsp_way rtsp_way_wanted(enum ipc_transport transport, bool tls);

/** What is tried where a way does not work. */
enum rtsp_way rtsp_way_other(enum rtsp_way way);

#endif /* WORKER_RTSP_WAY_H */
