/*
 * The RTSP dialogue (RFC 2326) as a state machine over bytes: DESCRIBE, SETUP, PLAY, keep-alive,
 * TEARDOWN.  Worker; pure: no I/O, no clock.  Bytes are fed in and taken out, time is an argument,
 * deadlines are values.
 *
 *   IDLE --> OPTIONS --> DESCRIBE --> SETUP (video) --> SETUP (audio) --> PLAY --> PLAYING
 *     \________________/    any of them --> TEARDOWN --> ENDED
 *
 * OPTIONS is left out unless a camera refuses DESCRIBE without it: one round trip less.  Requests
 * wait for their answers, keep-alives do not; media that comes before PLAY is answered is media.
 */
#ifndef WORKER_RTSP_SESSION_H
#define WORKER_RTSP_SESSION_H

#include "common/http_reply.h"
#include "worker/rtp/sdp.h"
#include "worker/rtsp/rtsp_auth.h"
#include "worker/rtsp/rtsp_message.h"
#include "worker/rtsp/rtsp_url.h"
#include "worker/rtsp/rtsp_way.h"

#define RTSP_DETAIL_MAX 256
#define RTSP_OUTPUT_MAX 16384

/* clang-format off */
/* X(NAME, name) */
#define RTSP_STATES(X)        \
    X(IDLE, "idle")           \
    X(OPTIONS, "options")     \
    X(DESCRIBE, "describe")   \
    X(SETUP, "setup")         \
    X(PLAY, "play")           \
    X(PLAYING, "playing")     \
    X(TEARDOWN, "teardown")   \
    X(ENDED, "ended")
/* clang-format on */

enum rtsp_state {
#define X(name, text) RTSP_STATE_##name,
    RTSP_STATES(X)
#undef X
        RTSP_STATE_COUNT
};

/* What to do when the session has ended. */
enum rtsp_verdict {
    RTSP_VERDICT_NONE,     /* it has not */
    RTSP_VERDICT_CLOSED,   /* as asked */
    RTSP_VERDICT_FAILED,   /* error and detail say why */
    RTSP_VERDICT_REDIRECT, /* connect to the URL in detail instead */
    RTSP_VERDICT_SWITCH,   /* connect again, with the other transport */
    RTSP_VERDICT_OPTIONS,  /* connect again, with OPTIONS first */
};

struct rtsp_session_params {
    const char *url; /* for requests, without credentials.  Borrowed for the call. */
    const char *user;
    const char *password;
    enum rtsp_way way;
    bool options_first;
    bool without_get_parameter;      /* keep-alives are OPTIONS */
    uint64_t seed;                   /* random */
    uint16_t udp_ports[TRACK_COUNT]; /* even local RTP ports, RTCP on the next; 0: do not offer */
};

struct rtsp_session_events {
    /* Every track that will come is set up; PLAY goes out after this.  A negative errno ends the
     * session with UNSUPPORTED_CODEC.  audio may be NULL.  Borrowed. */
    int (*on_ready)(void *ctx, const struct sdp_track *video, const struct sdp_track *audio);
    /* RTP or RTCP.  Borrowed for the call. */
    void (*on_data)(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len);
    void *ctx;
};

/* One track that is set up. */
struct rtsp_track {
    const struct sdp_track *sdp; /* NULL: not there, or refused */
    bool set_up;
    char url[RTSP_URL_MAX];
    uint8_t channels[2];      /* TCP: RTP, RTCP */
    uint16_t server_ports[2]; /* UDP; 0: not said */
    char source[64];          /* datagrams: address that they come from, "" if not said */
    char group[64];           /* multicast */
    uint16_t group_ports[2];
    bool has_rtptime; /* RTP-Info of PLAY */
    uint32_t rtptime;
};

struct rtsp_session;

/** @return NULL when out of memory.  Caller owns; rtsp_session_free(). */
struct rtsp_session *rtsp_session_new(const struct rtsp_session_params *params,
                                      const struct rtsp_session_events *events);
void rtsp_session_free(struct rtsp_session **session);

/** The connection is up: put the first request into the output. */
void rtsp_session_start(struct rtsp_session *session, int64_t now_us);

/** Where the transport puts what it reads, and how much that was; see rtsp_reader_space(). */
uint8_t *rtsp_session_space(struct rtsp_session *session, size_t *len);
void rtsp_session_filled(struct rtsp_session *session, size_t len, int64_t now_us);

/** The camera closed the connection, or it broke: detail says how, "" for a plain end. */
void rtsp_session_eof(struct rtsp_session *session, const char *detail);

/** Send what is due by now. */
void rtsp_session_timeout(struct rtsp_session *session, int64_t now_us);

/** When rtsp_session_timeout() wants to be called, clock_us(); INT64_MAX: never. */
int64_t rtsp_session_deadline(const struct rtsp_session *session);

/** Has GET_PARAMETER been sent, and never been answered so far? */
bool rtsp_session_awaits_get_parameter(const struct rtsp_session *session);

/** Bytes to send.  Borrowed until rtsp_session_sent(), which takes len off their front. */
const uint8_t *rtsp_session_output(const struct rtsp_session *session, size_t *len);
void rtsp_session_sent(struct rtsp_session *session, size_t len);

/** Send RTCP on the track's interleaved channel.  Dropped when the output is full. */
void rtsp_session_send_rtcp(struct rtsp_session *session, enum track track, const uint8_t *data,
                            size_t len);

/** Ask for the end: TEARDOWN where there is a session; the verdict comes with its answer. */
void rtsp_session_teardown(struct rtsp_session *session);

enum rtsp_state rtsp_session_state(const struct rtsp_session *session);
const char *rtsp_state_name(enum rtsp_state state);
const struct rtsp_track *rtsp_session_track(const struct rtsp_session *session, enum track track);

/**
 * Has it ended, and what now?
 *
 * @param error   set with RTSP_VERDICT_FAILED.
 * @param detail  set with FAILED: what happened, without password; with REDIRECT: the URL.
 */
enum rtsp_verdict rtsp_session_verdict(const struct rtsp_session *session, enum http_error *error,
                                       const char **detail);

#endif /* WORKER_RTSP_SESSION_H */
