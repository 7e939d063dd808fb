#ifndef TEST_CAMERAS_FEED_H
#define TEST_CAMERAS_FEED_H

#include <gst/gst.h>

#include "test/cameras/loop_file.h"

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
};

/**
 * A source element and a payloader that send one loop for ever, in live time, without encoding.
 *
 * The payloader pulls (appsrc asks for data), the RTP sinks wait for the clock.
 *
 * @param bin       gets the elements.  Borrowed.
 * @param name      of the payloader, "pay0" or "pay1".  Borrowed.
 * @param loop      Shared: must live as long as the process.
 * @param switches  Borrowed.
 * @param start_ns  position in the endless time line that becomes time 0 of the session.
 * @return 0; -ENOSYS when GStreamer lacks an element (it says which), -EINVAL for an unknown codec.
 */
int feed_add(GstBin *bin, const char *name, const struct loop_file *loop,
             const struct switches *switches, int64_t start_ns);

#endif
