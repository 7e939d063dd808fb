#include "worker/rtsp/rtsp_session_private.h"

#include "common/xalloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void enter_play(struct rtsp_session *s)
{
    const struct rtsp_track *v = &s->tracks[TRACK_VIDEO];
    const struct rtsp_track *a = &s->tracks[TRACK_AUDIO];
    int rc = s->events.on_ready(s->events.ctx, v->sdp, a->set_up ? a->sdp : NULL);
    if (rc == -ENOMEM) {
        rtsp_session_fail(s, HTTP_ERROR_OVERLOADED, "out of memory");
    } else if (rc < 0) {
        rtsp_session_fail(s, HTTP_ERROR_UNSUPPORTED_CODEC, "video codec %s cannot be used",
                          v->sdp->codec[0] != '\0' ? v->sdp->codec : "without a name");
    } else {
        s->keepalive.began_us = s->now_us;
        rtsp_session_arm_keepalive(s);
        rtsp_session_enter(s, RTSP_STATE_PLAY);
    }
}

/* Go on to the next track to set up, or to PLAY. */
static void next_setup(struct rtsp_session *s)
{
    if (s->setup_track == TRACK_VIDEO && s->tracks[TRACK_AUDIO].sdp != NULL) {
        s->setup_track = TRACK_AUDIO;
        s->other_url_used = false;
        rtsp_session_ask(s);
        return;
    }
    enter_play(s);
}

void rtsp_session_give_up_sound(struct rtsp_session *s)
{
    s->given_up_cseq = s->pending_cseq;
    s->pending = METHOD_NONE;
    enter_play(s);
}

/* UniFi Protect encrypts if the URL says so, whatever its description says. */
static bool asks_for_srtp(const char *url)
{
    const char *query = strchr(url, '?');
    return query != NULL && strcasestr(query, "enableSrtp") != NULL;
}

/* A track that can be set up, or NULL. */
static const struct sdp_track *choose_track(const struct rtsp_session *s, enum track kind)
{
    const struct sdp_track *sdp = sdp_choose(s->sdp, kind);
    if (s->way == RTSP_WAY_UDP && s->udp_ports[kind] == 0)
        return NULL;
    return sdp != NULL && kind == TRACK_AUDIO && sdp->encrypted ? NULL : sdp;
}

static void fail_encrypted(struct rtsp_session *s)
{
    rtsp_session_fail(s, HTTP_ERROR_UNSUPPORTED_CODEC,
                      "the media are encrypted (SRTP), which is not supported; cameras of UniFi "
                      "send them plain if the URL has no ?enableSrtp");
}

static void on_described(struct rtsp_session *s, const struct rtsp_message *m)
{
    static const char *const base_headers[] = {"Content-Base", "Content-Location"};
    char text[RTSP_URL_MAX] = "";
    struct rtsp_slice value;
    for (size_t i = 0; i < 2 && text[0] == '\0'; i++)
        if (rtsp_message_header(m, base_headers[i], NULL, &value))
            rtsp_slice_copy(text, sizeof(text), value);
    rtsp_url_base(s->url, text, s->base);

    if (s->sdp == NULL)
        s->sdp = xcalloc(1, sizeof(*s->sdp));
    sdp_parse(s->sdp, m->body.data, m->body.len);
    if (s->misnamed != NULL)
        sdp_correct_codec(s->sdp, s->misnamed);
    /* If the session's control attribute is absolute it becomes the base; "*" or a relative one
     * does not. */
    rtsp_url_base(s->base, s->sdp->control, s->aggregate);
    (void)snprintf(s->base, sizeof(s->base), "%s", s->aggregate);

    for (int t = 0; t < TRACK_COUNT; t++) {
        struct rtsp_track *track = &s->tracks[t];
        memset(track, 0, sizeof(*track));
        track->sdp = choose_track(s, (enum track)t);
        track->channels[0] = (uint8_t)(2 * t);
        track->channels[1] = (uint8_t)(2 * t + 1);
        if (track->sdp != NULL && rtsp_url_join(s->base, track->sdp->control, track->url) != 0)
            track->sdp = NULL;
    }
    if (s->tracks[TRACK_VIDEO].sdp == NULL) {
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_NO_VIDEO, "the camera offers no video track");
        return;
    }
    if (asks_for_srtp(s->url) || s->tracks[TRACK_VIDEO].sdp->encrypted) {
        fail_encrypted(s);
        return;
    }
    for (int t = 0; t < TRACK_COUNT; t++)
        s->reader.payload_types[t] = s->tracks[t].sdp != NULL ? s->tracks[t].sdp->payload_type : -1;
    s->setup_track = TRACK_VIDEO;
    s->other_url_used = false;
    rtsp_session_enter(s, RTSP_STATE_SETUP);
}

/* Read the camera's answer to our Transport header.  Only its useful parts are believed: `RTP/AVP`
 * with interleaved channels, for example, is ignored.  Returns false if it chose another
 * transport. */
static bool read_transport(struct rtsp_session *s, struct rtsp_track *t, struct rtsp_slice value)
{
    struct rtsp_transport_header h;
    rtsp_parse_transport(value, &h);
    bool datagrams = rtsp_way_is_datagrams(s->way);
    if (datagrams ? h.interleaved : h.has_server_ports && !h.interleaved)
        return false;
    if (s->way == RTSP_WAY_MULTICAST && h.destination[0] == '\0')
        (void)snprintf(h.destination, sizeof(h.destination), "%s", t->sdp->group);
    if (s->way == RTSP_WAY_MULTICAST && h.ports[0] == 0) {
        h.ports[0] = t->sdp->port;
        h.ports[1] = t->sdp->port + 1u;
    }
    if (s->way == RTSP_WAY_MULTICAST && (h.destination[0] == '\0' || h.ports[0] == 0))
        return false;
    if (h.interleaved)
        memcpy(t->channels, h.channels, sizeof(t->channels));
    memcpy(t->server_ports, h.server_ports, sizeof(t->server_ports));
    memcpy(t->source, h.source, sizeof(t->source));
    memcpy(t->group, h.destination, sizeof(t->group));
    memcpy(t->group_ports, h.ports, sizeof(t->group_ports));
    return true;
}

static void read_session(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_slice value;
    struct rtsp_session_header h;
    if (!rtsp_message_header(m, "Session", NULL, &value))
        return;
    rtsp_parse_session(value, &h);
    if (h.id[0] != '\0') /* the newest id counts: some cameras change it */
        memcpy(s->session_id, h.id, sizeof(s->session_id));
    if (h.timeout_s > 0)
        s->timeout_s = h.timeout_s;
}

static void on_setup_done(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_track *t = &s->tracks[s->setup_track];
    struct rtsp_slice value = {"", 0}; /* some cameras leave the header out */
    (void)rtsp_message_header(m, "Transport", NULL, &value);
    bool encrypted = rtsp_slice_find(value, "RTP/SAVP") != NULL; /* whatever was described */
    if (encrypted && s->setup_track == TRACK_VIDEO) {
        fail_encrypted(s);
    } else if (!read_transport(s, t, value)) {
        rtsp_session_end(s, RTSP_VERDICT_SWITCH);
    } else {
        t->set_up = !encrypted;
        next_setup(s);
    }
}

/* Read each track's rtptime, to start audio and video in step.  RTP-Info has one entry per track,
 * named by URL, else in the order of the tracks. */
static void read_rtp_info(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_slice rest;
    struct rtsp_rtp_info info;
    if (!rtsp_message_header(m, "RTP-Info", NULL, &rest))
        return;
    for (int index = 0; rtsp_next_rtp_info(&rest, &info); index++) {
        int track = index < TRACK_COUNT ? index : -1;
        for (int t = 0; t < TRACK_COUNT; t++)
            if (s->tracks[t].set_up && s->tracks[t].sdp->control[0] != '\0' &&
                rtsp_slice_find(info.entry, s->tracks[t].sdp->control) != NULL)
                track = t;
        if (track >= 0 && info.has_rtptime) {
            s->tracks[track].has_rtptime = true;
            s->tracks[track].rtptime = info.rtptime;
        }
    }
}

static void on_success(struct rtsp_session *s, enum method method, const struct rtsp_message *m)
{
    switch (method) {
    case METHOD_OPTIONS:
        rtsp_session_enter(s, RTSP_STATE_DESCRIBE);
        break;
    case METHOD_DESCRIBE:
        on_described(s, m);
        break;
    case METHOD_SETUP:
        on_setup_done(s, m);
        break;
    case METHOD_PLAY:
        read_rtp_info(s, m);
        rtsp_session_set_state(s, RTSP_STATE_PLAYING);
        if (s->play_by_track && s->tracks[TRACK_AUDIO].set_up) /* its answer is not waited for */
            (void)rtsp_session_send(s, METHOD_PLAY, s->tracks[TRACK_AUDIO].url, "");
        break;
    case METHOD_TEARDOWN:
        rtsp_session_end(s, RTSP_VERDICT_CLOSED);
        break;
    case METHOD_NONE:
    case METHOD_GET_PARAMETER:
    case METHOD_SET_PARAMETER:
        break;
    }
}

static void fail_by_status(struct rtsp_session *s, enum method method, int status)
{
    enum http_error error = HTTP_ERROR_CAMERA_UNREACHABLE;
    if (status == 401 || status == 403)
        error = HTTP_ERROR_CAMERA_UNAUTHORIZED;
    else if (status == 404 || status == 410 || status == 454)
        error = HTTP_ERROR_CAMERA_NOT_FOUND;
    rtsp_session_fail(s, error, "the camera answered %d to %s", status, rtsp_method_name(method));
}

static void on_setup_refused(struct rtsp_session *s, int status)
{
    struct rtsp_track *t = &s->tracks[s->setup_track];
    if (status == 461 && t->sdp->feedback && !s->plain_profile) {
        s->plain_profile = true; /* some cameras announce RTP/AVPF but accept only RTP/AVP */
        rtsp_session_ask(s);
        return;
    }
    if (status == 461 && s->setup_track == TRACK_VIDEO) {
        rtsp_session_end(s, RTSP_VERDICT_SWITCH);
        return;
    }
    char other[RTSP_URL_MAX];
    if ((status == 400 || status == 404 || status == 454 || status == 459 || status == 460) &&
        !s->other_url_used && rtsp_url_resolve(s->base, t->sdp->control, other) == 0) {
        s->other_url_used = true;
        (void)snprintf(t->url, sizeof(t->url), "%s", other);
        rtsp_session_ask(s);
    } else if (s->setup_track == TRACK_VIDEO) {
        fail_by_status(s, METHOD_SETUP, status);
    } else {
        next_setup(s); /* continue without sound */
    }
}

/* Some cameras take it only after OPTIONS. */
static void on_describe_refused(struct rtsp_session *s, int status)
{
    if (!s->options_done && (status == 400 || status == 405 || status == 455 || status >= 500)) {
        s->options_done = true;
        rtsp_session_enter(s, RTSP_STATE_OPTIONS);
    } else {
        fail_by_status(s, METHOD_DESCRIBE, status);
    }
}

static void on_play_refused(struct rtsp_session *s, int status)
{
    if (!s->without_range && !s->media_seen) {
        s->without_range = true;
        rtsp_session_ask(s);
    } else if (s->media_seen) {
        rtsp_session_set_state(s, RTSP_STATE_PLAYING); /* media come, so it plays */
    } else if (!s->play_by_track && strcmp(s->aggregate, s->url) != 0) {
        (void)snprintf(s->aggregate, sizeof(s->aggregate), "%s", s->url);
        rtsp_session_ask(s);
    } else if (!s->play_by_track && status == 459) { /* aggregate operation not allowed */
        s->play_by_track = true;
        (void)snprintf(s->aggregate, sizeof(s->aggregate), "%s", s->tracks[TRACK_VIDEO].url);
        rtsp_session_ask(s);
    } else {
        fail_by_status(s, METHOD_PLAY, status);
    }
}

static void on_refused(struct rtsp_session *s, enum method method, int status)
{
    switch (method) {
    case METHOD_OPTIONS: /* 501, 405: the answer is not needed */
        rtsp_session_enter(s, RTSP_STATE_DESCRIBE);
        break;
    case METHOD_DESCRIBE:
        on_describe_refused(s, status);
        break;
    case METHOD_SETUP:
        on_setup_refused(s, status);
        break;
    case METHOD_PLAY:
        on_play_refused(s, status);
        break;
    case METHOD_TEARDOWN:
        rtsp_session_end(s, RTSP_VERDICT_CLOSED);
        break;
    case METHOD_NONE:
    case METHOD_GET_PARAMETER:
    case METHOD_SET_PARAMETER:
        break;
    }
}

void rtsp_session_on_redirect(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_slice value;
    struct rtsp_url url;
    char text[RTSP_URL_MAX];
    if (!rtsp_message_header(m, "Location", NULL, &value)) {
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_UNREACHABLE,
                          "the camera redirects without saying where to");
        return;
    }
    rtsp_slice_copy(text, sizeof(text), value);
    if (value.len >= sizeof(text) || rtsp_url_parse(&url, text) != 0) {
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_UNREACHABLE,
                          "the camera redirects to something that is not an RTSP URL");
        return;
    }
    (void)snprintf(s->detail, sizeof(s->detail), "%s", url.request);
    rtsp_session_end(s, RTSP_VERDICT_REDIRECT);
}

/* The answer's own number.  @return false if it has none, as with some cameras. */
static bool read_cseq(const struct rtsp_message *m, uint64_t *cseq)
{
    struct rtsp_slice value;
    return rtsp_message_header(m, "CSeq", NULL, &value) &&
           rtsp_slice_number(value, UINT32_MAX, cseq);
}

/* FNV-1a of all its bytes. */
static uint64_t fingerprint(const struct rtsp_message *m)
{
    const char *end = m->body.data + m->body.len;
    uint64_t sum = 0xCBF29CE484222325u;
    for (const char *p = m->method.data; p < end; p++)
        sum = (sum ^ (uint8_t)*p) * 0x100000001B3u;
    return sum;
}

/* Which request does it answer?  NONE: no one that waits.  Some cameras count wrongly or not at all
 * (`CSeq: 0` in each answer, or the number before), but all answer in order; an answer that comes
 * twice is the only other one with a wrong number. */
static enum method answered_method(struct rtsp_session *s, const struct rtsp_message *m)
{
    uint64_t cseq;
    uint64_t print = fingerprint(m);
    bool again = print == s->last_answer && !s->miscounts;
    bool numbered = read_cseq(m, &cseq);
    s->last_answer = print;
    if (s->pending != METHOD_NONE && (!numbered || cseq == s->pending_cseq))
        return s->pending;
    if (s->keepalive.sent != METHOD_NONE && (!numbered || cseq == s->keepalive.cseq))
        return s->keepalive.sent;
    enum method waits = s->pending != METHOD_NONE ? s->pending : s->keepalive.sent;
    if (numbered && cseq == s->given_up_cseq && cseq != 0 && !s->miscounts)
        return METHOD_NONE; /* it comes late */
    if (again || waits == METHOD_NONE)
        return METHOD_NONE;
    s->miscounts = true;
    return waits;
}

static void on_unauthorized(struct rtsp_session *s, enum method method,
                            const struct rtsp_message *m)
{
    if (rtsp_auth_refused(&s->auth, m))
        rtsp_session_ask(s);
    else if (method == METHOD_TEARDOWN)
        rtsp_session_end(s, RTSP_VERDICT_CLOSED);
    else
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_UNAUTHORIZED,
                          "the camera refused user name or password");
}

void rtsp_session_on_response(struct rtsp_session *s, const struct rtsp_message *m)
{
    if (m->status < 200)
        return; /* 100 Continue */
    enum method method = answered_method(s, m);
    if (method == METHOD_NONE)
        return;
    if (method != s->pending) {
        rtsp_session_on_keepalive_reply(s, m);
        return;
    }
    s->pending = METHOD_NONE;
    if (m->status != 401)
        rtsp_auth_accepted(&s->auth);
    read_session(s, m);
    rtsp_session_read_public(s, m);
    if (m->status == 401) {
        on_unauthorized(s, method, m);
    } else if (m->status < 300) {
        on_success(s, method, m);
    } else if (m->status < 400 && method != METHOD_TEARDOWN) {
        rtsp_session_on_redirect(s, m);
    } else if (m->status == 403 && method != METHOD_TEARDOWN) {
        fail_by_status(s, method, m->status);
    } else {
        on_refused(s, method, m->status);
    }
}
