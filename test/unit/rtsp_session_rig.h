/*
 * Test help: a camera played by the test.  It reads requests out of an rtsp_session and feeds it
 * answers.
 */
#ifndef TEST_UNIT_RTSP_SESSION_RIG_H
#define TEST_UNIT_RTSP_SESSION_RIG_H

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

static inline int on_ready(void *ctx, const struct sdp_track *video, const struct sdp_track *audio)
{
    struct camera *c = ctx;
    assert_non_null(video);
    c->ready++;
    c->audio = audio != NULL;
    return c->refuse;
}

static inline void on_data(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len)
{
    struct camera *c = ctx;
    (void)data;
    assert_true(len >= 8);
    if (rtcp)
        c->reports[track]++;
    else
        c->packets[track]++;
}

static inline void start(struct camera *c)
{
    rtsp_session_free(&c->session);
    c->session = rtsp_session_new(&c->params, &(struct rtsp_session_events){on_ready, on_data, c});
    assert_non_null(c->session);
    rtsp_session_start(c->session, 1000);
}

static inline int setup(void **state)
{
    struct camera *c = calloc(1, sizeof(*c));
    c->params = (struct rtsp_session_params){.url = URL, .user = "admin", .password = "secret"};
    c->now_us = 2000;
    start(c);
    *state = c;
    return 0;
}

static inline int teardown(void **state)
{
    struct camera *c = *state;
    rtsp_session_free(&c->session);
    free(c);
    return 0;
}

/* Takes one request out of the output; it must begin so. */
static inline void expect(struct camera *c, const char *begins)
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

static inline void expect_nothing(struct camera *c)
{
    size_t len;
    (void)rtsp_session_output(c->session, &len);
    assert_int_equal(len, 0);
}

static inline void feed(struct camera *c, const void *data, size_t len)
{
    size_t room;
    uint8_t *space = rtsp_session_space(c->session, &room);
    assert_true(len <= room);
    memcpy(space, data, len);
    rtsp_session_filled(c->session, len, c->now_us);
}

/* Answers the last request. */
static inline void answer(struct camera *c, const char *status, const char *headers,
                          const char *body)
{
    char text[8192];
    const char *cseq = strstr(c->request, "CSeq: ") + 6;
    int n =
        snprintf(text, sizeof(text), "RTSP/1.0 %s\r\nCSeq: %d\r\n%sContent-Length: %zu\r\n\r\n%s",
                 status, atoi(cseq), headers, strlen(body), body);
    feed(c, text, (size_t)n);
}

static inline void feed_frame(struct camera *c, uint8_t channel, uint8_t type)
{
    uint8_t frame[4 + 32] = {'$', channel, 0, 32, 0x80, type};
    feed(c, frame, sizeof(frame));
}

static inline enum rtsp_verdict verdict(struct camera *c, enum http_error *error,
                                        const char **detail)
{
    return rtsp_session_verdict(c->session, error, detail);
}

static inline void assert_failed(struct camera *c, enum http_error expected)
{
    enum http_error error;
    const char *detail;
    assert_int_equal(verdict(c, &error, &detail), RTSP_VERDICT_FAILED);
    assert_int_equal(error, expected);
    assert_true(strlen(detail) > 0);
    assert_null(strstr(detail, "secret"));
}

static inline void assert_verdict(struct camera *c, enum rtsp_verdict expected)
{
    enum http_error error;
    const char *detail;
    assert_int_equal(verdict(c, &error, &detail), expected);
}

static inline void to_setup(struct camera *c)
{
    expect(c, "DESCRIBE " URL " RTSP/1.0\r\n");
    answer(c, "200 OK", "Content-Base: " URL "/\r\n", SDP);
    expect(c, "SETUP " URL "/trackID=1 RTSP/1.0\r\n");
}

static inline void to_play(struct camera *c)
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

static inline void to_playing(struct camera *c)
{
    to_play(c);
    answer(c, "200 OK", "Session: 42\r\n", "");
    assert_int_equal(rtsp_session_state(c->session), RTSP_STATE_PLAYING);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif /* TEST_UNIT_RTSP_SESSION_RIG_H */
