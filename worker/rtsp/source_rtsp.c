#include "worker/rtsp/source_rtsp.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/rtp/rtp_clock.h"
#include "worker/rtp/rtp_depacketize.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtsp/rtsp_session.h"
#include "worker/rtsp/rtsp_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REDIRECTS_MAX 5
#define UDP_SILENCE_US 3000000
#define REPORT_INTERVAL_US 5000000 /* some cameras stop without receiver reports */
#define TEARDOWN_US 500000
#define BYE_US 1000000
#define UNNUMBERED_TOLD 10 /* fewer may be a slip */

struct track_state {
    struct source_rtsp *source;
    enum track track;
    struct rtp_receiver *receiver; /* NULL: no such track */
    struct rtp_depacketizer *depacketizer;
    bool rtptime_used;
    bool unnumbered_told;
};

struct source_rtsp {
    uv_loop_t *loop;
    struct media_sink sink;
    struct source_rtsp_events events;
    struct source_params params;
    struct rtsp_url url;

    bool udp;
    bool options_first;
    bool switched; /* the transport, once */
    unsigned redirects;

    uv_timer_t timer;
    int64_t timer_at_us;
    struct rtsp_transport *transport;
    struct rtsp_session *session; /* NULL until connected */
    struct track_state tracks[TRACK_COUNT];
    struct rtp_clock clock;
    bool playing; /* PLAY is out */
    bool heard;   /* RTP came */

    int64_t started_us;
    int64_t accepted_us;       /* the last accepted media packet; 0: none */
    int64_t bye_us;            /* the camera's farewell; INT64_MAX: none since the last media */
    int64_t udp_silence_by_us; /* the first datagram, else over to TCP */
    int64_t report_at_us;
    int64_t teardown_by_us;
    uint64_t lost; /* packets, of connections that ended */

    const char *bad; /* why no connection was even tried; told from the timer */
    bool ended;      /* on_end was called */
    bool busy;       /* within the session: it must not go now */
    bool closing;
    unsigned open_handles; /* timer, transports */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void connect_camera(struct source_rtsp *s);
static void pump(struct source_rtsp *s);

/* --- the end ------------------------------------------------------------ */

static void release(struct source_rtsp *s)
{
    if (--s->open_handles > 0)
        return;
    void (*closed)(void *ctx) = s->closed;
    void *ctx = s->closed_ctx;
    explicit_bzero(&s->url, sizeof(s->url));
    free(s);
    closed(ctx);
}

static void on_transport_closed(void *ctx)
{
    release(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void log_stats(const struct source_rtsp *s)
{
    static const char *const names[TRACK_COUNT] = {"video", "audio"};
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (s->tracks[i].receiver == NULL)
            continue;
        const struct rtp_stats *stats = rtp_receiver_stats(s->tracks[i].receiver);
        log_debug(NULL, "rtp: %s: %llu packets, %llu lost, %llu reordered, %llu late", names[i],
                  (unsigned long long)stats->received, (unsigned long long)stats->lost,
                  (unsigned long long)stats->reordered, (unsigned long long)stats->late);
    }
}

uint64_t source_rtsp_packets_lost(const struct source_rtsp *source)
{
    uint64_t lost = source->lost;
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (source->tracks[i].receiver != NULL)
            lost += rtp_receiver_stats(source->tracks[i].receiver)->lost;
    }
    return lost;
}

static void close_connection(struct source_rtsp *s)
{
    log_stats(s);
    s->lost = source_rtsp_packets_lost(s);
    rtsp_session_free(&s->session);
    for (int i = 0; i < TRACK_COUNT; i++) {
        rtp_receiver_free(&s->tracks[i].receiver);
        rtp_depacketizer_free(&s->tracks[i].depacketizer);
        s->tracks[i].rtptime_used = false;
    }
    s->playing = s->heard = false;
    s->udp_silence_by_us = s->report_at_us = INT64_MAX;
    if (s->transport != NULL) {
        struct rtsp_transport *transport = s->transport;
        s->transport = NULL;
        rtsp_transport_close(transport, on_transport_closed, s);
    }
}

static void flush_output(struct source_rtsp *s)
{
    size_t len;
    if (s->session == NULL || s->transport == NULL)
        return;
    const uint8_t *data = rtsp_session_output(s->session, &len);
    if (len == 0)
        return;
    rtsp_transport_send(s->transport, data, len);
    if (s->session != NULL) /* the transport may have failed */
        rtsp_session_sent(s->session, len);
}

static void end(struct source_rtsp *s, enum http_error error, const char *detail)
{
    if (s->ended || s->closing)
        return;
    s->ended = true;
    char copy[SOURCE_DETAIL_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", detail);
    if (s->session != NULL) {
        rtsp_session_teardown(s->session);
        flush_output(s);
    }
    s->events.on_end(s->events.ctx, error, copy);
}

static void finish_close(struct source_rtsp *s)
{
    s->teardown_by_us = INT64_MAX;
    close_connection(s);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

void source_rtsp_close(struct source_rtsp *source, void (*closed)(void *ctx), void *ctx)
{
    struct source_rtsp *s = source;
    s->closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    s->teardown_by_us = clock_us() + TEARDOWN_US;
    if (s->session != NULL) {
        rtsp_session_teardown(s->session);
        flush_output(s);
    }
    s->timer_at_us = INT64_MAX;
    pump(s);
}

static bool is_tls(const struct rtsp_url *url)
{
    return url->parts.scheme == URL_RTSPS;
}

static bool wants_udp(const struct source_rtsp *s)
{
    /* Behind RTSPS media stay within TLS: over UDP they would be for everybody to see. */
    return s->params.transport == IPC_TRANSPORT_RTSP_UDP && !is_tls(&s->url);
}

/* --- media -------------------------------------------------------------- */

/* How long may the next accepted media packet take? */
static uint32_t timeout_ms(const struct source_rtsp *s)
{
    return s->accepted_us != 0 ? s->params.limits->stall_timeout_ms
                               : s->params.limits->connect_timeout_ms;
}

/* When it must be there, else it is over. */
static int64_t media_by_us(const struct source_rtsp *s)
{
    if (s->ended)
        return INT64_MAX;
    int64_t by_us =
        (s->accepted_us != 0 ? s->accepted_us : s->started_us) + (int64_t)timeout_ms(s) * 1000;
    return s->bye_us < by_us - BYE_US ? s->bye_us + BYE_US : by_us;
}

static void on_media(void *ctx, const struct media_packet *packet)
{
    struct track_state *k = ctx;
    struct source_rtsp *s = k->source;
    if (s->ended || s->closing)
        return;
    struct media_packet stamped = *packet;
    if (packet->track == TRACK_VIDEO && packet->pts != AV_NOPTS_VALUE)
        stamped.captured_us = rtp_clock_captured_us(
            &s->clock, packet->pts, clock_unix_us() - (clock_us() - packet->received_us));
    if (s->sink.on_packet(s->sink.ctx, &stamped)) {
        if (s->accepted_us == 0 && s->params.memory != NULL) {
            s->params.memory->other_transport = s->udp != wants_udp(s);
            s->params.memory->options_first = s->options_first;
        }
        s->accepted_us = packet->received_us;
        s->bye_us = INT64_MAX;
    }
}

static void on_rtp(void *ctx, const struct rtp_packet *packet, bool lost_before,
                   int64_t received_us)
{
    struct track_state *k = ctx;
    struct source_rtsp *s = k->source;
    const struct rtsp_track *track = rtsp_session_track(s->session, k->track);
    if (!k->rtptime_used && track->has_rtptime) {
        k->rtptime_used = true;
        rtp_clock_rtptime(&s->clock, k->track, track->rtptime);
    }
    int64_t pts = rtp_clock_pts(&s->clock, k->track, packet->timestamp, received_us);
    rtp_depacketizer_push(k->depacketizer, packet, lost_before, pts, received_us);
}

static void on_rtcp(struct source_rtsp *s, struct track_state *k, const uint8_t *data, size_t len,
                    int64_t now_us)
{
    struct rtp_sender_report report;
    bool bye;
    if (rtp_receiver_rtcp(k->receiver, data, len, now_us, &report, &bye))
        rtp_clock_report(&s->clock, k->track, report.ntp, report.timestamp);
    /* The camera says that it ends; some say so and go on. */
    if (bye && k->track == TRACK_VIDEO && s->accepted_us != 0 && s->bye_us == INT64_MAX)
        s->bye_us = now_us;
}

static void on_data(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len)
{
    struct source_rtsp *s = ctx;
    struct track_state *k = &s->tracks[track];
    if (k->receiver == NULL || s->ended || s->closing)
        return;
    int64_t now_us = clock_us();
    if (rtcp) {
        on_rtcp(s, k, data, len, now_us);
    } else {
        s->heard = true;
        rtp_receiver_packet(k->receiver, data, len, now_us);
        if (!k->unnumbered_told && rtp_receiver_stats(k->receiver)->unnumbered >= UNNUMBERED_TOLD) {
            k->unnumbered_told = true;
            log_info(NULL,
                     "rtp: the sequence number of %s stands still: packets taken as they come",
                     track == TRACK_VIDEO ? "video" : "audio");
        }
    }
}

static void on_datagram(void *ctx, enum track track, const uint8_t *data, size_t len)
{
    struct source_rtsp *s = ctx;
    if (len < 8 || s->session == NULL || !s->playing)
        return;
    bool rtcp = data[1] >= 192 && data[1] <= 223; /* RFC 5761: on either port */
    s->busy = true;
    on_data(s, track, rtcp, data, len);
    s->busy = false;
    pump(s);
}

static int open_track(struct source_rtsp *s, const struct sdp_track *sdp)
{
    struct track_state *k = &s->tracks[sdp->kind];
    int rc = rtp_depacketizer_open(sdp, on_media, k, &k->depacketizer);
    if (rc == 0)
        k->receiver = rtp_receiver_new(s->udp, sdp->clock_rate, on_rtp, k);
    return rc;
}

static int on_ready(void *ctx, const struct sdp_track *video, const struct sdp_track *audio)
{
    struct source_rtsp *s = ctx;
    struct media_track tracks[TRACK_COUNT];
    const struct sdp_track *sdps[TRACK_COUNT] = {[TRACK_VIDEO] = video, [TRACK_AUDIO] = audio};
    uint32_t rates[TRACK_COUNT] = {0};

    int rc = open_track(s, video);
    if (rc != 0)
        return rc;
    if (audio != NULL && open_track(s, audio) != 0)
        sdps[TRACK_AUDIO] = NULL; /* unknown to libavformat: live without sound */
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (sdps[i] == NULL)
            continue;
        rates[i] = sdps[i]->clock_rate;
        tracks[i].par = rtp_depacketizer_par(s->tracks[i].depacketizer);
        tracks[i].time_base = (AVRational){1, (int)rates[i]};
        const struct rtsp_track *t = rtsp_session_track(s->session, (enum track)i);
        if (s->udp)
            rtsp_transport_udp_peer(s->transport, (enum track)i, t->source, t->server_ports);
    }
    rtp_clock_init(&s->clock, rates);
    int64_t now_us = clock_us();
    int64_t half = (int64_t)s->params.limits->connect_timeout_ms * 500;
    s->playing = true;
    s->report_at_us = now_us + REPORT_INTERVAL_US;
    if (s->udp && !s->switched)
        s->udp_silence_by_us = now_us + (half < UDP_SILENCE_US ? half : UDP_SILENCE_US);
    return s->sink.on_tracks(s->sink.ctx, &tracks[TRACK_VIDEO],
                             sdps[TRACK_AUDIO] != NULL ? &tracks[TRACK_AUDIO] : NULL);
}

/* --- the connection ----------------------------------------------------- */

static void connect_again(struct source_rtsp *s)
{
    close_connection(s);
    connect_camera(s);
}

static void switch_transport(struct source_rtsp *s, const char *detail)
{
    if (s->switched || is_tls(&s->url)) {
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, detail);
        return;
    }
    s->switched = true;
    s->udp = !s->udp;
    log_info(NULL, "rtsp: %s, trying %s", detail, s->udp ? "UDP" : "TCP");
    connect_again(s);
}

static void follow_redirect(struct source_rtsp *s, const char *target)
{
    struct rtsp_url url;
    if (++s->redirects > REDIRECTS_MAX || rtsp_url_parse(&url, target) != 0) {
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, "the camera redirects too often");
        return;
    }
    if (is_tls(&s->url) && !is_tls(&url)) {
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, "the camera redirects from rtsps to rtsp");
        return;
    }
    memcpy(url.parts.user, s->url.parts.user, sizeof(url.parts.user));
    memcpy(url.parts.password, s->url.parts.password, sizeof(url.parts.password));
    s->url = url;
    s->udp = s->udp && !is_tls(&url);
    explicit_bzero(&url, sizeof(url));
    log_debug(NULL, "rtsp: the camera redirects");
    connect_again(s);
}

static void act_on_verdict(struct source_rtsp *s)
{
    enum http_error error;
    const char *detail;
    if (s->session == NULL)
        return;
    switch (rtsp_session_verdict(s->session, &error, &detail)) {
    case RTSP_VERDICT_NONE:
    case RTSP_VERDICT_CLOSED:
        break;
    case RTSP_VERDICT_FAILED:
        end(s, error, detail);
        break;
    case RTSP_VERDICT_REDIRECT:
        follow_redirect(s, detail);
        break;
    case RTSP_VERDICT_SWITCH:
        switch_transport(s, s->udp ? "the camera refuses UDP" : "the camera refuses TCP");
        break;
    case RTSP_VERDICT_OPTIONS:
        s->options_first = true;
        connect_again(s);
        break;
    }
}

static void on_connected(void *ctx)
{
    struct source_rtsp *s = ctx;
    struct rtsp_session_params params = {
        .url = s->url.request,
        .user = s->url.parts.user,
        .password = s->url.parts.password,
        .udp = s->udp,
        .options_first = s->options_first,
    };
    if (getrandom(&params.seed, sizeof(params.seed), GRND_NONBLOCK) != sizeof(params.seed))
        params.seed = (uint64_t)clock_us(); /* it need not be secret */
    for (int i = 0; i < TRACK_COUNT; i++)
        params.udp_ports[i] = rtsp_transport_udp_port(s->transport, (enum track)i);
    s->session = rtsp_session_new(&params, &(struct rtsp_session_events){on_ready, on_data, s});
    if (s->session == NULL)
        end(s, HTTP_ERROR_OVERLOADED, "out of memory");
    else
        rtsp_session_start(s->session, clock_us());
    pump(s);
}

static uint8_t *on_space(void *ctx, size_t *len)
{
    struct source_rtsp *s = ctx;
    static uint8_t nowhere[256]; /* bytes before we asked for any */
    if (s->session != NULL)
        return rtsp_session_space(s->session, len);
    *len = sizeof(nowhere);
    return nowhere;
}

static void on_bytes(void *ctx, size_t len)
{
    struct source_rtsp *s = ctx;
    if (s->session != NULL) {
        enum rtsp_state before = rtsp_session_state(s->session);
        s->busy = true;
        rtsp_session_filled(s->session, len, clock_us());
        s->busy = false;
        enum rtsp_state after = rtsp_session_state(s->session);
        if (after != before)
            log_debug(NULL, "rtsp: %s", rtsp_state_name(after));
    }
    pump(s);
}

static void on_transport_end(void *ctx, const char *detail)
{
    struct source_rtsp *s = ctx;
    if (s->session != NULL) {
        rtsp_session_eof(s->session, detail);
        pump(s);
    } else {
        bool forbidden = rtsp_transport_forbidden(s->transport);
        end(s, forbidden ? HTTP_ERROR_CAMERA_NOT_ALLOWED : HTTP_ERROR_CAMERA_UNREACHABLE,
            detail[0] != '\0' ? detail : "connection closed");
    }
}

static void connect_camera(struct source_rtsp *s)
{
    const struct rtsp_transport_params params = {
        .host = s->url.parts.host,
        .port = s->url.parts.port,
        .tls = is_tls(&s->url),
        .tls_insecure = s->params.tls_insecure,
        .udp = s->udp,
        .access = &s->params.access,
        .own_host = s->params.access.trusted != 0 ? s->params.url->host : "",
    };
    s->transport =
        rtsp_transport_open(s->loop, &params,
                            &(struct rtsp_transport_events){on_connected, on_space, on_bytes,
                                                            on_datagram, on_transport_end, s});
    if (s->transport != NULL)
        s->open_handles++;
    else
        s->bad = "the host name is none";
}

/* --- time --------------------------------------------------------------- */

static void send_reports(struct source_rtsp *s, int64_t now_us)
{
    uint8_t report[RTP_REPORT_MAX];
    s->report_at_us = now_us + REPORT_INTERVAL_US;
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (s->tracks[i].receiver == NULL)
            continue;
        size_t len = rtp_receiver_report(s->tracks[i].receiver, now_us, report);
        if (len > 0 && s->udp)
            rtsp_transport_send_rtcp(s->transport, (enum track)i, report, len);
        else if (len > 0)
            rtsp_session_send_rtcp(s->session, (enum track)i, report, len);
    }
}

static int64_t next_deadline(const struct source_rtsp *s)
{
    if (s->closing) /* nothing else is done any more, however due it is */
        return s->teardown_by_us;
    int64_t at = s->bad != NULL ? 0 : media_by_us(s);
    const int64_t others[] = {s->udp_silence_by_us, s->report_at_us, s->teardown_by_us,
                              s->session != NULL ? rtsp_session_deadline(s->session) : INT64_MAX};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        at = others[i] < at ? others[i] : at;
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (s->tracks[i].receiver == NULL)
            continue;
        int64_t due = rtp_receiver_deadline(s->tracks[i].receiver);
        at = due < at ? due : at;
    }
    return at;
}

static void on_timer(uv_timer_t *timer)
{
    struct source_rtsp *s = timer->data;
    s->timer_at_us = INT64_MAX;
    pump(s);
}

static void arm_timer(struct source_rtsp *s)
{
    int64_t at = next_deadline(s);
    if (at >= s->timer_at_us || at == INT64_MAX)
        return; /* what is armed comes early enough: deadlines mostly move away */
    int64_t wait_us = at - clock_us();
    s->timer_at_us = at;
    (void)uv_timer_start(&s->timer, on_timer, wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0,
                         0);
}

void source_rtsp_limits_changed(struct source_rtsp *source)
{
    if (!uv_is_closing((uv_handle_t *)&source->timer))
        arm_timer(source);
}

static void do_what_is_due(struct source_rtsp *s, int64_t now_us)
{
    for (int i = 0; i < TRACK_COUNT; i++)
        if (s->tracks[i].receiver != NULL)
            rtp_receiver_timeout(s->tracks[i].receiver, now_us);
    if (s->session != NULL && rtsp_session_deadline(s->session) <= now_us)
        rtsp_session_timeout(s->session, now_us);
    if (s->session != NULL && s->report_at_us <= now_us)
        send_reports(s, now_us);
    if (s->heard)
        s->udp_silence_by_us = INT64_MAX;
    if (s->bad != NULL) {
        const char *bad = s->bad;
        s->bad = NULL;
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, bad);
    } else if (media_by_us(s) <= now_us) {
        char detail[SOURCE_DETAIL_MAX];
        const char *state =
            s->session != NULL ? rtsp_state_name(rtsp_session_state(s->session)) : "connecting";
        if (s->accepted_us != 0)
            (void)snprintf(detail, sizeof(detail), "no media for %u ms", timeout_ms(s));
        else
            (void)snprintf(detail, sizeof(detail), "no media within %u ms, state: %s",
                           timeout_ms(s), state);
        end(s, HTTP_ERROR_CAMERA_TIMEOUT, detail);
    } else if (s->udp_silence_by_us <= now_us) {
        s->udp_silence_by_us = INT64_MAX;
        rtsp_session_teardown(s->session);
        flush_output(s);
        switch_transport(s, "nothing comes over UDP");
    }
}

/* After everything that may have changed something: act, send, set the clock. */
static void pump(struct source_rtsp *s)
{
    if (s->busy)
        return; /* it is called again at the end of it */
    if (!s->closing && !s->ended) {
        do_what_is_due(s, clock_us());
        flush_output(s);
        act_on_verdict(s);
    }
    if (s->closing && s->teardown_by_us != INT64_MAX &&
        (s->session == NULL || rtsp_session_state(s->session) == RTSP_STATE_ENDED ||
         s->teardown_by_us <= clock_us())) {
        finish_close(s);
        return;
    }
    if (!uv_is_closing((uv_handle_t *)&s->timer))
        arm_timer(s);
}

struct source_rtsp *source_rtsp_open(uv_loop_t *loop, const struct source_params *params,
                                     const struct media_sink *sink,
                                     const struct source_rtsp_events *events)
{
    struct source_rtsp *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->sink = *sink;
    s->events = *events;
    s->params = *params;
    s->started_us = clock_us();
    s->bye_us = INT64_MAX;
    s->udp_silence_by_us = s->report_at_us = s->teardown_by_us = INT64_MAX;
    s->timer_at_us = INT64_MAX;
    for (int i = 0; i < TRACK_COUNT; i++) {
        s->tracks[i].source = s;
        s->tracks[i].track = (enum track)i;
    }
    (void)uv_timer_init(loop, &s->timer); /* cannot fail */
    s->timer.data = s;
    s->open_handles = 1;
    rtsp_url_from(&s->url, params->url);
    s->udp = wants_udp(s);
    if (params->memory != NULL) {
        s->udp = s->udp != (params->memory->other_transport && !is_tls(&s->url));
        s->options_first = params->memory->options_first;
    }
    connect_camera(s);
    arm_timer(s);
    return s;
}
