/*
 * What we must know of a session description (RFC 4566): the tracks, their payload types and
 * control attributes, and which of them to set up.  What is in an fmtp line is libavformat's
 * business.  Worker; pure.
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

struct sdp_track {
    enum track kind;
    bool sendonly;          /* a=sendonly: with ONVIF the back channel */
    bool encrypted;         /* SRTP, by its profile */
    bool feedback;          /* RTP/AVPF (RFC 4585) */
    int payload_type;       /* 0..127, of RTP packets */
    struct rtp_types types; /* of the section; chosen: as payload_type */
    char codec[32];      /* encoding name of the rtpmap; "" for a static payload type without one */
    uint32_t clock_rate; /* Hz, never 0 */
    int channels;        /* audio, 0: not said */
    char control[SDP_CONTROL_MAX];
    char fmtp[SDP_FMTP_MAX]; /* parameters, without the payload type; "" if none */
};

struct sdp {
    char control[SDP_CONTROL_MAX];           /* of the session, "" if none */
    struct sdp_track tracks[SDP_TRACKS_MAX]; /* video and audio over RTP only */
    size_t track_count;
};

/**
 * Read a description.  Lines that are missing, repeated or broken are put up with.
 *
 * @param sdp  Caller owns; large: not for the stack.
 */
void sdp_parse(struct sdp *sdp, const char *text, size_t len);

/**
 * The track to set up: plain before encrypted, H.264 or HEVC before other video, no back channel.
 * @return NULL if there is none.  Borrowed.
 */
const struct sdp_track *sdp_choose(const struct sdp *sdp, enum track kind);

/**
 * A clean description of one track, as libavformat's `sdp` demuxer takes it.
 *
 * @param payload_type  set to the one in the description: packets must carry it.
 * @return bytes written, or -ENAMETOOLONG.
 */
int sdp_write_track(const struct sdp_track *track, char *buf, size_t size, int *payload_type);

#endif /* WORKER_SDP_H */
