/*
 * Shared by rtsp_session.c (requests, frames, the interface), rtsp_answers.c (handling of answers)
 * and rtsp_keepalive.c.  For these files only.
 */
#ifndef WORKER_RTSP_SESSION_PRIVATE_H
#define WORKER_RTSP_SESSION_PRIVATE_H

#include "worker/rtsp/rtsp_headers.h"
#include "worker/rtsp/rtsp_session.h"

enum method {
    METHOD_NONE,
    METHOD_OPTIONS,
    METHOD_DESCRIBE,
    METHOD_SETUP,
    METHOD_PLAY,
    METHOD_GET_PARAMETER,
    METHOD_SET_PARAMETER,
    METHOD_TEARDOWN
};

/* How the session is kept alive; rtsp_keepalive.c. */
struct rtsp_keepalive {
    enum { KEEPALIVE_BOTH, KEEPALIVE_GET_PARAMETER, KEEPALIVE_OPTIONS, KEEPALIVE_NONE } ways;
    /* SET_PARAMETER, where Public lists it and no GET_PARAMETER. */
    enum {
        SET_PARAMETER_UNLISTED,
        SET_PARAMETER_LISTED,
        SET_PARAMETER_WORKS,
        SET_PARAMETER_USELESS
    } set;
    enum method sent; /* NONE once answered; the dialogue does not wait for the answer */
    uint32_t cseq;    /* CSeq of the newest keep-alive; 0: none yet */
    int64_t at_us;    /* when the next is due; INT64_MAX: not armed */
    bool get_parameter_works;
    bool options_work;
    int64_t began_us; /* of the session; 0: not yet */
};

struct rtsp_session {
    struct rtsp_session_events events;
    struct rtsp_reader reader;
    struct rtsp_auth auth;
    struct sdp *sdp; /* after DESCRIBE */
    enum rtsp_state state;

    char url[RTSP_URL_MAX];  /* the stream's URL */
    char base[RTSP_URL_MAX]; /* the base for relative control attributes */
    char aggregate[RTSP_URL_MAX];
    enum rtsp_way way;
    uint16_t udp_ports[TRACK_COUNT];
    struct rtsp_track tracks[TRACK_COUNT];

    /* The request that has not been answered yet. */
    enum method pending;
    uint32_t pending_cseq;
    bool miscounts;       /* the camera numbers its answers wrongly: their order counts */
    uint64_t last_answer; /* fingerprint of the newest one */
    enum track setup_track;
    int64_t sound_by_us;    /* when to go on without an answer to the sound's SETUP */
    uint32_t given_up_cseq; /* the request of which that was done; 0: none */
    uint32_t cseq;
    struct rtsp_keepalive keepalive;
    int64_t now_us;

    char session_id[sizeof(((struct rtsp_session_header *)NULL)->id)];
    unsigned timeout_s;
    bool login_carried;   /* began with the challenge of the connection before */
    const char *misnamed; /* see sdp_correct_codec(); NULL: nothing */
    bool options_done;    /* the dialogue has had OPTIONS, or begins with it */
    bool other_url_used;  /* for the current track */
    bool plain_profile;   /* ask for RTP/AVP, whatever the description says */
    bool without_range;   /* PLAY with a Range was refused: send none */
    bool play_by_track;   /* the camera wants a PLAY for each track */
    bool media_seen;      /* media have come since PLAY was sent */
    bool eof;

    uint8_t output[RTSP_OUTPUT_MAX];
    size_t output_len;

    enum rtsp_verdict verdict;
    enum http_error error;
    char detail[RTSP_URL_MAX];
};

const char *rtsp_method_name(enum method method);

/** The only function that sets the state; asserts that the move is permitted. */
void rtsp_session_set_state(struct rtsp_session *session, enum rtsp_state state);

/** Send the current state's request, for the first time or again with other headers. */
void rtsp_session_ask(struct rtsp_session *session);

/** Set the state and send its request. */
void rtsp_session_enter(struct rtsp_session *session, enum rtsp_state state);

/** Put a request into the output.  @return false when there is no room: the peer does not read. */
bool rtsp_session_send(struct rtsp_session *session, enum method method, const char *url,
                       const char *headers);

/** The next keep-alive is due half the session timeout from now. */
void rtsp_session_arm_keepalive(struct rtsp_session *session);

/** Send a keep-alive now and arm the next one. */
void rtsp_session_keep_alive(struct rtsp_session *session);

/** Take the answer to a keep-alive. */
void rtsp_session_on_keepalive_reply(struct rtsp_session *session, const struct rtsp_message *m);

/** Learn from a Public header, if the message has one. */
void rtsp_session_read_public(struct rtsp_session *session, const struct rtsp_message *m);

/** End the session; tell the camera if it has one for us. */
void rtsp_session_end(struct rtsp_session *session, enum rtsp_verdict verdict);

/** End the session with an error.  The text must not contain the password. */
void rtsp_session_fail(struct rtsp_session *session, enum http_error error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The camera does not answer the sound's SETUP: go on without. */
void rtsp_session_give_up_sound(struct rtsp_session *session);

/** Take a response. */
void rtsp_session_on_response(struct rtsp_session *session, const struct rtsp_message *m);

/** The camera redirects us to another URL. */
void rtsp_session_on_redirect(struct rtsp_session *session, const struct rtsp_message *m);

#endif /* WORKER_RTSP_SESSION_PRIVATE_H */
