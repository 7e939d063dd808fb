#ifndef TEST_CAMERAS_SWITCHES_H
#define TEST_CAMERAS_SWITCHES_H

#include <gst/rtsp-server/rtsp-server.h>
#include <stdbool.h>
#include <stdint.h>

/* How a session's media differ from a well-behaved camera's; from the query of its URL. */
struct switches {
    bool no_video, no_audio;
    bool silent;           /* answers PLAY, sends nothing */
    bool join_live;        /* start where the camera's time line is now, not at a key frame */
    bool no_sprop;         /* no parameter sets in the SDP */
    bool g726_aal2;        /* G.726 in the bit order of AAL2, and called so */
    bool g726_mislabelled; /* in the bit order of AAL2 under the other's name */
    int g726_kbit;         /* 0: 32 */
    char variant[16];      /* of the video loop: "bframes", "longgop" */
    int64_t start_frame;
    int64_t stop_after_ms;  /* 0: never */
    int64_t close_after_ms; /* 0: never */
    int audio_ppm;          /* the audio clock is that much too fast */
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
 * The scheme of authentication that a text names: "basic", "digest" or "both".
 *
 * @param text  or NULL.  Borrowed.
 * @return GST_RTSP_AUTH_NONE for anything else.
 */
GstRTSPAuthMethod switches_parse_scheme(const char *text);

/**
 * The scheme that a URL asks to be asked for.
 *
 * @param url      or NULL.  Borrowed.
 * @param unasked  when the URL says nothing of it.
 */
GstRTSPAuthMethod switches_auth_scheme(const GstRTSPUrl *url, GstRTSPAuthMethod unasked);

#endif
