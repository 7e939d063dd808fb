/* The ways in which an RTSP camera can send media.  Worker; pure. */
#ifndef WORKER_RTSP_WAY_H
#define WORKER_RTSP_WAY_H

#include "common/ipc.h"

#include <stdbool.h>

enum rtsp_way {
    RTSP_WAY_TCP,       /* on the connection */
    RTSP_WAY_UDP,       /* to a pair of ports for each track */
    RTSP_WAY_MULTICAST, /* to groups that the camera names */
    RTSP_WAY_HTTP,      /* on a connection made of a GET and a POST (rtsp_tunnel.h) */
};

/** The way's name, for the log. */
const char *rtsp_way_name(enum rtsp_way way);

/** Do packets come as datagrams, which may get lost or overtake each other? */
bool rtsp_way_is_datagrams(enum rtsp_way way);

/** The way for a transport.  With TLS, media stay on the connection: datagrams would not be
 * encrypted. */
enum rtsp_way rtsp_way_wanted(enum ipc_transport transport, bool tls);

/** The way to try when this one does not work. */
enum rtsp_way rtsp_way_other(enum rtsp_way way);

#endif /* WORKER_RTSP_WAY_H */
