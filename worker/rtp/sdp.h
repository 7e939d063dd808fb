/*
 * Reads what we need from a session description (RFC 4566): the tracks, their payload types and
 * control attributes, and which tracks to set up.  fmtp lines are left to libavformat.  Worker;
 * pure.
 */
#ifndef WORKER_SDP_H
#define WORKER_SDP_H

#include "worker/media/frame.h"
#include "worker/rtp/rtp_types.h"

#include <stddef.h>

#define SDP_TRACKS_MAX 8
#define SDP_FORMATS_MAX 8
#define SDP_CONTROL_MAX 1024
#define SDP_FMTP_MAX 8192
#define SDP_GROUP_MAX 64

struct sdp_track {
    enum track kind;
    bool sendonly;          /* a=sendonly: ONVIF's back channel */
    bool encrypted;         /* SRTP, by its profile */
    bool feedback;          /* RTP/AVPF (RFC 4585) */
    bool corrected;         /* by sdp_correct_codec() */
    int payload_type;       /* 0..127, in RTP packets */
    struct rtp_types types; /* the section's types; `chosen` equals payload_type */
    char codec[32]; /* the rtpmap's encoding name; "" for a static payload type without rtpmap */
    uint32_t clock_rate; /* Hz, never 0 */
    int channels;        /* audio; 0: not announced */
    unsigned width;      /* video, pixels; 0: not announced (RFC 6064 framesize, x-dimensions) */
    unsigned height;
    uint16_t port;             /* of the m= line, where multicast goes to; 0: not given */
    char group[SDP_GROUP_MAX]; /* the multicast group that a c= line names; "" if none does */
    char control[SDP_CONTROL_MAX];
    char fmtp[SDP_FMTP_MAX]; /* parameters, without the payload type; "" if none */
};

struct sdp {
    char control[SDP_CONTROL_MAX];           /* the session's, "" if none */
    struct sdp_track tracks[SDP_TRACKS_MAX]; /* video and audio over RTP only */
    size_t track_count;
};

/**
 * Read a description.  Missing, repeated and broken lines are tolerated.
 *
 * @param sdp  Caller owns; too large for the stack.
 */
void sdp_parse(struct sdp *sdp, const char *text, size_t len);

/**
 * Choose the track to set up: plain before encrypted, usable codecs before others, never the back
 * channel.
 * @return NULL if there is none.  Borrowed.
 */
const struct sdp_track *sdp_choose(const struct sdp *sdp, enum track kind);

/**
 * What it calls H264 is H265, or the reverse: what else it says of that is not believed.  A track
 * that has a payload type for each gets the other one.
 *
 * @param misnamed  "H264" or "H265".
 */
void sdp_correct_codec(struct sdp *sdp, const char *misnamed);

/** Read two numbers of up to 16 bits with a separator between them.
 * @return false if there are none; the sizes are unchanged then. */
bool sdp_read_size(const char *text, char separator, unsigned *width, unsigned *height);

/**
 * Write a clean description of one track for libavformat's `sdp` demuxer.
 *
 * @param payload_type  set to the type that this description announces: packets must carry it.
 * @return bytes written, or -ENAMETOOLONG.
 */
int sdp_write_track(const struct sdp_track *track, char *buf, size_t size, int *payload_type);

#endif /* WORKER_SDP_H */
