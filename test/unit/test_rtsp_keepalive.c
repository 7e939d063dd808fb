/* worker/rtsp/rtsp_keepalive: a session is kept alive in the way that its server counts. */
#include "test/unit/rtsp_session_rig.h"

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

/* What is remembered if it hangs up now. */
static struct source_memory memory_after_hanging_up(struct camera *c)
{
    struct source_memory memory = {0};
    rtsp_session_learn_keepalive(c->session, true, &memory);
    return memory;
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
    assert_true(memory_after_hanging_up(c).only_options);
    expect_keepalive(c, "OPTIONS ");
    assert_true(c->now_us - asked_us < 10000000); /* before the session's time is up */
    answer(c, "200 OK", "", "");
    expect_keepalive(c, "OPTIONS ");
    answer(c, "200 OK", "Public: GET_PARAMETER\r\n", "");
    expect_keepalive(c, "OPTIONS "); /* it lists what it does not answer */
}

/* Devices of ONVIF. */
static void test_keepalive_by_set_parameter(void **state)
{
    struct camera *c = *state;
    to_playing(c);
    expect_keepalive(c, "GET_PARAMETER ");
    answer(c, "405 Method Not Allowed", "", "");
    for (int i = 0; i < 3; i++) {
        expect(c, "OPTIONS ");
        answer(c, "200 OK", "Public: OPTIONS, PLAY, SET_PARAMETER\r\n", "");
        expect(c, "SET_PARAMETER ");
        assert_true(memory_after_hanging_up(c).only_options == (i == 0));
        answer(c, "200 OK", "", "");
        expect_nothing(c);
        c->now_us = rtsp_session_deadline(c->session);
        rtsp_session_timeout(c->session, c->now_us);
    }
}

static void test_set_parameter_refused_or_not_answered(void **state)
{
    struct camera *c = *state;
    for (int answers = 0; answers < 2; answers++) {
        start(c);
        c->now_us = 2000;
        to_playing(c);
        expect_keepalive(c, "GET_PARAMETER ");
        answer(c, "501 Not Implemented", "", "");
        expect(c, "OPTIONS ");
        answer(c, "200 OK", "Public: SET_PARAMETER, OPTIONS\r\n", "");
        expect(c, "SET_PARAMETER ");
        if (answers)
            answer(c, "451 Parameter Not Understood", "", "");
        for (int i = 0; i < 3; i++) {
            expect_keepalive(c, "OPTIONS ");
            answer(c, "200 OK", "Public: SET_PARAMETER, OPTIONS\r\n", "");
            expect_nothing(c);
        }
    }
}

/* A server that hung up on such requests in the session before. */
static void test_keepalive_by_options_only(void **state)
{
    struct camera *c = *state;
    c->params.only_options = true;
    start(c);
    to_playing(c);
    for (int i = 0; i < 3; i++) {
        expect_keepalive(c, "OPTIONS ");
        answer(c, "200 OK", "Public: SET_PARAMETER, OPTIONS\r\n", "");
        expect_nothing(c);
    }
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

/* A session that ends after a second. */
static void test_keepalive_of_a_short_session(void **state)
{
    struct camera *c = *state;
    to_setup(c);
    answer(c, "200 OK", "Session: 42;timeout=1\r\n", "");
    expect(c, "SETUP ");
    answer(c, "200 OK", "", "");
    expect(c, "PLAY ");
    assert_int_equal(rtsp_session_deadline(c->session), c->now_us + 500000);
}

/* A camera that hangs up on whatever comes while it plays. */
static void test_no_keepalive(void **state)
{
    struct camera *c = *state;
    struct source_memory memory = {0};
    to_playing(c);
    expect_keepalive(c, "GET_PARAMETER ");
    rtsp_session_learn_keepalive(c->session, false, &memory);
    assert_false(memory.only_options); /* it fell silent, but did not hang up */
    rtsp_session_learn_keepalive(c->session, true, &memory);
    assert_true(memory.only_options && !memory.no_keepalive);

    c->params.only_options = true;
    start(c);
    to_playing(c);
    rtsp_session_learn_keepalive(c->session, true, &memory);
    assert_false(memory.no_keepalive); /* none was sent */
    expect_keepalive(c, "OPTIONS ");
    rtsp_session_learn_keepalive(c->session, true, &memory);
    assert_true(memory.no_keepalive);

    c->params.no_keepalive = true;
    start(c);
    to_playing(c);
    assert_true(rtsp_session_deadline(c->session) == INT64_MAX);
    c->now_us += 60000000; /* three times its timeout */
    feed_frame(c, 0, 96);
    rtsp_session_learn_keepalive(c->session, true, &memory);
    assert_true(memory.no_keepalive);
    start(c); /* a session without them that ends soon: they are tried again */
    to_playing(c);
    rtsp_session_learn_keepalive(c->session, false, &memory);
    assert_false(memory.no_keepalive || memory.only_options);
    rtsp_session_learn_keepalive(c->session, true, NULL);
}

/* One that has answered OPTIONS once hangs up for another reason. */
static void test_keepalive_that_was_answered(void **state)
{
    struct camera *c = *state;
    c->params.only_options = true;
    start(c);
    to_playing(c);
    expect_keepalive(c, "OPTIONS ");
    answer(c, "200 OK", "", "");
    expect_keepalive(c, "OPTIONS ");
    assert_false(memory_after_hanging_up(c).no_keepalive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_keepalive_by_half_the_timeout),
        T(test_keepalive_not_listed),
        T(test_keepalive_refused),
        T(test_keepalive_not_answered),
        T(test_keepalive_by_set_parameter),
        T(test_set_parameter_refused_or_not_answered),
        T(test_keepalive_by_options_only),
        T(test_keepalive_listed_in_the_dialogue),
        T(test_keepalive_with_a_new_nonce),
        T(test_keepalives_that_are_never_accepted),
        T(test_keepalive_of_a_short_session),
        T(test_no_keepalive),
        T(test_keepalive_that_was_answered),
    };
    return cmocka_run_group_tests_name("rtsp_keepalive", tests, NULL, NULL);
}
