/*
 * Sends the keep-alives of an RTSP session.  No standard says which requests a server counts.
 *
 * GET_PARAMETER comes first (RFC 2326 section 10.8): servers that count only one kind count this
 * one.  If Public lists it, it is enough.  If not, OPTIONS follows its answer.  If the camera
 * refuses it, does not answer it, or hangs up on it, only OPTIONS is sent.  If it hangs up on that,
 * too, the next session has none, only RTCP's reports, unless such a session does not last.
 * SET_PARAMETER without a body follows the answer to OPTIONS where Public lists it and no
 * GET_PARAMETER, as some devices of ONVIF do.
 */
#include "worker/rtsp/rtsp_session_private.h"

#define KEEPALIVE_MIN_US 500000
#define KEEPALIVE_MAX_US 30000000

static int64_t interval_us(const struct rtsp_session *s)
{
    int64_t half = (int64_t)s->timeout_s * 1000000 / 2;
    half = half < KEEPALIVE_MIN_US ? KEEPALIVE_MIN_US : half;
    return half > KEEPALIVE_MAX_US ? KEEPALIVE_MAX_US : half;
}

void rtsp_session_arm_keepalive(struct rtsp_session *s)
{
    s->keepalive.at_us =
        s->keepalive.ways != KEEPALIVE_NONE ? s->now_us + interval_us(s) : INT64_MAX;
}

static void send(struct rtsp_session *s, enum method method)
{
    /* If the output is full, drop it: a camera that does not read needs no keep-alive. */
    if (!rtsp_session_send(s, method, s->aggregate, ""))
        return;
    s->keepalive.sent = method;
    s->keepalive.cseq = s->cseq;
}

static bool awaits_get_parameter(const struct rtsp_keepalive *k)
{
    return k->sent == METHOD_GET_PARAMETER && !k->get_parameter_works;
}

static bool awaits_set_parameter(const struct rtsp_keepalive *k)
{
    return k->sent == METHOD_SET_PARAMETER && k->set == SET_PARAMETER_LISTED;
}

/* Has it gone on for longer than the server waits for a sign of life? */
static bool has_lasted(const struct rtsp_session *s)
{
    const struct rtsp_keepalive *k = &s->keepalive;
    return k->began_us != 0 && s->now_us - k->began_us > (int64_t)s->timeout_s * 2000000;
}

void rtsp_session_learn_keepalive(const struct rtsp_session *s, bool hung_up,
                                  struct source_memory *memory)
{
    const struct rtsp_keepalive *k = &s->keepalive;
    if (memory == NULL)
        return;
    if (k->ways == KEEPALIVE_NONE && !has_lasted(s))
        memory->no_keepalive = memory->only_options = false;
    else if (hung_up && (awaits_get_parameter(k) || awaits_set_parameter(k)))
        memory->only_options = true;
    else if (hung_up && k->sent == METHOD_OPTIONS && !k->options_work)
        memory->no_keepalive = true;
}

void rtsp_session_keep_alive(struct rtsp_session *s)
{
    struct rtsp_keepalive *k = &s->keepalive;
    rtsp_session_arm_keepalive(s);
    if (awaits_get_parameter(k))
        k->ways = KEEPALIVE_OPTIONS;
    if (awaits_set_parameter(k))
        k->set = SET_PARAMETER_USELESS;
    if (k->ways == KEEPALIVE_OPTIONS) {
        send(s, METHOD_OPTIONS);
        return;
    }
    send(s, METHOD_GET_PARAMETER);
    if (!k->get_parameter_works) /* leave time for OPTIONS if no answer comes */
        k->at_us = s->now_us + interval_us(s) / 2;
}

void rtsp_session_read_public(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_keepalive *k = &s->keepalive;
    struct rtsp_slice value;
    if (!rtsp_message_header(m, "Public", NULL, &value))
        return;
    bool get = rtsp_slice_find(value, "GET_PARAMETER") != NULL;
    if (get && k->ways == KEEPALIVE_BOTH)
        k->ways = KEEPALIVE_GET_PARAMETER;
    if (!get && k->set == SET_PARAMETER_UNLISTED && rtsp_slice_find(value, "SET_PARAMETER") != NULL)
        k->set = SET_PARAMETER_LISTED;
}

/* What follows the answer to GET_PARAMETER. */
static void on_get_parameter(struct rtsp_session *s, bool accepted)
{
    struct rtsp_keepalive *k = &s->keepalive;
    rtsp_session_arm_keepalive(s);
    if (accepted)
        k->get_parameter_works = true;
    else
        k->ways = KEEPALIVE_OPTIONS;
    if (k->ways != KEEPALIVE_GET_PARAMETER)
        send(s, METHOD_OPTIONS);
}

/* A failed keep-alive is no error: the media show whether the camera is alive. */
void rtsp_session_on_keepalive_reply(struct rtsp_session *s, const struct rtsp_message *m)
{
    struct rtsp_keepalive *k = &s->keepalive;
    enum method sent = k->sent;
    k->sent = METHOD_NONE;
    if (m->status == 401) {
        if (rtsp_auth_refused(&s->auth, m)) /* some cameras use a new nonce for each request */
            send(s, sent);
        return;
    }
    rtsp_auth_accepted(&s->auth);
    rtsp_session_read_public(s, m);
    bool accepted = m->status < 400;
    k->options_work = k->options_work || sent == METHOD_OPTIONS;
    if (sent == METHOD_GET_PARAMETER)
        on_get_parameter(s, accepted);
    else if (sent == METHOD_SET_PARAMETER)
        k->set = accepted ? SET_PARAMETER_WORKS : SET_PARAMETER_USELESS;
    else if (k->set == SET_PARAMETER_LISTED || k->set == SET_PARAMETER_WORKS)
        send(s, METHOD_SET_PARAMETER);
}
