#ifndef TEST_CAMERAS_SWITCHES_H
#define TEST_CAMERAS_SWITCHES_H

#include <gst/rtsp-server/rtsp-server.h>
#include <stdbool.h>
#include <stdint.h>

/* How a session differs from a well-behaved camera's; read from the query of its URL. */
struct switches {
    bool no_video, no_audio;
    bool silent;           /* answers PLAY, sends nothing */
    bool join_live;        /* start at the time line's present position, not at a key frame */
    bool no_sprop;         /* no parameter sets in the SDP */
    bool g726_aal2;        /* send G.726 in AAL2 bit order, labelled AAL2-G726 */
    bool g726_mislabelled; /* send G.726 in AAL2 bit order, labelled G726 */
    int g726_kbit;         /* G.726 rate in kbit/s; 0: 32 */
    char variant[16];      /* the video loop's variant: "bframes", "longgop", or "" */
    int64_t start_frame;
    int64_t stop_after_ms;  /* 0: never */
    int64_t close_after_ms; /* 0: never */
    int audio_ppm;          /* how much too fast the audio clock is, parts per million */
    bool no_reports;        /* sends no RTCP sender reports */
};

/**
 * Read the switches of a session from the query of its URL; README.md lists them.
 *
 * @param url       Borrowed.
 * @param switches  overwritten.  Caller owns.
 */
void switches_parse(const GstRTSPUrl *url, struct switches *switches);

/**
 * Read the name of an authentication scheme: "basic", "digest" or "both".
 *
 * @param text  or NULL.  Borrowed.
 * @return GST_RTSP_AUTH_NONE for anything else.
 */
GstRTSPAuthMethod switches_parse_scheme(const char *text);

/**
 * Read the authentication scheme that the server offers for a URL.
 *
 * @param url      or NULL.  Borrowed.
 * @param unasked  scheme to return if the URL names none.
 */
GstRTSPAuthMethod switches_auth_scheme(const GstRTSPUrl *url, GstRTSPAuthMethod unasked);

#endif
