/* worker/rtsp/rtsp_session, SETUP: which tracks are set up, under which URL and transport. */
#include "test/unit/rtsp_session_rig.h"

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

    static const char *const same[] = {
        "RTP/AVP; multicast; destination=239.0.0.1; port=5000",
        "RTP/AVP;multicast;client_port=5000-5001;destination=239.0.0.1/15",
        "RTP/AVP;multicast;ttl=1;port=5000-5001;destination=239.0.0.1;client_port=7000-7001",
        "RTP/AVP;multicast;port=5000-5001", /* as the description says */
        "RTP/AVP;multicast;ttl=1",
        "RTP/AVP;multicast;destination=239.0.0.1",
        "",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        char header[256];
        start(c);
        expect(c, "DESCRIBE ");
        answer(
            c, "200 OK", "",
            "v=0\r\nc=IN IP4 239.0.0.7/1\r\nm=video 5000/2 RTP/AVP 96\r\nc=IN IP4 239.0.0.1/127\r\n"
            "a=rtpmap:96 H264/90000\r\n");
        expect(c, "SETUP ");
        (void)snprintf(header, sizeof(header), "Session: 42\r\nTransport: %s\r\n", same[i]);
        answer(c, "200 OK", header, "");
        t = rtsp_session_track(c->session, TRACK_VIDEO);
        assert_string_equal(t->group, "239.0.0.1");
        assert_int_equal(t->group_ports[0], 5000);
        assert_int_equal(t->group_ports[1], 5001);
    }

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

static void test_audio_refused(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    answer(c, "500 Internal Server Error", "", "");
    expect(c, "PLAY ");
    assert_false(c->audio);
    assert_int_equal(rtsp_session_no_audio(c->session), IPC_NO_AUDIO_REFUSED);
}

/* Without ports for sound the camera is not asked for it, and so has not refused it. */
static void test_audio_not_asked_for(void **state)
{
    struct camera *c = *state;
    c->params.way = RTSP_WAY_UDP;
    c->params.udp_ports[TRACK_VIDEO] = 5000;
    start(c);
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "", SDP);
    expect(c, "SETUP ");
    answer(c, "200 OK", "Session: 1\r\nTransport: RTP/AVP;server_port=6970-6971\r\n", "");
    expect(c, "PLAY ");
    assert_int_equal(rtsp_session_no_audio(c->session), IPC_NO_AUDIO_NOT_ASKED_FOR);
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

/* The answer says what the description did not. */
static void test_encrypted_transport(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    answer(c, "200 OK", "Session: 42\r\nTransport: RTP/SAVP/TCP;unicast;interleaved=0-1\r\n", "");
    assert_failed(c, HTTP_ERROR_UNSUPPORTED_CODEC);
    start(c);
    to_setup(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    answer(c, "200 OK", "Session: 42\r\nTransport: RTP/SAVPF/TCP;unicast;interleaved=2-3\r\n", "");
    expect(c, "PLAY ");
    assert_false(c->audio); /* without sound */
}

/* The sound's SETUP is never answered, or late: the picture does not wait for it. */
static void test_sound_that_is_not_set_up(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    assert_true(rtsp_session_deadline(c->session) == INT64_MAX); /* the picture's is waited for */
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "SETUP ");
    int64_t at_us = rtsp_session_deadline(c->session);
    assert_true(at_us > c->now_us && at_us <= c->now_us + 5000000);
    rtsp_session_timeout(c->session, at_us - 1);
    expect_nothing(c);
    rtsp_session_timeout(c->session, at_us);
    expect(c, "PLAY ");
    assert_false(c->audio);
    answer(c, "200 OK", "", "");
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
    feed(c, "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 42\r\n\r\n", 41);
    assert_verdict(c, RTSP_VERDICT_NONE);
}

/* What is late is no answer to PLAY. */
static void test_sound_that_is_refused_late(void **state)
{
    static const char *const late[] = {"200 OK", "403 Forbidden", "302 Moved", "500 Internal",
                                       "401 Unauthorized"};
    struct camera *c = *state;
    for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        char text[128];
        start(c);
        to_setup(c);
        answer(c, "200 OK", "Session: 42\r\n", "");
        expect(c, "SETUP ");
        rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
        expect(c, "PLAY ");
        (void)snprintf(text, sizeof(text), "RTSP/1.0 %s\r\nCSeq: 3\r\n\r\n", late[i]);
        feed(c, text, strlen(text));
        expect_nothing(c);
        assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAY);
        answer(c, "200 OK", "", "");
        assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_srtp),
        T(test_srtp_beside_plain),
        T(test_feedback_profile),
        T(test_multicast),
        T(test_encrypted_transport),
        T(test_sound_that_is_not_set_up),
        T(test_sound_that_is_refused_late),
        T(test_audio_refused),
        T(test_audio_not_asked_for),
        T(test_other_url_for_setup),
        T(test_transport_switch),
        T(test_udp),
        T(test_other_channels),
    };
    return cmocka_run_group_tests_name("rtsp_setup", tests, NULL, NULL);
}
