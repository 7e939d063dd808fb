/*
 * The RTSP dialogue (RFC 2326) as a state machine over bytes: DESCRIBE, SETUP, PLAY, keep-alive,
 * TEARDOWN.  Worker; pure: no I/O, no clock.  Bytes are fed in and taken out, time is an argument,
 * deadlines are values.
 *
 *   IDLE --> OPTIONS --> DESCRIBE --> SETUP (video) --> SETUP (audio) --> PLAY --> PLAYING
 *     \________________/    any of them --> TEARDOWN --> ENDED
 *
 * OPTIONS is skipped unless the camera refuses DESCRIBE without it: this saves a round trip.  Each
 * request waits for its answer, except keep-alives.  Media that come before PLAY's answer count.
 */
#ifndef WORKER_RTSP_SESSION_H
#define WORKER_RTSP_SESSION_H

#include "common/http_reply.h"
#include "worker/media/source_params.h"
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
    RTSP_VERDICT_NONE,     /* it has not ended */
    RTSP_VERDICT_CLOSED,   /* it was closed as asked */
    RTSP_VERDICT_FAILED,   /* error and detail say why */
    RTSP_VERDICT_REDIRECT, /* connect to the URL in detail instead */
    RTSP_VERDICT_SWITCH,   /* connect again, with the other transport */
    RTSP_VERDICT_OPTIONS,  /* connect again, with OPTIONS first */
    RTSP_VERDICT_LOGIN,    /* connect again, with rtsp_session_login(): it hung up after its 401 */
};

struct rtsp_session_params {
    const char *url; /* for requests, without credentials.  Borrowed for the call. */
    const char *user;
    const char *password;
    const struct rtsp_auth *login; /* to begin with; NULL: none.  Borrowed for the call. */
    enum rtsp_way way;
    bool options_first;
    bool only_options;               /* keep-alives are OPTIONS */
    bool no_keepalive;               /* send none */
    const char *misnamed;            /* see sdp_correct_codec(); NULL: nothing.  Static. */
    uint64_t seed;                   /* random */
    uint16_t udp_ports[TRACK_COUNT]; /* even local RTP ports, RTCP on the next; 0: do not offer */
};

struct rtsp_session_events {
    /* All usable tracks are set up; PLAY is sent after this.  audio may be NULL.  Borrowed.  A
     * negative errno ends the session: -ENOMEM with OVERLOADED, others with UNSUPPORTED_CODEC. */
    int (*on_ready)(void *ctx, const struct sdp_track *video, const struct sdp_track *audio);
    /* RTP or RTCP has arrived.  Borrowed for the call. */
    void (*on_data)(void *ctx, enum track track, bool rtcp, const uint8_t *data, size_t len);
    void *ctx;
};

/* One track and its set-up. */
struct rtsp_track {
    const struct sdp_track *sdp; /* NULL: there is none that we can use */
    bool set_up;
    char url[RTSP_URL_MAX];
    uint8_t channels[2];      /* TCP: RTP, RTCP */
    uint16_t server_ports[2]; /* UDP; 0: not given */
    char source[64];          /* datagrams: the address they come from; "" if not given */
    char group[64];           /* multicast */
    uint16_t group_ports[2];
    bool has_rtptime; /* PLAY's RTP-Info gave rtptime */
    uint32_t rtptime;
};

struct rtsp_session;

/** @return NULL when out of memory.  Caller owns; rtsp_session_free(). */
struct rtsp_session *rtsp_session_new(const struct rtsp_session_params *params,
                                      const struct rtsp_session_events *events);
void rtsp_session_free(struct rtsp_session **session);

/** The connection is up: put the first request into the output. */
void rtsp_session_start(struct rtsp_session *session, int64_t now_us);

/** Where the transport puts the bytes it reads; then how many; see rtsp_reader_space(). */
uint8_t *rtsp_session_space(struct rtsp_session *session, size_t *len);
void rtsp_session_filled(struct rtsp_session *session, size_t len, int64_t now_us);

/** The connection was closed or broke: detail says how; "" for a plain end. */
void rtsp_session_eof(struct rtsp_session *session, const char *detail);

/** Send what is due by now. */
void rtsp_session_timeout(struct rtsp_session *session, int64_t now_us);

/** When to call rtsp_session_timeout(), on its clock; INT64_MAX: never. */
int64_t rtsp_session_deadline(const struct rtsp_session *session);

/** The camera has hung up, or fallen silent: remember which keep-alives it does not take.
 * @param memory  may be NULL. */
void rtsp_session_learn_keepalive(const struct rtsp_session *session, bool hung_up,
                                  struct source_memory *memory);

/** Bytes to send.  Borrowed until rtsp_session_sent(), which removes the first len bytes. */
const uint8_t *rtsp_session_output(const struct rtsp_session *session, size_t *len);
void rtsp_session_sent(struct rtsp_session *session, size_t len);

/** Send RTCP on the track's interleaved channel.  Dropped when the output is full. */
void rtsp_session_send_rtcp(struct rtsp_session *session, enum track track, const uint8_t *data,
                            size_t len);

/** End the session, with TEARDOWN if the camera has one; then the verdict comes with its answer. */
void rtsp_session_teardown(struct rtsp_session *session);

enum rtsp_state rtsp_session_state(const struct rtsp_session *session);
const char *rtsp_state_name(enum rtsp_state state);
const struct rtsp_track *rtsp_session_track(const struct rtsp_session *session, enum track track);

/** The camera's challenge, if it has hung up instead of judging the answer; else NULL.  Borrowed.
 */
const struct rtsp_auth *rtsp_session_login(const struct rtsp_session *session);

/** Why the session has set up no sound; NONE: it has.  From on_ready on. */
enum ipc_no_audio rtsp_session_no_audio(const struct rtsp_session *session);

/**
 * Has the session ended, and what should follow?
 *
 * @param error   set with RTSP_VERDICT_FAILED.
 * @param detail  set with FAILED: what happened, without password; with REDIRECT: the URL.
 */
enum rtsp_verdict rtsp_session_verdict(const struct rtsp_session *session, enum http_error *error,
                                       const char **detail);

#endif /* WORKER_RTSP_SESSION_H */
