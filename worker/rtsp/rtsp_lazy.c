#include "worker/rtsp/rtsp_lazy.h"

#include "common/clock.h"
#include "common/log.h"

bool rtsp_lazy_is_on(const struct rtsp_lazy *lazy)
{
    return lazy->at_us != INT64_MAX;
}

bool rtsp_lazy_is_due(const struct rtsp_lazy *lazy, int64_t media_at_us, int64_t now_us)
{
    return rtsp_lazy_is_on(lazy) && (lazy->at_us <= now_us || media_at_us <= now_us);
}

void rtsp_lazy_reading(struct rtsp_lazy *lazy, const struct rtsp_transport *transport,
                       const struct rtsp_patience *patience)
{
    int64_t most_us = rtsp_transport_gather_us(transport);
    int64_t wanted_us = rtsp_patience_gather_us(patience);
    lazy->at_us = clock_awake_us() + (wanted_us < most_us ? wanted_us : most_us);
}

void rtsp_lazy_begin(struct rtsp_lazy *lazy, struct rtsp_transport *transport,
                     const struct rtsp_patience *patience)
{
    if (lazy->overran || rtsp_transport_gather_us(transport) == 0)
        return;
    lazy->overruns = rtsp_transport_overruns(transport);
    rtsp_lazy_reading(lazy, transport, patience);
    rtsp_transport_set_lazy(transport, true);
}

void rtsp_lazy_check(struct rtsp_lazy *lazy, struct rtsp_transport *transport)
{
    lazy->overran = rtsp_transport_overruns(transport) > lazy->overruns;
    if (lazy->overran)
        log_info(NULL, "rtsp: sockets were full while nobody watched: they are read at once now");
    if (lazy->overran || rtsp_transport_gather_us(transport) == 0)
        rtsp_lazy_end(lazy, transport);
}

void rtsp_lazy_end(struct rtsp_lazy *lazy, struct rtsp_transport *transport)
{
    lazy->at_us = INT64_MAX;
    rtsp_transport_set_lazy(transport, false);
}
