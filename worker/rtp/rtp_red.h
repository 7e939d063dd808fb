/*
 * Unwraps redundant coding (RED, RFC 2198): a payload of the track's media behind a short header,
 * perhaps with older ones before it.  Senders that protect their packets (RFC 5109 section 14.1)
 * wrap all of them so.  Worker; pure.
 */
#ifndef WORKER_RTP_RED_H
#define WORKER_RTP_RED_H

#include "worker/rtp/rtp_packet.h"

#include <libavcodec/codec_id.h>

/**
 * Put the primary payload and its type in the place of the packet's.  The older ones are left out.
 * @return 0, or -EPROTO: the packet is unchanged.
 */
int rtp_red_unwrap(struct rtp_packet *packet);

/* Finds RED in H.264 and HEVC that the description does not name: GStreamer's `rtpredenc` keeps the
 * description of what it wraps. */
struct rtp_red_guess {
    unsigned wrapped; /* grows with each packet that is wrapped, falls with each that is not */
    bool plain;       /* a packet began with no dynamic payload type: none is wrapped */
};

/**
 * Unwrap the packet if it can only be RED of payload type 96.  As a NAL unit's header that byte is
 * type 0 of H.264, which RFC 6184 section 5.2 reserves, or an aggregate of HEVC: its layer,
 * temporal ID and lengths tell it from RED.
 *
 * @return false: leave the packet out, since media are wrapped and it is not.
 */
bool rtp_red_guess(struct rtp_red_guess *guess, enum AVCodecID codec, struct rtp_packet *packet);

#endif /* WORKER_RTP_RED_H */
