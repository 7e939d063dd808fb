#include "worker/rtsp/rtsp_session_private.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/rtp/rtp_packet.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_AGENT "CAM-HTTPFLV" /* some cameras refuse requests without one */
#define SOUND_WAIT_US 3000000    /* for the answer to the sound's SETUP */
#define SESSION_TIMEOUT_S 60     /* RFC 2326 section 12.37 */

const char *rtsp_method_name(enum method method)
{
    static const char *const names[] = {"",     "OPTIONS",       "DESCRIBE",      "SETUP",
                                        "PLAY", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN"};
    return names[method];
}

/* Permitted moves: a bit for each state that may come next. */
static const unsigned moves[RTSP_STATE_COUNT] = {
    [RTSP_STATE_IDLE] = 1u << RTSP_STATE_OPTIONS | 1u << RTSP_STATE_DESCRIBE,
    [RTSP_STATE_OPTIONS] = 1u << RTSP_STATE_DESCRIBE,
    [RTSP_STATE_DESCRIBE] = 1u << RTSP_STATE_OPTIONS | 1u << RTSP_STATE_SETUP,
    [RTSP_STATE_SETUP] = 1u << RTSP_STATE_PLAY,
    [RTSP_STATE_PLAY] = 1u << RTSP_STATE_PLAYING,
};

void rtsp_session_set_state(struct rtsp_session *s, enum rtsp_state state)
{
    assert(state >= RTSP_STATE_TEARDOWN || (moves[s->state] & 1u << state) != 0);
    s->state = state;
}

const char *rtsp_state_name(enum rtsp_state state)
{
    static const char *const names[] = {
#define X(name, text) text,
        RTSP_STATES(X)
#undef X
    };
    return names[state];
}

/* --- requests ----------------------------------------------------------- */

static bool put(struct rtsp_session *s, const void *data, size_t len)
{
    if (len > sizeof(s->output) - s->output_len)
        return false;
    memcpy(s->output + s->output_len, data, len);
    s->output_len += len;
    return true;
}

bool rtsp_session_send(struct rtsp_session *s, enum method method, const char *url,
                       const char *headers)
{
    char auth[RTSP_AUTH_HEADER_MAX];
    char session[sizeof(s->session_id) + 16] = "";
    char request[RTSP_URL_MAX + RTSP_AUTH_HEADER_MAX + sizeof(session) + 1024];
    if (rtsp_auth_header(&s->auth, rtsp_method_name(method), url, auth) < 0)
        return false;
    if (s->session_id[0] != '\0')
        (void)snprintf(session, sizeof(session), "Session: %s\r\n", s->session_id);
    /* `CSeq` must be spelt as in the RFC: some cameras compare it case-sensitively. */
    int n = snprintf(request, sizeof(request),
                     "%s %s RTSP/1.0\r\nCSeq: %u\r\nUser-Agent: " USER_AGENT "\r\n%s%s%s\r\n",
                     rtsp_method_name(method), url, ++s->cseq, session, auth, headers);
    return n > 0 && (size_t)n < sizeof(request) && put(s, request, (size_t)n);
}

void rtsp_session_end(struct rtsp_session *s, enum rtsp_verdict verdict)
{
    if (s->state == RTSP_STATE_ENDED)
        return;
    if (s->session_id[0] != '\0' && !s->eof && s->state != RTSP_STATE_TEARDOWN)
        (void)rtsp_session_send(s, METHOD_TEARDOWN, s->aggregate, "");
    rtsp_session_set_state(s, RTSP_STATE_ENDED);
    s->pending = METHOD_NONE;
    s->verdict = verdict;
}

void rtsp_session_fail(struct rtsp_session *s, enum http_error error, const char *fmt, ...)
{
    if (s->state == RTSP_STATE_ENDED)
        return;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(s->detail, RTSP_DETAIL_MAX, fmt, ap);
    va_end(ap);
    s->error = error;
    rtsp_session_end(s, RTSP_VERDICT_FAILED);
}

static void ask(struct rtsp_session *s, enum method method, const char *url, const char *headers)
{
    if (!rtsp_session_send(s, method, url, headers)) {
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_UNREACHABLE, "a request is too long for RTSP");
        return;
    }
    s->pending = method;
    s->pending_cseq = s->cseq;
}

static void ask_setup(struct rtsp_session *s)
{
    const struct rtsp_track *t = &s->tracks[s->setup_track];
    const char *profile = t->sdp->feedback && !s->plain_profile ? "RTP/AVPF" : "RTP/AVP";
    char transport[128];
    switch (s->way) {
    case RTSP_WAY_UDP:
        (void)snprintf(transport, sizeof(transport), "Transport: %s;unicast;client_port=%u-%u\r\n",
                       profile, s->udp_ports[s->setup_track], s->udp_ports[s->setup_track] + 1u);
        break;
    case RTSP_WAY_MULTICAST:
        (void)snprintf(transport, sizeof(transport), "Transport: %s;multicast\r\n", profile);
        break;
    case RTSP_WAY_TCP:
    case RTSP_WAY_HTTP:
        (void)snprintf(transport, sizeof(transport),
                       "Transport: %s/TCP;unicast;interleaved=%u-%u\r\n", profile, t->channels[0],
                       t->channels[1]);
        break;
    }
    ask(s, METHOD_SETUP, t->url, transport);
}

void rtsp_session_ask(struct rtsp_session *s)
{
    switch (s->state) {
    case RTSP_STATE_OPTIONS:
        ask(s, METHOD_OPTIONS, s->url, "");
        break;
    case RTSP_STATE_DESCRIBE:
        ask(s, METHOD_DESCRIBE, s->url, "Accept: application/sdp\r\n");
        break;
    case RTSP_STATE_SETUP:
        s->sound_by_us = s->setup_track == TRACK_AUDIO ? s->now_us + SOUND_WAIT_US : INT64_MAX;
        ask_setup(s);
        break;
    case RTSP_STATE_PLAY:
        ask(s, METHOD_PLAY, s->aggregate, s->without_range ? "" : "Range: npt=0.000-\r\n");
        break;
    case RTSP_STATE_TEARDOWN:
        ask(s, METHOD_TEARDOWN, s->aggregate, "");
        break;
    case RTSP_STATE_IDLE:
    case RTSP_STATE_PLAYING:
    case RTSP_STATE_ENDED:
    case RTSP_STATE_COUNT:
        break;
    }
}

void rtsp_session_enter(struct rtsp_session *s, enum rtsp_state state)
{
    rtsp_session_set_state(s, state);
    rtsp_session_ask(s);
}

/* --- the camera's requests, frames -------------------------------------- */

static void on_request(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_slice value;
    uint64_t cseq = 0;
    if (rtsp_message_header(m, "CSeq", NULL, &value))
        (void)rtsp_slice_number(value, UINT32_MAX, &cseq);
    bool known =
        rtsp_slice_equals(m->method, "OPTIONS") || rtsp_slice_equals(m->method, "GET_PARAMETER") ||
        rtsp_slice_equals(m->method, "SET_PARAMETER") || rtsp_slice_equals(m->method, "ANNOUNCE");
    char reply[128];
    int n = snprintf(reply, sizeof(reply), "RTSP/1.0 %s\r\nCSeq: %llu\r\n\r\n",
                     known ? "200 OK" : "501 Not Implemented", (unsigned long long)cseq);
    (void)put(
        s, reply,
        (size_t)n); /* if there is no room, drop it: a camera that does not read needs no answer */
    if (rtsp_slice_equals(m->method, "REDIRECT"))
        rtsp_session_on_redirect(s, m);
    else if (rtsp_slice_equals(m->method, "TEARDOWN"))
        rtsp_session_fail(s, HTTP_ERROR_CAMERA_UNREACHABLE, "the camera ended the session");
}

/* Which track does a frame belong to?  Its payload type decides: some cameras use channels that
 * were not negotiated, some swap them.  For RTCP the channel decides. */
static bool find_track(struct rtsp_session *s, const struct rtsp_message *m, bool rtcp,
                       enum track *track)
{
    int by_channel = -1;
    int by_type = -1;
    for (int t = 0; t < TRACK_COUNT; t++) {
        const struct rtsp_track *k = &s->tracks[t];
        if (k->sdp == NULL || !(k->set_up || t == (int)s->setup_track))
            continue;
        if (m->channel == k->channels[0] || m->channel == k->channels[1])
            by_channel = t;
        if (!rtcp && (m->frame[1] & 0x7F) == k->sdp->payload_type &&
            (by_type < 0 || by_channel == t))
            by_type = t;
    }
    int found = by_type >= 0 ? by_type : by_channel;
    if (found < 0)
        return false;
    *track = (enum track)found;
    return true;
}

/* On whichever channel it comes: some cameras swap them. */
static bool is_rtcp(const struct rtsp_session *s, const struct rtsp_message *m)
{
    for (int t = 0; t < TRACK_COUNT; t++)
        if (s->tracks[t].sdp != NULL &&
            !rtp_is_rtcp(m->frame, m->frame_len, s->tracks[t].sdp->payload_type))
            return false;
    return true;
}

static void on_frame(struct rtsp_session *s, const struct rtsp_message *m)
{
    enum track track;
    if (rtsp_way_is_datagrams(s->way) || s->state < RTSP_STATE_SETUP ||
        s->state > RTSP_STATE_PLAYING || m->frame_len < 8 || (m->frame[0] & 0xC0) != 0x80)
        return;
    bool rtcp = is_rtcp(s, m);
    if (s->state >= RTSP_STATE_PLAY && find_track(s, m, rtcp, &track)) {
        s->media_seen = true;
        s->events.on_data(s->events.ctx, track, rtcp, m->frame, m->frame_len);
    }
}

/* --- the interface ------------------------------------------------------ */

struct rtsp_session *rtsp_session_new(const struct rtsp_session_params *params,
                                      const struct rtsp_session_events *events)
{
    struct rtsp_session *s = xcalloc(1, sizeof(*s));
    if (rtsp_reader_init(&s->reader) != 0) {
        free(s);
        return NULL;
    }
    s->events = *events;
    rtsp_auth_init(&s->auth, params->user, params->password, params->seed);
    s->login_carried = params->login != NULL;
    if (s->login_carried)
        rtsp_auth_carry(&s->auth, params->login);
    (void)snprintf(s->url, sizeof(s->url), "%s", params->url);
    (void)snprintf(s->aggregate, sizeof(s->aggregate), "%s", params->url);
    s->way = params->way;
    memcpy(s->udp_ports, params->udp_ports, sizeof(s->udp_ports));
    s->options_done = params->options_first;
    s->misnamed = params->misnamed;
    s->timeout_s = SESSION_TIMEOUT_S;
    if (params->only_options || params->no_keepalive) {
        s->keepalive.ways = params->no_keepalive ? KEEPALIVE_NONE : KEEPALIVE_OPTIONS;
        s->keepalive.set = SET_PARAMETER_USELESS;
    }
    s->keepalive.at_us = INT64_MAX;
    return s;
}

void rtsp_session_free(struct rtsp_session **session)
{
    struct rtsp_session *s = *session;
    *session = NULL;
    if (s == NULL)
        return;
    rtsp_reader_free(&s->reader);
    free(s->sdp);
    explicit_bzero(&s->auth, sizeof(s->auth));
    free(s);
}

void rtsp_session_start(struct rtsp_session *session, int64_t now_us)
{
    session->now_us = now_us;
    rtsp_session_enter(session, session->options_done ? RTSP_STATE_OPTIONS : RTSP_STATE_DESCRIBE);
}

uint8_t *rtsp_session_space(struct rtsp_session *session, size_t *len)
{
    return rtsp_reader_space(&session->reader, len);
}

void rtsp_session_filled(struct rtsp_session *session, size_t len, int64_t now_us)
{
    struct rtsp_message m;
    int rc = 1;
    session->now_us = now_us;
    rtsp_reader_filled(&session->reader, len);
    while (session->state != RTSP_STATE_ENDED &&
           (rc = rtsp_reader_next(&session->reader, &m)) == 1) {
        switch (m.item) {
        case RTSP_ITEM_RESPONSE:
            rtsp_session_on_response(session, &m);
            break;
        case RTSP_ITEM_REQUEST:
            on_request(session, &m);
            break;
        case RTSP_ITEM_FRAME:
            on_frame(session, &m);
            break;
        }
    }
    if (rc < 0)
        rtsp_session_fail(session, HTTP_ERROR_CAMERA_UNREACHABLE, "the camera does not speak RTSP");
}

void rtsp_session_eof(struct rtsp_session *session, const char *detail)
{
    session->eof = true;
    if (session->state == RTSP_STATE_TEARDOWN)
        rtsp_session_end(session, RTSP_VERDICT_CLOSED);
    else if (session->login_carried && session->auth.attempts > 0)
        rtsp_session_fail(session, HTTP_ERROR_CAMERA_UNAUTHORIZED,
                          "the camera refused user name or password, and hung up");
    else if (session->state == RTSP_STATE_DESCRIBE && !session->options_done)
        rtsp_session_end(session, RTSP_VERDICT_OPTIONS); /* it may want OPTIONS first */
    else if (rtsp_session_login(session) != NULL)
        rtsp_session_end(session, RTSP_VERDICT_LOGIN);
    else
        rtsp_session_fail(session, HTTP_ERROR_CAMERA_UNREACHABLE, "%s",
                          detail[0] != '\0' ? detail : "connection closed by the camera");
}

void rtsp_session_timeout(struct rtsp_session *session, int64_t now_us)
{
    struct rtsp_session *s = session;
    s->now_us = now_us;
    if (s->state == RTSP_STATE_SETUP && now_us >= s->sound_by_us)
        rtsp_session_give_up_sound(s);
    if (now_us >= s->keepalive.at_us && s->state >= RTSP_STATE_PLAY &&
        s->state <= RTSP_STATE_PLAYING)
        rtsp_session_keep_alive(s);
}

int64_t rtsp_session_deadline(const struct rtsp_session *session)
{
    if (session->state == RTSP_STATE_SETUP)
        return session->sound_by_us;
    return session->state == RTSP_STATE_PLAY || session->state == RTSP_STATE_PLAYING
               ? session->keepalive.at_us
               : INT64_MAX;
}

const uint8_t *rtsp_session_output(const struct rtsp_session *session, size_t *len)
{
    *len = session->output_len;
    return session->output;
}

void rtsp_session_sent(struct rtsp_session *session, size_t len)
{
    assert(len <= session->output_len);
    session->output_len -= len;
    memmove(session->output, session->output + len, session->output_len);
}

void rtsp_session_send_rtcp(struct rtsp_session *session, enum track track, const uint8_t *data,
                            size_t len)
{
    uint8_t head[4] = {'$', session->tracks[track].channels[1]};
    bytes_put16(head + 2, (uint32_t)len);
    if (rtsp_way_is_datagrams(session->way) ||
        sizeof(session->output) - session->output_len < sizeof(head) + len)
        return;
    (void)put(session, head, sizeof(head));
    (void)put(session, data, len);
}

void rtsp_session_teardown(struct rtsp_session *session)
{
    struct rtsp_session *s = session;
    if (s->state >= RTSP_STATE_TEARDOWN)
        return;
    if (s->session_id[0] == '\0' && s->state < RTSP_STATE_SETUP) {
        rtsp_session_end(s, RTSP_VERDICT_CLOSED);
        return;
    }
    rtsp_session_enter(s, RTSP_STATE_TEARDOWN);
}

enum rtsp_state rtsp_session_state(const struct rtsp_session *session)
{
    return session->state;
}

const struct rtsp_track *rtsp_session_track(const struct rtsp_session *session, enum track track)
{
    return &session->tracks[track];
}

const struct rtsp_auth *rtsp_session_login(const struct rtsp_session *session)
{
    return session->eof && rtsp_auth_is_open(&session->auth) && !session->login_carried
               ? &session->auth
               : NULL;
}

enum ipc_no_audio rtsp_session_no_audio(const struct rtsp_session *session)
{
    const struct sdp_track *offered = sdp_choose(session->sdp, TRACK_AUDIO);
    if (offered == NULL)
        return IPC_NO_AUDIO_NOT_ANNOUNCED;
    if (offered->encrypted)
        return IPC_NO_AUDIO_ENCRYPTED;
    const struct rtsp_track *track = &session->tracks[TRACK_AUDIO];
    if (track->set_up)
        return IPC_NO_AUDIO_NONE;
    return track->sdp != NULL ? IPC_NO_AUDIO_REFUSED : IPC_NO_AUDIO_NOT_ASKED_FOR;
}

enum rtsp_verdict rtsp_session_verdict(const struct rtsp_session *session, enum http_error *error,
                                       const char **detail)
{
    *error = session->error;
    *detail = session->detail;
    return session->verdict;
}
