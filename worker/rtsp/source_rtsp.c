#include "worker/rtsp/source_rtsp.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/rtp/rtp_packet.h"
#include "worker/rtsp/rtsp_connection.h"
#include "worker/rtsp/rtsp_first_request.h"
#include "worker/rtsp/rtsp_no_audio.h"
#include "worker/rtsp/rtsp_patience.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define REDIRECTS_MAX 5
#define UDP_SILENCE_US 3000000
#define REPORT_INTERVAL_US 5000000 /* some cameras stop without receiver reports */
#define TEARDOWN_US 500000
#define EARLY_US 2000 /* the loop counts whole milliseconds: so early may a timer fire */

struct source_rtsp {
    uv_loop_t *loop;
    struct media_sink sink;
    struct source_rtsp_events events;
    struct source_params params;
    struct rtsp_url url;

    enum rtsp_way way;
    bool options_first;
    bool switched;        /* the other way was tried: that is done only once */
    const char *misnamed; /* what the camera calls the other one of "H264" and "H265"; NULL: none */
    bool codec_switched;  /* that was found out: it is done only once */
    unsigned redirects;
    uint64_t seed;           /* random, not secret; new for each connection */
    struct rtsp_auth *login; /* for the next connection, see RTSP_VERDICT_LOGIN; NULL: none */
    struct rtsp_connection conn;

    uv_timer_t timer;
    int64_t timer_at_us;
    struct rtsp_patience patience;
    int64_t teardown_by_us;
    struct source_loss loss; /* of earlier connections */

    const char *bad; /* why no connection could be tried; the timer reports it */
    bool ended;      /* on_end was called */
    bool busy;       /* in a call into the session or its media: they must not be freed now */
    bool gathering;  /* more datagrams follow at once: pump() after the last one */
    struct closing closing; /* timer, transports */
};

static void connect_camera(struct source_rtsp *s);
static void pump(struct source_rtsp *s);

/* --- the end ------------------------------------------------------------ */

static void forget_login(struct source_rtsp *s)
{
    if (s->login != NULL)
        explicit_bzero(s->login, sizeof(*s->login));
    free(s->login);
    s->login = NULL;
}

static void release(struct source_rtsp *s)
{
    if (!closing_release(&s->closing))
        return;
    forget_login(s);
    explicit_bzero(&s->url, sizeof(s->url));
    closing_finish(&s->closing, s);
}

static void on_transport_closed(void *ctx)
{
    release(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

struct source_loss source_rtsp_loss(struct source_rtsp *source)
{
    struct source_loss loss = rtsp_connection_loss(&source->conn);
    return source_loss_sum(&source->loss, &loss);
}

static void close_connection(struct source_rtsp *s)
{
    s->loss = source_rtsp_loss(s);
    rtsp_connection_close(&s->conn, on_transport_closed, s);
    s->patience.bye_us = 0;
}

static void end(struct source_rtsp *s, enum http_error error, const char *detail)
{
    if (s->ended || s->closing.asked)
        return;
    s->ended = true;
    char copy[SOURCE_DETAIL_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", detail);
    rtsp_connection_teardown(&s->conn);
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
    (void)closing_ask(&s->closing, closed, ctx); /* the timer is held */
    s->teardown_by_us = clock_awake_us() + TEARDOWN_US;
    rtsp_connection_teardown(&s->conn);
    s->timer_at_us = INT64_MAX;
    pump(s);
}

/* --- media -------------------------------------------------------------- */

static bool is_tls(const struct rtsp_url *url)
{
    return url->parts.scheme == URL_RTSPS;
}

static enum rtsp_way wanted_way(const struct source_rtsp *s)
{
    return rtsp_way_wanted(s->params.transport, is_tls(&s->url));
}

/* By when the next media packet must be accepted, or the connection has failed. */
static int64_t media_by_us(const struct source_rtsp *s)
{
    return s->ended ? INT64_MAX : rtsp_patience_deadline(&s->patience);
}

static void on_media(void *ctx, const struct media_packet *packet)
{
    struct source_rtsp *s = ctx;
    if (s->ended || s->closing.asked || !s->sink.on_packet(s->sink.ctx, packet))
        return;
    if (s->patience.accepted_us == 0 && s->params.memory != NULL) {
        s->params.memory->other_transport = s->way != wanted_way(s);
        s->params.memory->options_first = s->options_first;
        s->params.memory->first_known = true;
    }
    rtsp_patience_accept(&s->patience, clock_awake_us());
}

static void on_report(void *ctx, const struct media_report *report)
{
    struct source_rtsp *s = ctx;
    if (!s->ended && !s->closing.asked && s->sink.on_report != NULL)
        s->sink.on_report(s->sink.ctx, report);
}

static void on_data(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len)
{
    struct source_rtsp *s = ctx;
    struct rtsp_media *media = &s->conn.media;
    if (s->ended || s->closing.asked)
        return;
    rtsp_media_push(media, track, rtcp, data, len, clock_us());
    if (media->bye)
        rtsp_patience_bye(&s->patience, clock_awake_us());
    media->bye = false;
}

static void on_datagram(void *ctx, enum track track, const uint8_t *data, size_t len)
{
    struct source_rtsp *s = ctx;
    if (len < 8 || s->conn.session == NULL || !s->conn.playing)
        return;
    const struct sdp_track *sdp = rtsp_session_track(s->conn.session, track)->sdp;
    bool rtcp = rtp_is_rtcp(data, len, sdp != NULL ? sdp->payload_type : -1);
    s->busy = true;
    on_data(s, track, rtcp, data, len);
    s->busy = false;
    if (!s->gathering)
        pump(s);
}

static int on_ready(void *ctx, const struct sdp_track *video, const struct sdp_track *audio)
{
    struct source_rtsp *s = ctx;
    struct rtsp_connection *c = &s->conn;
    (void)video;
    c->media.on_media = on_media;
    c->media.on_report = on_report;
    c->media.ctx = s;
    int rc = rtsp_media_open(&c->media, c->session, rtsp_way_is_datagrams(s->way), audio != NULL);
    if (rc != 0)
        return rc;
    for (int i = 0; i < TRACK_COUNT; i++)
        if (rtsp_media_has(&c->media, (enum track)i))
            rtsp_transport_expect(c->transport, rtsp_session_track(c->session, (enum track)i));
    int64_t now_us = clock_awake_us();
    int64_t half_us = (int64_t)s->params.limits->connect_timeout_ms * 500;
    c->playing = true;
    c->report_at_us = now_us + REPORT_INTERVAL_US;
    if (rtsp_way_is_datagrams(s->way) && !s->switched)
        c->udp_silence_by_us = now_us + (half_us < UDP_SILENCE_US ? half_us : UDP_SILENCE_US);
    rc = rtsp_media_announce(&c->media, &s->sink);
    if (rc == 0)
        rtsp_no_audio_tell(c->session, &c->media, &s->sink);
    return rc;
}

/* --- the connection ----------------------------------------------------- */

static void connect_again(struct source_rtsp *s)
{
    close_connection(s);
    connect_camera(s);
}

/* The next connection begins with this one's challenge. @return false if there is none. */
static bool keep_login(struct source_rtsp *s)
{
    const struct rtsp_auth *login = rtsp_session_login(s->conn.session);
    if (login == NULL)
        return false;
    forget_login(s);
    s->login = xcalloc(1, sizeof(*s->login));
    *s->login = *login;
    return true;
}

static void connect_with_login(struct source_rtsp *s)
{
    (void)keep_login(s);
    connect_again(s);
}

/* The camera hung up on DESCRIBE. */
static void try_options(struct source_rtsp *s)
{
    if (rtsp_first_request_unanswered(s->params.memory)) {
        s->options_first = true;
        connect_with_login(s);
    } else if (keep_login(s)) {
        connect_again(s);
    } else {
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, "the camera closed the connection");
    }
}

static void switch_transport(struct source_rtsp *s, const char *detail)
{
    if (s->switched || is_tls(&s->url) || s->way == RTSP_WAY_HTTP) {
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, detail);
        return;
    }
    s->switched = true;
    s->way = rtsp_way_other(s->way);
    log_info(NULL, "rtsp: %s, trying %s", detail, rtsp_way_name(s->way));
    connect_again(s);
}

/* Connect again: the tracks are announced before the first packet shows what they are.  Either the
 * description is wrong, or it was corrected and is right by now; the new one may be right, too. */
static void switch_codec(struct source_rtsp *s)
{
    const struct sdp_track *video = rtsp_session_track(s->conn.session, TRACK_VIDEO)->sdp;
    bool sends_h264 = strcasecmp(video->codec, "H265") == 0;
    const char *named = sends_h264 ? "H265" : "H264";
    s->codec_switched = true;
    s->misnamed = video->corrected ? NULL : named;
    if (s->params.memory != NULL)
        s->params.memory->misnamed = s->misnamed;
    log_info(NULL, "rtsp: the camera sends %s, and not %s as expected: connecting again",
             sends_h264 ? "H.264" : "HEVC", sends_h264 ? "HEVC" : "H.264");
    rtsp_connection_teardown(&s->conn);
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
    forget_login(s);
    memcpy(url.parts.user, s->url.parts.user, sizeof(url.parts.user));
    memcpy(url.parts.password, s->url.parts.password, sizeof(url.parts.password));
    s->url = url;
    if (is_tls(&url) && rtsp_way_is_datagrams(s->way))
        s->way = RTSP_WAY_TCP;
    explicit_bzero(&url, sizeof(url));
    log_debug(NULL, "rtsp: the camera redirects");
    connect_again(s);
}

static void act_on_verdict(struct source_rtsp *s)
{
    enum http_error error;
    const char *detail;
    char text[SOURCE_DETAIL_MAX];
    if (s->conn.session == NULL)
        return;
    switch (rtsp_session_verdict(s->conn.session, &error, &detail)) {
    case RTSP_VERDICT_NONE:
    case RTSP_VERDICT_CLOSED:
        break;
    case RTSP_VERDICT_FAILED:
        rtsp_first_request_failed(s->params.memory);
        end(s, error, detail);
        break;
    case RTSP_VERDICT_REDIRECT:
        follow_redirect(s, detail);
        break;
    case RTSP_VERDICT_SWITCH:
        (void)snprintf(text, sizeof(text), "the camera refuses %s", rtsp_way_name(s->way));
        switch_transport(s, text);
        break;
    case RTSP_VERDICT_OPTIONS:
        try_options(s);
        break;
    case RTSP_VERDICT_LOGIN:
        connect_with_login(s);
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
        .login = s->login,
        .way = s->way,
        .options_first = s->options_first,
        .misnamed = s->misnamed,
        .seed = s->seed,
        .only_options = s->params.memory != NULL && s->params.memory->only_options,
        .no_keepalive = s->params.memory != NULL && s->params.memory->no_keepalive,
    };
    for (int i = 0; i < TRACK_COUNT; i++)
        params.udp_ports[i] = rtsp_transport_udp_port(s->conn.transport, (enum track)i);
    s->conn.session =
        rtsp_session_new(&params, &(struct rtsp_session_events){on_ready, on_data, s});
    forget_login(s);
    if (s->conn.session == NULL)
        end(s, HTTP_ERROR_OVERLOADED, "out of memory");
    else
        rtsp_session_start(s->conn.session, clock_awake_us());
    pump(s);
}

static uint8_t *on_space(void *ctx, size_t *len)
{
    struct source_rtsp *s = ctx;
    return rtsp_connection_space(&s->conn, len);
}

static void on_bytes(void *ctx, size_t len)
{
    struct source_rtsp *s = ctx;
    if (s->conn.session != NULL) {
        enum rtsp_state before = rtsp_session_state(s->conn.session);
        s->busy = true;
        rtsp_session_filled(s->conn.session, len, clock_awake_us());
        s->busy = false;
        enum rtsp_state after = rtsp_session_state(s->conn.session);
        if (after != before)
            log_debug(NULL, "rtsp: %s", rtsp_state_name(after));
    }
    pump(s);
}

static void on_transport_end(void *ctx, const char *detail)
{
    struct source_rtsp *s = ctx;
    enum http_error error = rtsp_transport_error(s->conn.transport);
    if (s->conn.session != NULL && error == HTTP_ERROR_CAMERA_UNREACHABLE) {
        rtsp_session_learn_keepalive(s->conn.session, true, s->params.memory);
        rtsp_session_eof(s->conn.session, detail);
        pump(s);
    } else {
        end(s, error, detail[0] != '\0' ? detail : "connection closed");
    }
}

static void connect_camera(struct source_rtsp *s)
{
    if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) != sizeof(s->seed))
        s->seed = (uint64_t)clock_us();
    const struct rtsp_transport_params params = {
        .url = &s->url.parts,
        .way = s->way,
        .tls_insecure = s->params.tls_insecure,
        .seed = s->seed,
        .access = &s->params.access,
        .own_host = s->params.access.trusted != 0 ? s->params.url->host : "",
    };
    s->conn.transport =
        rtsp_transport_open(s->loop, &params,
                            &(struct rtsp_transport_events){on_connected, on_space, on_bytes,
                                                            on_datagram, on_transport_end, s});
    if (s->conn.transport != NULL)
        closing_hold(&s->closing);
    else
        s->bad = "not a valid host name";
}

/* --- time --------------------------------------------------------------- */

void source_rtsp_ask_key_frame(struct source_rtsp *source)
{
    struct source_rtsp *s = source;
    if (!s->conn.playing || s->ended || s->closing.asked)
        return;
    rtsp_connection_report(&s->conn, s->way, TRACK_VIDEO, true);
    rtsp_connection_flush(&s->conn);
}

static int64_t next_deadline(const struct source_rtsp *s)
{
    if (s->closing.asked) /* nothing else happens any more */
        return s->teardown_by_us;
    const int64_t media_us = s->bad != NULL ? 0 : media_by_us(s);
    const int64_t conn_us = rtsp_connection_deadline(&s->conn);
    const int64_t at_us = media_us < conn_us ? media_us : conn_us;
    return at_us < s->teardown_by_us ? at_us : s->teardown_by_us;
}

/* Read what has arrived while lazy. */
static void gather(struct source_rtsp *s)
{
    struct rtsp_connection *c = &s->conn;
    if (!rtsp_lazy_is_on(&c->lazy) || s->ended || s->closing.asked)
        return;
    rtsp_lazy_reading(&c->lazy, c->transport, &s->patience);
    s->gathering = true;
    rtsp_transport_gather(c->transport);
    s->gathering = false;
    pump(s);
    if (rtsp_lazy_is_on(&c->lazy) && !s->ended && !s->closing.asked) /* else it is another one */
        rtsp_lazy_check(&c->lazy, c->transport);
}

static void on_timer(uv_timer_t *timer)
{
    struct source_rtsp *s = timer->data;
    s->timer_at_us = INT64_MAX;
    if (rtsp_lazy_is_due(&s->conn.lazy, rtsp_connection_media_deadline(&s->conn),
                         clock_awake_us() + EARLY_US))
        gather(s);
    pump(s);
}

static void arm_timer(struct source_rtsp *s)
{
    int64_t at = next_deadline(s);
    if (at >= s->timer_at_us || at == INT64_MAX)
        return; /* the armed timer is early enough: deadlines mostly move later */
    int64_t wait_us = at - clock_awake_us();
    s->timer_at_us = at;
    (void)uv_timer_start(&s->timer, on_timer, wait_us > 0 ? (uint64_t)(wait_us + 999) / 1000 : 0,
                         0);
}

void source_rtsp_set_lazy(struct source_rtsp *source, bool lazy)
{
    struct source_rtsp *s = source;
    struct rtsp_connection *c = &s->conn;
    bool was_lazy = rtsp_lazy_is_on(&c->lazy);
    if ((!lazy && !was_lazy) || !c->playing)
        return;
    if (was_lazy)
        gather(s);
    else
        rtsp_lazy_begin(&c->lazy, c->transport, &s->patience);
    if (!lazy && rtsp_lazy_is_on(&c->lazy))
        rtsp_lazy_end(&c->lazy, c->transport);
    if (uv_is_closing((uv_handle_t *)&s->timer))
        return;
    s->timer_at_us = INT64_MAX; /* it was just read: a timer armed for that has nothing to do */
    arm_timer(s);
}

void source_rtsp_limits_changed(struct source_rtsp *source)
{
    if (!uv_is_closing((uv_handle_t *)&source->timer))
        arm_timer(source);
}

/* End the connection: no media came in time. */
static void end_silent(struct source_rtsp *s)
{
    const struct rtsp_session *session = s->conn.session;
    char detail[SOURCE_DETAIL_MAX];
    const char *state =
        session != NULL ? rtsp_state_name(rtsp_session_state(session)) : "connecting";
    if (session != NULL)
        rtsp_session_learn_keepalive(session, false, s->params.memory);
    rtsp_patience_text(&s->patience, state, detail, sizeof(detail));
    end(s, HTTP_ERROR_CAMERA_TIMEOUT, detail);
}

static void do_what_is_due(struct source_rtsp *s, int64_t now_us)
{
    rtsp_media_timeout(&s->conn.media, clock_us());
    if (s->conn.session != NULL && rtsp_session_deadline(s->conn.session) <= now_us)
        rtsp_session_timeout(s->conn.session, now_us);
    if (s->conn.report_at_us <= now_us) {
        s->conn.report_at_us = now_us + REPORT_INTERVAL_US;
        rtsp_connection_report(&s->conn, s->way, TRACK_VIDEO, false);
        rtsp_connection_report(&s->conn, s->way, TRACK_AUDIO, false);
        rtsp_transport_check(s->conn.transport);
    }
    if (s->conn.media.heard)
        s->conn.udp_silence_by_us = INT64_MAX;
    if (s->bad != NULL) {
        const char *bad = s->bad;
        s->bad = NULL;
        end(s, HTTP_ERROR_CAMERA_UNREACHABLE, bad);
    } else if (rtsp_media_is_other_codec(&s->conn.media) && !s->codec_switched) {
        switch_codec(s);
    } else if (media_by_us(s) <= now_us) {
        end_silent(s);
    } else if (s->conn.udp_silence_by_us <= now_us) {
        s->conn.udp_silence_by_us = INT64_MAX;
        rtsp_connection_teardown(&s->conn);
        switch_transport(s, s->way == RTSP_WAY_UDP ? "nothing comes over UDP"
                                                   : "nothing comes by multicast");
    }
}

/* Call this after anything that may have changed the state: act, send, arm the timer. */
static void pump(struct source_rtsp *s)
{
    if (s->busy)
        return; /* the busy caller calls again when it is done */
    if (!s->closing.asked && !s->ended) {
        do_what_is_due(s, clock_awake_us());
        rtsp_connection_flush(&s->conn);
        act_on_verdict(s);
    }
    if (s->closing.asked && s->teardown_by_us != INT64_MAX &&
        (s->conn.session == NULL || rtsp_session_state(s->conn.session) == RTSP_STATE_ENDED ||
         s->teardown_by_us <= clock_awake_us())) {
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
    s->patience = (struct rtsp_patience){params->limits, clock_awake_us(), 0, 0};
    s->conn = rtsp_connection_none;
    s->teardown_by_us = s->timer_at_us = INT64_MAX;
    (void)uv_timer_init(loop, &s->timer); /* cannot fail */
    s->timer.data = s;
    closing_hold(&s->closing);
    rtsp_url_from(&s->url, params->url);
    s->way = wanted_way(s);
    if (params->memory != NULL) {
        if (params->memory->other_transport && !is_tls(&s->url))
            s->way = rtsp_way_other(s->way);
        s->options_first = params->memory->options_first;
        s->misnamed = params->memory->misnamed;
    }
    connect_camera(s);
    arm_timer(s);
    return s;
}
