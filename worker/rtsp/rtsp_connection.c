#include "worker/rtsp/rtsp_connection.h"

#include "common/clock.h"

const struct rtsp_connection rtsp_connection_none = {
    .udp_silence_by_us = INT64_MAX,
    .report_at_us = INT64_MAX,
    .lazy = {.at_us = INT64_MAX},
};

void rtsp_connection_close(struct rtsp_connection *c, void (*closed)(void *ctx), void *ctx)
{
    rtsp_media_close(&c->media);
    rtsp_session_free(&c->session);
    if (c->transport != NULL)
        rtsp_transport_close(c->transport, closed, ctx);
    *c = rtsp_connection_none;
}

void rtsp_connection_flush(struct rtsp_connection *c)
{
    size_t len;
    if (c->session == NULL || c->transport == NULL)
        return;
    const uint8_t *data = rtsp_session_output(c->session, &len);
    if (len == 0)
        return;
    rtsp_transport_send(c->transport, data, len);
    if (c->session != NULL) /* the transport may have failed */
        rtsp_session_sent(c->session, len);
}

void rtsp_connection_teardown(struct rtsp_connection *c)
{
    if (c->session == NULL)
        return;
    rtsp_session_teardown(c->session);
    rtsp_connection_flush(c);
}

uint8_t *rtsp_connection_space(struct rtsp_connection *c, size_t *len)
{
    static uint8_t nowhere[256]; /* for bytes that come before there is a session */
    if (c->session != NULL)
        return rtsp_session_space(c->session, len);
    *len = sizeof(nowhere);
    return nowhere;
}

void rtsp_connection_report(struct rtsp_connection *c, enum rtsp_way way, enum track track,
                            bool ask_key_frame)
{
    uint8_t report[RTP_REPORT_MAX];
    size_t len = rtsp_media_report(&c->media, track, ask_key_frame, clock_us(), report);
    if (len > 0 && rtsp_way_is_datagrams(way))
        rtsp_transport_send_rtcp(c->transport, track, report, len);
    else if (len > 0)
        rtsp_session_send_rtcp(c->session, track, report, len);
}

struct source_loss rtsp_connection_loss(struct rtsp_connection *c)
{
    uint64_t dropped = c->transport != NULL ? rtsp_transport_overruns(c->transport) : 0;
    source_loss_count(&c->loss, rtsp_media_packets_lost(&c->media), dropped);
    return c->loss;
}

int64_t rtsp_connection_media_deadline(const struct rtsp_connection *c)
{
    int64_t at_us = rtsp_media_deadline(&c->media); /* by clock_us() */
    return at_us == INT64_MAX ? at_us : at_us - clock_us() + clock_awake_us();
}

/* A lazy reader sends its report when it reads next: it need not wake up for that. */
static int64_t report_deadline(const struct rtsp_connection *c)
{
    return rtsp_lazy_is_on(&c->lazy) ? INT64_MAX : c->report_at_us;
}

int64_t rtsp_connection_deadline(const struct rtsp_connection *c)
{
    int64_t at_us = c->session != NULL ? rtsp_session_deadline(c->session) : INT64_MAX;
    const int64_t others[] = {c->udp_silence_by_us, report_deadline(c),
                              rtsp_connection_media_deadline(c), c->lazy.at_us};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        at_us = others[i] < at_us ? others[i] : at_us;
    return at_us;
}
