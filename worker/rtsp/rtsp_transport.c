#include "worker/rtsp/rtsp_transport.h"

#include "common/closing.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/rtsp/rtsp_link.h"
#include "worker/rtsp/rtsp_tunnel.h"
#include "worker/rtsp/rtsp_udp.h"

#include <libavutil/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES \
    3000u /* bytes encoded in base64 at a time: a multiple of 3, so without padding */

struct rtsp_transport {
    uv_loop_t *loop;
    struct rtsp_transport_events events;
    struct rtsp_link_params camera;
    char host[URL_HOST_MAX];
    enum rtsp_way way;
    enum http_error error;

    struct rtsp_link *link;     /* brings the camera's bytes; NULL: closed */
    struct rtsp_link *up;       /* tunnel: takes our bytes; NULL: none */
    struct rtsp_tunnel *tunnel; /* NULL: no tunnel */
    bool tunnel_open;           /* the GET was answered */
    bool up_open;               /* the POST was sent */
    bool up_again;              /* it was sent before, without the right credentials */
    uint8_t answer[2048];       /* bytes of an HTTP answer */
    struct rtsp_udp *udp;       /* NULL: media come on the connection */

    bool ended; /* on_end() or rtsp_transport_close() was called */
    struct closing closing;
};

static const struct rtsp_link_events *link_events(struct rtsp_transport *t,
                                                  struct rtsp_link_events *events);
static const struct rtsp_link_events *up_events(struct rtsp_transport *t,
                                                struct rtsp_link_events *events);

/* --- the end ------------------------------------------------------------ */

static void release(struct rtsp_transport *t)
{
    if (!closing_release(&t->closing))
        return;
    if (t->tunnel != NULL)
        explicit_bzero(t->tunnel, sizeof(*t->tunnel));
    free(t->tunnel);
    closing_finish(&t->closing, t);
}

static void on_part_closed(void *ctx)
{
    release(ctx);
}

static void close_link(struct rtsp_transport *t, struct rtsp_link **link)
{
    struct rtsp_link *l = *link;
    *link = NULL;
    if (l != NULL)
        rtsp_link_close(l, on_part_closed, t);
}

static void end(struct rtsp_transport *t, const char *detail)
{
    if (t->ended)
        return;
    t->ended = true;
    t->events.on_end(t->events.ctx, detail);
}

/* @return false if the host is not a valid name, or TLS cannot start. */
static bool open_link(struct rtsp_transport *t, struct rtsp_link **link,
                      const struct rtsp_link_events *events)
{
    *link = rtsp_link_open(t->loop, &t->camera, events);
    if (*link != NULL)
        closing_hold(&t->closing);
    return *link != NULL;
}

/* --- UDP ---------------------------------------------------------------- */

static void on_datagram(void *ctx, enum track track, const uint8_t *data, size_t len)
{
    struct rtsp_transport *t = ctx;
    if (!t->ended)
        t->events.on_datagram(t->events.ctx, track, data, len);
}

static bool open_udp(struct rtsp_transport *t)
{
    struct sockaddr_storage local = {0};
    struct sockaddr_storage peer = {0};
    if (rtsp_link_addresses(t->link, &local, &peer) != 0)
        return false;
    t->udp = rtsp_udp_open(t->loop, &local, &peer, &(struct rtsp_udp_events){on_datagram, t});
    if (t->udp == NULL)
        return false;
    closing_hold(&t->closing);
    return t->way == RTSP_WAY_MULTICAST || rtsp_udp_bind(t->udp);
}

uint16_t rtsp_transport_udp_port(const struct rtsp_transport *transport, enum track track)
{
    return transport->udp != NULL ? rtsp_udp_port(transport->udp, track) : 0;
}

void rtsp_transport_expect(struct rtsp_transport *transport, const struct rtsp_track *track)
{
    struct rtsp_transport *t = transport;
    enum track kind = track->sdp->kind;
    if (t->udp == NULL)
        return;
    /* If the group cannot be joined, nothing comes from it: the silence ends the attempt. */
    if (t->way == RTSP_WAY_MULTICAST &&
        rtsp_udp_join(t->udp, kind, track->group, track->group_ports) != 0)
        log_info(NULL, "rtsp: cannot listen to the multicast group that the camera names");
    rtsp_udp_peer(t->udp, kind, track->source, track->server_ports);
}

void rtsp_transport_send_rtcp(struct rtsp_transport *transport, enum track track,
                              const uint8_t *data, size_t len)
{
    rtsp_udp_send_rtcp(transport->udp, track, data, len);
}

/* --- the tunnel ---------------------------------------------------------- */

/* @return false if the request does not fit, which no camera URL can cause. */
static bool send_http(struct rtsp_transport *t, bool up)
{
    char request[RTSP_TUNNEL_REQUEST_MAX];
    int len = rtsp_tunnel_request(t->tunnel, up, request);
    if (len > 0)
        rtsp_link_send(up ? t->up : t->link, (const uint8_t *)request, (size_t)len);
    explicit_bzero(request, sizeof(request));
    return len > 0;
}

/* Connect again, with credentials.  The old link is closed once there is a new one. */
static void connect_again(struct rtsp_transport *t, struct rtsp_link **old,
                          const struct rtsp_link_events *events)
{
    struct rtsp_link *link;
    if (!open_link(t, &link, events)) {
        end(t, "out of memory");
        return;
    }
    close_link(t, old);
    *old = link;
}

/* The camera refused a request of the tunnel. */
static void end_refused(struct rtsp_transport *t, const char *method)
{
    char detail[64];
    t->error = rtsp_tunnel_error(t->tunnel);
    (void)snprintf(detail, sizeof(detail), "the camera answered %d to %s", t->tunnel->status,
                   method);
    end(t, t->error == HTTP_ERROR_CAMERA_UNAUTHORIZED ? "the camera refused user name or password"
           : t->tunnel->status == 0                   ? "the camera does not speak HTTP"
                                                      : detail);
}

static void send_up(struct rtsp_transport *t, const uint8_t *data, size_t len)
{
    char text[AV_BASE64_SIZE(PIECE_BYTES)];
    while (len > 0 && t->up_open && !t->ended) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        (void)av_base64_encode(text, sizeof(text), data, (int)piece);
        rtsp_link_send(t->up, (const uint8_t *)text, strlen(text));
        data += piece;
        len -= piece;
    }
}

static void on_up_connected(void *ctx)
{
    struct rtsp_transport *t = ctx;
    if (!send_http(t, true)) {
        end(t, "a request is too long for HTTP");
        return;
    }
    t->up_open = true; /* the POST is answered at its end, if at all */
    if (t->up_again)
        send_up(t, t->tunnel->unheard, t->tunnel->unheard_len);
    else
        t->events.on_connected(t->events.ctx);
}

static uint8_t *on_up_space(void *ctx, size_t *len)
{
    struct rtsp_transport *t = ctx;
    *len = sizeof(t->answer);
    return t->answer;
}

/* The POST was refused: send it again with what it asks for, or end. */
static void on_up_bytes(void *ctx, size_t len)
{
    struct rtsp_transport *t = ctx;
    struct rtsp_link_events events;
    size_t used = 0;
    if (t->ended || t->tunnel->heard)
        return;
    enum rtsp_tunnel_answer answer = rtsp_tunnel_read(t->tunnel, t->answer, len, &used);
    if (answer == RTSP_TUNNEL_AGAIN && !t->tunnel->unheard_lost) {
        t->up_open = false;
        t->up_again = true;
        connect_again(t, &t->up, up_events(t, &events));
    } else if (t->tunnel->status >= 400) {
        end_refused(t, "POST");
    }
}

static void on_up_end(void *ctx, const char *detail)
{
    end(ctx, detail[0] != '\0' ? detail : "the camera closed the connection that it is told by");
}

static const struct rtsp_link_events *up_events(struct rtsp_transport *t,
                                                struct rtsp_link_events *events)
{
    *events = (struct rtsp_link_events){on_up_connected, on_up_space, on_up_bytes, on_up_end, t};
    return events;
}

/* Read the GET's answer: open the other direction, connect again, or end. */
static void read_answer(struct rtsp_transport *t, size_t len)
{
    struct rtsp_link_events events;
    size_t used = 0;
    switch (rtsp_tunnel_read(t->tunnel, t->answer, len, &used)) {
    case RTSP_TUNNEL_MORE:
        return;
    case RTSP_TUNNEL_OPEN: /* nothing follows yet: no RTSP request was sent */
        t->tunnel_open = true;
        if (!open_link(t, &t->up, up_events(t, &events)))
            end(t, "out of memory");
        return;
    case RTSP_TUNNEL_AGAIN:
        connect_again(t, &t->link, link_events(t, &events));
        return;
    case RTSP_TUNNEL_REFUSED:
        end_refused(t, "GET");
        return;
    }
}

/* --- the connection ------------------------------------------------------ */

static void on_connected(void *ctx)
{
    struct rtsp_transport *t = ctx;
    if (t->tunnel != NULL) {
        if (!send_http(t, false))
            end(t, "a request is too long for HTTP");
        return;
    }
    if (rtsp_way_is_datagrams(t->way) && !open_udp(t))
        end(t, "no UDP ports to receive on");
    else
        t->events.on_connected(t->events.ctx);
}

static uint8_t *on_space(void *ctx, size_t *len)
{
    struct rtsp_transport *t = ctx;
    if (t->tunnel == NULL || t->tunnel_open)
        return t->events.on_space(t->events.ctx, len);
    *len = sizeof(t->answer);
    return t->answer;
}

static void on_bytes(void *ctx, size_t len)
{
    struct rtsp_transport *t = ctx;
    if (t->ended)
        return;
    if (t->tunnel != NULL && !t->tunnel_open) {
        read_answer(t, len);
        return;
    }
    if (t->tunnel != NULL)
        rtsp_tunnel_hear(t->tunnel);
    t->events.on_bytes(t->events.ctx, len);
}

static void on_link_end(void *ctx, const char *detail)
{
    struct rtsp_transport *t = ctx;
    if (t->link != NULL && rtsp_link_forbidden(t->link))
        t->error = HTTP_ERROR_CAMERA_NOT_ALLOWED;
    end(t, detail);
}

static const struct rtsp_link_events *link_events(struct rtsp_transport *t,
                                                  struct rtsp_link_events *events)
{
    *events = (struct rtsp_link_events){on_connected, on_space, on_bytes, on_link_end, t};
    return events;
}

enum http_error rtsp_transport_error(const struct rtsp_transport *transport)
{
    return transport->error;
}

void rtsp_transport_send(struct rtsp_transport *transport, const uint8_t *data, size_t len)
{
    if (transport->tunnel != NULL) {
        rtsp_tunnel_remember(transport->tunnel, data, len);
        send_up(transport, data, len);
        return;
    }
    if (transport->link != NULL)
        rtsp_link_send(transport->link, data, len);
}

void rtsp_transport_set_lazy(struct rtsp_transport *transport, bool lazy)
{
    if (transport->udp != NULL)
        rtsp_udp_set_lazy(transport->udp, lazy);
    else if (transport->link != NULL)
        rtsp_link_set_lazy(transport->link, lazy);
}

int64_t rtsp_transport_gather_us(const struct rtsp_transport *transport)
{
    if (transport->udp == NULL)
        return INT64_MAX;
    int64_t ms = rtsp_udp_wait_ms(transport->udp);
    return ms < INT64_MAX / 1000 ? ms * 1000 : INT64_MAX;
}

void rtsp_transport_gather(struct rtsp_transport *transport)
{
    if (transport->udp != NULL)
        rtsp_udp_gather(transport->udp);
    else if (transport->link != NULL)
        rtsp_link_gather(transport->link);
}

uint64_t rtsp_transport_overruns(const struct rtsp_transport *transport)
{
    return transport->udp != NULL ? rtsp_udp_overruns(transport->udp) : 0;
}

void rtsp_transport_check(struct rtsp_transport *transport)
{
    if (transport->udp != NULL)
        rtsp_udp_check(transport->udp);
}

/* --- life ----------------------------------------------------------------- */

struct rtsp_transport *rtsp_transport_open(uv_loop_t *loop,
                                           const struct rtsp_transport_params *params,
                                           const struct rtsp_transport_events *events)
{
    struct rtsp_transport *t = xcalloc(1, sizeof(*t));
    struct rtsp_link_events own_events;
    t->loop = loop;
    t->events = *events;
    t->way = params->way;
    t->error = HTTP_ERROR_CAMERA_UNREACHABLE;
    (void)snprintf(t->host, sizeof(t->host), "%s", params->url->host);
    t->camera = (struct rtsp_link_params){
        .host = t->host,
        .port = params->url->port,
        .tls = params->url->scheme == URL_RTSPS,
        .tls_insecure = params->tls_insecure,
        .access = params->access,
        .own_host = params->own_host,
    };
    if (!open_link(t, &t->link, link_events(t, &own_events))) {
        free(t);
        return NULL;
    }
    if (params->way == RTSP_WAY_HTTP) {
        t->tunnel = xcalloc(1, sizeof(*t->tunnel));
        rtsp_tunnel_init(t->tunnel, params->url, params->seed);
    }
    return t;
}

void rtsp_transport_close(struct rtsp_transport *transport, void (*closed)(void *ctx), void *ctx)
{
    struct rtsp_transport *t = transport;
    struct rtsp_udp *udp = t->udp;
    t->ended = true;
    (void)closing_ask(&t->closing, closed, ctx); /* the link is held */
    t->udp = NULL;
    close_link(t, &t->link);
    close_link(t, &t->up);
    if (udp != NULL)
        rtsp_udp_close(udp, on_part_closed, t);
}
