#include "worker/rtsp/rtsp_way.h"

const char *rtsp_way_name(enum rtsp_way way)
{
    static const char *const names[] = {"TCP", "UDP", "multicast", "HTTP"};
    return names[way];
}

bool rtsp_way_is_datagrams(enum rtsp_way way)
{
    return way == RTSP_WAY_UDP || way == RTSP_WAY_MULTICAST;
}

enum rtsp_way rtsp_way_wanted(enum ipc_transport transport, bool tls)
{
    switch (transport) {
    case IPC_TRANSPORT_RTSP_UDP:
        return tls ? RTSP_WAY_TCP : RTSP_WAY_UDP;
    case IPC_TRANSPORT_RTSP_MULTICAST:
        return tls ? RTSP_WAY_TCP : RTSP_WAY_MULTICAST;
    case IPC_TRANSPORT_RTSP_HTTP:
        return RTSP_WAY_HTTP;
    default:
        return RTSP_WAY_TCP;
    }
}

enum rtsp_way rtsp_way_other(enum rtsp_way way)
{
    return way == RTSP_WAY_TCP ? RTSP_WAY_UDP : RTSP_WAY_TCP;
}
