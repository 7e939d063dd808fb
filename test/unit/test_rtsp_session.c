#include "worker/rtsp/rtsp_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define URL "rtsp://10.0.0.9/stream"
#define SDP                                                                            \
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n" \
    "m=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n"

/* A camera played by the test: reads requests out of the session, feeds answers. */
struct camera {
    struct rtsp_session *session;
    struct rtsp_session_params params;
    char request[8192]; /* the last one */
    int ready;
    bool audio;
    int refuse; /* on_ready's answer */
    unsigned packets[TRACK_COUNT];
    unsigned reports[TRACK_COUNT];
    int64_t now_us;
};

static int on_ready(void *ctx, const struct sdp_track *video, const struct sdp_track *audio)
{
    struct camera *c = ctx;
    assert_non_null(video);
    c->ready++;
    c->audio = audio != NULL;
    return c->refuse;
}

static void on_data(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len)
{
    struct camera *c = ctx;
    (void)data;
    assert_true(len >= 8);
    if (rtcp)
        c->reports[track]++;
    else
        c->packets[track]++;
}

static void start(struct camera *c)
{
    rtsp_session_free(&c->session);
    c->session = rtsp_session_new(&c->params, &(struct rtsp_session_events){on_ready, on_data, c});
    assert_non_null(c->session);
    rtsp_session_start(c->session, 1000);
}

static int setup(void **state)
{
    struct camera *c = calloc(1, sizeof(*c));
    c->params = (struct rtsp_session_params){.url = URL, .user = "admin", .password = "secret"};
    c->now_us = 2000;
    start(c);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct camera *c = *state;
    rtsp_session_free(&c->session);
    free(c);
    return 0;
}

/* Takes one request out of the output; it must begin so. */
static void expect(struct camera *c, const char *begins)
{
    size_t len;
    const char *data = (const char *)rtsp_session_output(c->session, &len);
    assert_true(len > 0 && len < sizeof(c->request));
    memcpy(c->request, data, len);
    c->request[len] = '\0';
    char *end = strstr(c->request, "\r\n\r\n");
    assert_non_null(end);
    end[4] = '\0';
    rtsp_session_sent(c->session, strlen(c->request));
    if (strncmp(c->request, begins, strlen(begins)) != 0)
        fail_msg("expected %s, got %s", begins, c->request);
    assert_non_null(strstr(c->request, "\r\nCSeq: "));
    assert_non_null(strstr(c->request, "\r\nUser-Agent: "));
}

static void expect_nothing(struct camera *c)
{
    size_t len;
    (void)rtsp_session_output(c->session, &len);
    assert_int_equal(len, 0);
}

static void feed(struct camera *c, const void *data, size_t len)
{
    size_t room;
    uint8_t *space = rtsp_session_space(c->session, &room);
    assert_true(len <= room);
    memcpy(space, data, len);
    rtsp_session_filled(c->session, len, c->now_us);
}

/* Answers the last request. */
static void answer(struct camera *c, const char *status, const char *headers, const char *body)
{
    char text[8192];
    const char *cseq = strstr(c->request, "CSeq: ") + 6;
    int n =
        snprintf(text, sizeof(text), "RTSP/1.0 %s\r\nCSeq: %d\r\n%sContent-Length: %zu\r\n\r\n%s",
                 status, atoi(cseq), headers, strlen(body), body);
    feed(c, text, (size_t)n);
}

static void feed_frame(struct camera *c, uint8_t channel, uint8_t type)
{
    uint8_t frame[4 + 32] = {'$', channel, 0, 32, 0x80, type};
    feed(c, frame, sizeof(frame));
}

static enum rtsp_verdict verdict(struct camera *c, enum http_error *error, const char **detail)
{
    return rtsp_session_verdict(c->session, error, detail);
}

static void assert_failed(struct camera *c, enum http_error expected)
{
    enum http_error error;
    const char *detail;
    assert_int_equal(verdict(c, &error, &detail), RTSP_VERDICT_FAILED);
    assert_int_equal(error, expected);
    assert_true(strlen(detail) > 0);
    assert_null(strstr(detail, "secret"));
}

static void assert_verdict(struct camera *c, enum rtsp_verdict expected)
{
    enum http_error error;
    const char *detail;
    assert_int_equal(verdict(c, &error, &detail), expected);
}

static void to_setup(struct camera *c)
{
    expect(c, "DESCRIBE " URL " RTSP/1.0\r\n");
    answer(c, "200 OK", "Content-Base: " URL "/\r\n", SDP);
    expect(c, "SETUP " URL "/trackID=1 RTSP/1.0\r\n");
}

static void to_play(struct camera *c)
{
    to_setup(c);
    answer(c, "200 OK",
           "Session: 42;timeout=20\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", "");
    expect(c, "SETUP " URL "/trackID=2 RTSP/1.0\r\n");
    assert_non_null(strstr(c->request, "\r\nSession: 42\r\n"));
    assert_non_null(strstr(c->request, "interleaved=2-3"));
    answer(c, "200 OK", "Session: 42\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n", "");
    expect(c, "PLAY " URL "/ RTSP/1.0\r\n");
}

static void to_playing(struct camera *c)
{
    to_play(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
}

static void test_four_round_trips(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    assert_int_equal(c->ready, 1);
    assert_true(c->audio);
    expect_nothing(c);
    feed_frame(c, 0, 96);
    feed_frame(c, 2, 8);
    feed_frame(c, 1, 200);
    assert_int_equal(c->packets[TRACK_VIDEO], 1);
    assert_int_equal(c->packets[TRACK_AUDIO], 1);
    assert_int_equal(c->reports[TRACK_VIDEO], 1);
}

static void test_teardown(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    rtsp_session_teardown(c->session);
    expect(c, "TEARDOWN " URL "/ RTSP/1.0\r\n");
    assert_non_null(strstr(c->request, "Session: 42"));
    assert_verdict(c, RTSP_VERDICT_NONE);
    answer(c, "200 OK", "", "");
    assert_verdict(c, RTSP_VERDICT_CLOSED);
}

static void test_teardown_with_a_stale_nonce(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n", "");
    to_playing(c);
    rtsp_session_teardown(c->session);
    expect(c, "TEARDOWN ");
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n", "");
    expect(c, "TEARDOWN ");
    assert_non_null(strstr(c->request, "nonce=\"n2\""));
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n", "");
    assert_verdict(c, RTSP_VERDICT_CLOSED);
}

static void test_teardown_before_a_session(void **state)
{
    struct camera *c = *state;
    rtsp_session_teardown(c->session);
    assert_verdict(c, RTSP_VERDICT_CLOSED);
}

/* The next keep-alive, when it is due. */
static void expect_keepalive(struct camera *c, const char *request)
{
    int64_t at = rtsp_session_deadline(c->session);
    rtsp_session_timeout(c->session, at - 1);
    expect_nothing(c);
    c->now_us = at;
    rtsp_session_timeout(c->session, at);
    expect(c, request);
}

static void test_keepalive_by_half_the_timeout(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    assert_int_equal(rtsp_session_deadline(c->session), 2000 + 10000000); /* timeout=20 */
    expect_keepalive(c, "GET_PARAMETER ");
    answer(c, "200 OK", "", "");
    assert_int_equal(rtsp_session_deadline(c->session), c->now_us + 10000000);
    expect(c, "OPTIONS "); /* may be what counts: GET_PARAMETER is not known to be listed */
    answer(c, "200 OK", "Public: OPTIONS, PLAY, GET_PARAMETER\r\n", "");
    for (int i = 0; i < 3; i++) { /* listed: enough */
        expect_keepalive(c, "GET_PARAMETER ");
        answer(c, "200 OK", "", "");
        expect_nothing(c);
    }
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
}

static void test_keepalive_not_listed(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    for (int i = 0; i < 3; i++) {
        expect_keepalive(c, "GET_PARAMETER ");
        answer(c, "200 OK", "", "");
        expect(c, "OPTIONS ");
        answer(c, "200 OK", "Public: OPTIONS, PLAY\r\n", "");
    }
}

static void test_keepalive_refused(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    expect_keepalive(c, "GET_PARAMETER ");
    answer(c, "405 Method Not Allowed", "", "");
    expect(c, "OPTIONS "); /* at once */
    answer(c, "501 Not Implemented", "", "");
    for (int i = 0; i < 3; i++) {
        expect_keepalive(c, "OPTIONS ");
        answer(c, "501 Not Implemented", "", "");
    }
    assert_verdict(c, RTSP_VERDICT_NONE);
}

static void test_keepalive_not_answered(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    expect_keepalive(c, "GET_PARAMETER ");
    int64_t asked_us = c->now_us;
    assert_true(rtsp_session_awaits_get_parameter(c->session));
    expect_keepalive(c, "OPTIONS ");
    assert_true(c->now_us - asked_us < 10000000); /* before the session's time is up */
    answer(c, "200 OK", "", "");
    expect_keepalive(c, "OPTIONS ");
    answer(c, "200 OK", "Public: GET_PARAMETER\r\n", "");
    expect_keepalive(c, "OPTIONS "); /* it lists what it does not answer */
}

static void test_keepalive_listed_in_the_dialogue(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "455 Method Not Valid in This State", "", "");
    expect(c, "OPTIONS ");
    answer(c, "200 OK", "Public: DESCRIBE, SETUP, PLAY, get_parameter\r\n", "");
    to_playing(c);
    expect_keepalive(c, "GET_PARAMETER ");
    answer(c, "200 OK", "", "");
    expect_nothing(c);
}

static void test_keepalive_with_a_new_nonce(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"\r\n", "");
    to_playing(c);
    assert_non_null(strstr(c->request, "nonce=\"n1\""));
    rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
    expect(c, "GET_PARAMETER ");
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n", "");
    expect(c, "GET_PARAMETER "); /* at once: the session must not end for want of it */
    assert_non_null(strstr(c->request, "nonce=\"n2\""));
    answer(c, "200 OK", "", "");
    expect(c, "OPTIONS ");
    answer(c, "200 OK", "", "");
    expect_nothing(c);
    assert_verdict(c, RTSP_VERDICT_NONE);
}

static void test_keepalives_that_are_never_accepted(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "");
    to_playing(c);
    rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
    int sent = 0;
    size_t len;
    for (; rtsp_session_output(c->session, &len) != NULL && len > 0 && sent < 100; sent++) {
        expect(c, "GET_PARAMETER ");
        answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\"\r\n", "");
    }
    assert_in_range(sent, 1, 10);
    assert_verdict(c, RTSP_VERDICT_NONE);
}

#define SAVP_VIDEO "m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"

static void test_srtp(void **state)
{
    struct camera *c = *state;
    static const char *const profiles[] = {"RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"};
    for (size_t i = 0; i < 3; i++) {
        char sdp[256];
        start(c);
        (void)snprintf(sdp, sizeof(sdp), "v=0\r\nm=video 0 %s 96\r\na=rtpmap:96 H264/90000\r\n",
                       profiles[i]);
        expect(c, "DESCRIBE ");
        answer(c, "200 OK", "", sdp);
        expect_nothing(c); /* at once */
        assert_failed(c, HTTP_ERROR_UNSUPPORTED_CODEC);
    }
    c->params.url = URL "?enableSrtp";
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", SDP);
    assert_failed(c, HTTP_ERROR_UNSUPPORTED_CODEC);
}

static void test_srtp_beside_plain(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "",
           "v=0\r\n" SAVP_VIDEO
           "m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=control:plain\r\n"
           "m=audio 0 RTP/SAVP 8\r\na=control:trackID=3\r\n");
    expect(c, "SETUP rtsp://10.0.0.9/stream/plain");
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "PLAY "); /* the sound is left out */
    assert_false(c->audio);
}

static void test_feedback_profile(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "",
           "v=0\r\nm=video 0 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\n"
           "m=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n");
    expect(c, "SETUP ");
    assert_non_null(strstr(c->request, "Transport: RTP/AVPF/TCP;unicast;interleaved=0-1\r\n"));
    answer(c, "461 Unsupported Transport", "", "");
    expect(c, "SETUP ");
    assert_non_null(strstr(c->request, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"));
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    assert_non_null(strstr(c->request, "Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n"));
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", "v=0\r\nm=video 0 RTP/AVPF 96\r\na=rtpmap:96 H264/90000\r\n");
    expect(c, "SETUP ");
    answer(c, "461 Unsupported Transport", "", "");
    expect(c, "SETUP ");
    answer(c, "461 Unsupported Transport", "", "");
    assert_verdict(c, RTSP_VERDICT_SWITCH);
}

static void test_multicast(void **state)
{
    struct camera *c = *state;
    c->params.way = RTSP_WAY_MULTICAST;
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", SDP);
    expect(c, "SETUP ");
    assert_non_null(strstr(c->request, "Transport: RTP/AVP;multicast\r\n"));
    answer(c, "200 OK",
           "Session: 42\r\nTransport: RTP/AVP;multicast;destination=239.0.0.1;"
           "source=10.0.0.9;port=5000-5001;ttl=1\r\n",
           "");
    const struct rtsp_track *t = rtsp_session_track(c->session, TRACK_VIDEO);
    assert_string_equal(t->group, "239.0.0.1");
    assert_string_equal(t->source, "10.0.0.9");
    assert_int_equal(t->group_ports[0], 5000);
    assert_int_equal(t->group_ports[1], 5001);
    expect(c, "SETUP ");
    answer(c, "461 Unsupported Transport", "", "");
    expect(c, "PLAY "); /* without sound */

    static const char *const other[] = {
        "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001",
        "RTP/AVP/TCP;interleaved=0-1",
        "RTP/AVP;multicast;destination=239.0.0.1",
        "RTP/AVP;multicast;client_port=5000-5001",
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        char header[256];
        start(c);
        expect(c, "DESCRIBE ");
        answer(c, "200 OK", "", SDP);
        expect(c, "SETUP ");
        (void)snprintf(header, sizeof(header), "Transport: %s\r\n", other[i]);
        answer(c, "200 OK", header, "");
        assert_verdict(c, RTSP_VERDICT_SWITCH);
    }
}

static void test_wrong_password(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    assert_null(strstr(c->request, "Authorization"));
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", "");
    expect(c, "DESCRIBE ");
    assert_non_null(strstr(c->request, "Authorization: Digest"));
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"m\"\r\n", "");
    expect_nothing(c);
    assert_failed(c, HTTP_ERROR_CAMERA_UNAUTHORIZED);
}

static void test_statuses(void **state)
{
    struct camera *c = *state;
    static const struct {
        const char *status;
        enum http_error error;
    } cases[] = {{"403 Forbidden", HTTP_ERROR_CAMERA_UNAUTHORIZED},
                 {"404 Not Found", HTTP_ERROR_CAMERA_NOT_FOUND},
                 {"454 Session Not Found", HTTP_ERROR_CAMERA_NOT_FOUND},
                 {"453 Not Enough Bandwidth", HTTP_ERROR_CAMERA_UNREACHABLE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(c);
        expect(c, "DESCRIBE ");
        answer(c, cases[i].status, "", "");
        assert_failed(c, cases[i].error);
    }
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", "v=0\r\nm=audio 0 RTP/AVP 8\r\n");
    assert_failed(c, HTTP_ERROR_CAMERA_NO_VIDEO);
    c->refuse = -95;
    start(c);
    to_setup(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "TEARDOWN ");
    assert_failed(c, HTTP_ERROR_UNSUPPORTED_CODEC);
}

static void test_options_only_when_asked_for(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "455 Method Not Valid In This State", "", "");
    expect(c, "OPTIONS ");
    answer(c, "501 Not Implemented", "", "");
    to_playing(c);
    start(c);
    expect(c, "DESCRIBE ");
    rtsp_session_eof(c->session, "");
    assert_verdict(c, RTSP_VERDICT_OPTIONS);
    c->params.options_first = true;
    start(c);
    expect(c, "OPTIONS ");
    answer(c, "200 OK", "", "");
    expect(c, "DESCRIBE ");
    rtsp_session_eof(c->session, "");
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE);
}

static void test_audio_refused(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    answer(c, "500 Internal Server Error", "", "");
    expect(c, "PLAY ");
    assert_false(c->audio);
}

static void test_other_url_for_setup(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:/t1\r\n");
    expect(c, "SETUP " URL "/t1 ");
    answer(c, "404 Not Found", "", "");
    expect(c, "SETUP rtsp://10.0.0.9/t1 ");
    answer(c, "404 Not Found", "", "");
    assert_failed(c, HTTP_ERROR_CAMERA_NOT_FOUND);
}

static void test_transport_switch(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    answer(c, "461 Unsupported Transport", "", "");
    assert_verdict(c, RTSP_VERDICT_SWITCH);
    /* It takes our request for TCP and answers with UDP ports. */
    start(c);
    to_setup(c);
    answer(c, "200 OK",
           "Session: 1\r\nTransport: RTP/AVP;unicast;client_port=0-1;server_port=6970-6971\r\n",
           "");
    assert_verdict(c, RTSP_VERDICT_SWITCH);
    c->params.way = RTSP_WAY_UDP;
    c->params.udp_ports[TRACK_VIDEO] = 5000;
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", SDP);
    expect(c, "SETUP ");
    assert_non_null(strstr(c->request, "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n"));
    answer(c, "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n", "");
    assert_verdict(c, RTSP_VERDICT_SWITCH);
}

static void test_udp(void **state)
{
    struct camera *c = *state;
    c->params.way = RTSP_WAY_UDP;
    c->params.udp_ports[TRACK_VIDEO] = 5000;
    c->params.udp_ports[TRACK_AUDIO] = 5002;
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", SDP);
    expect(c, "SETUP ");
    answer(c, "200 OK", "Session: 1\r\nTransport: RTP/AVP;source=10.0.0.8;server_port=6970\r\n",
           "");
    expect(c, "SETUP ");
    const struct rtsp_track *t = rtsp_session_track(c->session, TRACK_VIDEO);
    assert_int_equal(t->server_ports[0], 6970);
    assert_int_equal(t->server_ports[1], 6971);
    assert_string_equal(t->source, "10.0.0.8");
}

static void test_redirect(void **state)
{
    struct camera *c = *state;
    enum http_error error;
    const char *target;
    expect(c, "DESCRIBE ");
    answer(c, "302 Moved", "Location: rtsp://10.0.0.10:8554/other\r\n", "");
    assert_int_equal(verdict(c, &error, &target), RTSP_VERDICT_REDIRECT);
    assert_string_equal(target, "rtsp://10.0.0.10:8554/other");
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "302 Moved", "Location: file:///etc/passwd\r\n", "");
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE);
}

static void test_play_never_answered(void **state)
{
    struct camera *c = *state;
    to_play(c);
    feed_frame(c, 0, 96);
    feed_frame(c, 2, 8);
    assert_int_equal(c->packets[TRACK_VIDEO], 1);
    assert_int_equal(c->packets[TRACK_AUDIO], 1);
    rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
    expect(c, "GET_PARAMETER ");
    answer(c, "200 OK", "", ""); /* of the keep-alive, not of PLAY */
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAY);
    /* An error to PLAY while media flows is no error. */
    feed(c, "RTSP/1.0 400 Bad\r\nCSeq: 4\r\n\r\n", 30);
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
}

static void test_play_without_range(void **state)
{
    struct camera *c = *state;
    to_play(c);
    assert_non_null(strstr(c->request, "Range: npt=0.000-"));
    answer(c, "457 Invalid Range", "", "");
    expect(c, "PLAY ");
    assert_null(strstr(c->request, "Range"));
    answer(c, "404 Not Found", "", "");
    expect(c, "PLAY " URL " ");
    answer(c, "404 Not Found", "", "");
    expect(c, "TEARDOWN ");
    assert_failed(c, HTTP_ERROR_CAMERA_NOT_FOUND);
}

static void test_other_channels(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    feed_frame(c, 7, 96); /* nobody negotiated it */
    feed_frame(c, 0, 8);  /* swapped */
    feed_frame(c, 2, 96);
    feed_frame(c, 9, 77); /* nothing of ours */
    assert_int_equal(c->packets[TRACK_VIDEO], 2);
    assert_int_equal(c->packets[TRACK_AUDIO], 1);
}

static void test_answers_without_cseq(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    char text[1024];
    int n = snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(SDP), SDP);
    feed(c, text, (size_t)n);
    expect(c, "SETUP ");
    feed(c, "RTSP/1.0 100 Continue\r\n\r\n", 25);
    expect_nothing(c);
    feed(c, "RTSP/1.0 200 OK\r\nSession: a\r\n\r\n", 31);
    expect(c, "SETUP ");
    feed(c, "RTSP/1.0 200 OK\r\nSession: b\r\n\r\n", 31);
    expect(c, "PLAY ");
    assert_non_null(strstr(c->request, "Session: b\r\n")); /* it changed */
}

static void test_requests_of_the_camera(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    const char *request = "OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n";
    feed(c, request, strlen(request));
    size_t len;
    const char *out = (const char *)rtsp_session_output(c->session, &len);
    assert_int_equal(strncmp(out, "RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n", len), 0);
    rtsp_session_sent(c->session, len);
    request = "TEARDOWN * RTSP/1.0\r\nCSeq: 78\r\n\r\n";
    feed(c, request, strlen(request));
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE);
}

static void test_rtp_info(void **state)
{
    struct camera *c = *state;
    to_play(c);
    answer(c, "200 OK",
           "RTP-Info: url=" URL "/trackID=2;seq=1;rtptime=1000,url=" URL
           "/trackID=1;rtptime=90000\r\n",
           "");
    assert_int_equal(rtsp_session_track(c->session, TRACK_VIDEO)->rtptime, 90000);
    assert_int_equal(rtsp_session_track(c->session, TRACK_AUDIO)->rtptime, 1000);
}

static void test_no_rtsp_at_all(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    feed(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    expect(c, "OPTIONS ");
    feed(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    expect(c, "DESCRIBE ");
    feed(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE);
}

static void test_camera_does_not_read(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    for (int i = 0; i < 1000; i++)
        rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
    size_t len;
    (void)rtsp_session_output(c->session, &len);
    assert_true(len <= RTSP_OUTPUT_MAX);
    assert_verdict(c, RTSP_VERDICT_NONE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_four_round_trips),
        T(test_teardown),
        T(test_teardown_with_a_stale_nonce),
        T(test_teardown_before_a_session),
        T(test_keepalive_by_half_the_timeout),
        T(test_keepalive_not_listed),
        T(test_keepalive_refused),
        T(test_keepalive_not_answered),
        T(test_keepalive_listed_in_the_dialogue),
        T(test_keepalive_with_a_new_nonce),
        T(test_keepalives_that_are_never_accepted),
        T(test_srtp),
        T(test_multicast),
        T(test_feedback_profile),
        T(test_srtp_beside_plain),
        T(test_wrong_password),
        T(test_statuses),
        T(test_options_only_when_asked_for),
        T(test_audio_refused),
        T(test_other_url_for_setup),
        T(test_transport_switch),
        T(test_udp),
        T(test_redirect),
        T(test_play_never_answered),
        T(test_play_without_range),
        T(test_other_channels),
        T(test_answers_without_cseq),
        T(test_requests_of_the_camera),
        T(test_rtp_info),
        T(test_no_rtsp_at_all),
        T(test_camera_does_not_read),
    };
    return cmocka_run_group_tests_name("rtsp_session", tests, NULL, NULL);
}
