/* worker/rtsp/rtsp_session: the dialogue from DESCRIBE to TEARDOWN, as cameras lead it. */
#include "test/unit/rtsp_session_rig.h"

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

/* RFC 2326 section 11.3.10. */
static void test_play_for_each_track(void **state)
{
    struct camera *c = *state;
    to_play(c);
    for (int i = 0; i < 2; i++) { /* with a range, then without */
        answer(c, "459 Aggregate Operation Not Allowed", "", "");
        expect(c, "PLAY " URL);
    }
    answer(c, "459 Aggregate Operation Not Allowed", "", "");
    expect(c, "PLAY " URL "/trackID=1 ");
    answer(c, "200 OK", "", "");
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
    expect(c, "PLAY " URL "/trackID=2 ");
    answer(c, "200 OK", "", "");
    expect_nothing(c);
    assert_verdict(c, RTSP_VERDICT_NONE);
    start(c);
    to_play(c);
    for (int i = 0; i < 3; i++) {
        answer(c, "459 Aggregate Operation Not Allowed", "", "");
        expect(c, "PLAY ");
    }
    answer(c, "404 Not Found", "", "");
    assert_failed(c, HTTP_ERROR_CAMERA_NOT_FOUND);
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

static void feed_text(struct camera *c, const char *text)
{
    feed(c, text, strlen(text));
}

/* Foscam's `Cseq: 0`, the number before, none: the order of the answers counts. */
static void test_answers_with_a_wrong_number(void **state)
{
    static const char *const numbers[] = {"Cseq: 0\r\n", "CSeq: 99\r\n", "CSeq:\r\n",
                                          "CSeq: x\r\n"};
    struct camera *c = *state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[1024];
        start(c);
        expect(c, "DESCRIBE ");
        (void)snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s",
                       numbers[i], strlen(SDP), SDP);
        feed_text(c, text);
        (void)snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\n%sSession: a\r\n\r\n", numbers[i]);
        expect(c, "SETUP ");
        feed_text(c, text);
        expect(c, "SETUP ");
        feed_text(c, text);
        expect(c, "PLAY ");
        feed_text(c, text);
        assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
        rtsp_session_timeout(c->session, rtsp_session_deadline(c->session));
        expect(c, "GET_PARAMETER ");
        feed_text(c, text);
        expect(c, "OPTIONS "); /* so that was its answer */
    }
}

/* Numbered rightly, but it comes twice. */
static void test_answer_that_comes_twice(void **state)
{
    static const char twice[] = "RTSP/1.0 200 OK\r\nCSeq: 2\r\nSession: a\r\n\r\n";
    struct camera *c = *state;
    to_setup(c);
    feed_text(c, twice);
    feed_text(c, twice);
    expect(c, "SETUP ");
    expect_nothing(c);
    feed_text(c, twice);
    expect_nothing(c);
}

static void test_wrong_number_and_wrong_password(void **state)
{
    static const char refusal[] =
        "RTSP/1.0 401 No\r\nCSeq: 0\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n";
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    feed_text(c, refusal);
    expect(c, "DESCRIBE ");
    feed_text(c, refusal); /* the same bytes, but another answer */
    assert_failed(c, HTTP_ERROR_CAMERA_UNAUTHORIZED);
}

static void refuse_and_hang_up(struct camera *c, const char *nonce)
{
    char header[128];
    (void)snprintf(header, sizeof(header), "WWW-Authenticate: Digest realm=\"a\", nonce=\"%s\"\r\n",
                   nonce);
    answer(c, "401 Unauthorized", header, "");
    rtsp_session_eof(c->session, "");
}

/* It hangs up after a 401: the next connection begins with the answer to its challenge. */
static void test_hangs_up_after_its_challenge(void **state)
{
    struct camera *c = *state;
    c->params.options_first = true;
    start(c);
    expect(c, "OPTIONS ");
    answer(c, "200 OK", "", "");
    expect(c, "DESCRIBE ");
    assert_null(strstr(c->request, "Authorization"));
    refuse_and_hang_up(c, "one");
    assert_verdict(c, RTSP_VERDICT_LOGIN);
    struct rtsp_auth login = *rtsp_session_login(c->session);

    c->params.login = &login;
    start(c);
    expect(c, "OPTIONS ");
    assert_non_null(strstr(c->request, "nonce=\"one\""));
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\", nonce=\"two\"\r\n", "");
    expect(c, "OPTIONS "); /* a nonce for each connection is no wrong password */
    assert_non_null(strstr(c->request, "nonce=\"two\""));
    answer(c, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\", nonce=\"three\"\r\n", "");
    assert_failed(c, HTTP_ERROR_CAMERA_UNAUTHORIZED);

    start(c);
    expect(c, "OPTIONS ");
    rtsp_session_eof(c->session, "");
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE); /* once only */
    assert_null(rtsp_session_login(c->session));
}

/* It hangs up after each 401, and the password is wrong: it must not get it again and again. */
static void test_wrong_password_where_it_hangs_up(void **state)
{
    for (int options_first = 0; options_first < 2; options_first++) {
        struct camera *c = *state;
        c->params.options_first = options_first;
        c->params.login = NULL;
        start(c);
        if (options_first) {
            expect(c, "OPTIONS ");
            answer(c, "200 OK", "", "");
        }
        expect(c, "DESCRIBE ");
        refuse_and_hang_up(c, "one");
        struct rtsp_auth login = *rtsp_session_login(c->session);
        c->params.login = &login;
        start(c);
        if (options_first) {
            expect(c, "OPTIONS ");
            answer(c, "200 OK", "", ""); /* which needs no password */
        }
        expect(c, "DESCRIBE ");
        assert_non_null(strstr(c->request, "nonce=\"one\""));
        refuse_and_hang_up(c, "two");
        assert_failed(c, HTTP_ERROR_CAMERA_UNAUTHORIZED);
        assert_null(rtsp_session_login(c->session));
    }
}

/* It has called H.265 H264, or the reverse; what it says may be right by now. */
static void test_corrected_codec(void **state)
{
    static const char *const names[] = {"H264", "H265"};
    struct camera *c = *state;
    for (size_t i = 0; i < 4; i++) {
        bool still_wrong = i / 2 == i % 2;
        char text[128];
        (void)snprintf(text, sizeof(text), "m=video 0 RTP/AVP 96\r\na=rtpmap:96 %s/90000\r\n",
                       names[i % 2]);
        c->params.misnamed = names[i / 2];
        start(c);
        expect(c, "DESCRIBE ");
        answer(c, "200 OK", "", text);
        const struct sdp_track *video = rtsp_session_track(c->session, TRACK_VIDEO)->sdp;
        assert_string_equal(video->codec, names[still_wrong ? 1 - i % 2 : i % 2]);
        assert_true(video->corrected == still_wrong);
    }
}

/* Nobody hung up: nothing to carry on. */
static void test_no_login_without_a_challenge(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    rtsp_session_eof(c->session, "");
    assert_failed(c, HTTP_ERROR_CAMERA_UNREACHABLE);
    assert_null(rtsp_session_login(c->session));
}

/* Media of a type between 64 and 95 with markers. */
static void test_markers_of_low_types(void **state)
{
    struct camera *c = *state;
    expect(c, "DESCRIBE ");
    answer(c, "200 OK", "Content-Base: " URL "/\r\n",
           "m=video 0 RTP/AVP 77\r\na=rtpmap:77 H264/90000\r\n");
    expect(c, "SETUP ");
    answer(c, "200 OK", "Session: 42\r\n", "");
    expect(c, "PLAY ");
    feed_frame(c, 0, 77);
    feed_frame(c, 0, 0x80 | 77);
    feed_frame(c, 1, 200);
    assert_int_equal(c->packets[TRACK_VIDEO], 2);
    assert_int_equal(c->reports[TRACK_VIDEO], 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_four_round_trips),
        T(test_teardown),
        T(test_teardown_with_a_stale_nonce),
        T(test_teardown_before_a_session),
        T(test_wrong_password),
        T(test_statuses),
        T(test_options_only_when_asked_for),
        T(test_redirect),
        T(test_play_never_answered),
        T(test_play_without_range),
        T(test_play_for_each_track),
        T(test_answers_without_cseq),
        T(test_answers_with_a_wrong_number),
        T(test_answer_that_comes_twice),
        T(test_wrong_number_and_wrong_password),
        T(test_hangs_up_after_its_challenge),
        T(test_wrong_password_where_it_hangs_up),
        T(test_corrected_codec),
        T(test_no_login_without_a_challenge),
        T(test_markers_of_low_types),
        T(test_requests_of_the_camera),
        T(test_rtp_info),
        T(test_no_rtsp_at_all),
        T(test_camera_does_not_read),
    };
    return cmocka_run_group_tests_name("rtsp_session", tests, NULL, NULL);
}
