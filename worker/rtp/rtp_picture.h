/*
 * Puts pictures together out of RTP packets, for codecs without NAL units.  Worker; pure.
 *
 * A picture is all packets of one timestamp, up to the marker.  One that lost a packet, or whose
 * payload breaks its format's rules, is left out: the next whole picture says that packets were
 * lost before it.  So no part of a picture is ever taken for a whole one.
 *
 * libavformat has depacketizers for most of these codecs, but they hide where a picture begins and
 * what was lost: some emit each packet by itself; AV1 comes with version 7.1 only, and JPEG ends at
 * 2040 pixels.
 */
#ifndef WORKER_RTP_PICTURE_H
#define WORKER_RTP_PICTURE_H

#include "worker/media/media_sink.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtp/sdp.h"

struct rtp_picture;

/**
 * @param track  rtp_encoding_find() knows its encoding.  Borrowed for the call.
 * @param emit   gets each whole picture.
 * @return NULL when out of memory.  Caller owns; rtp_picture_free().
 */
struct rtp_picture *rtp_picture_new(const struct sdp_track *track,
                                    void (*emit)(void *ctx, const struct media_packet *),
                                    void *ctx);
void rtp_picture_free(struct rtp_picture **picture);

/** What the description says about the codec.  Borrowed. */
const AVCodecParameters *rtp_picture_par(const struct rtp_picture *picture);

/**
 * Take the next packet, in order.
 *
 * @param like  what the media packets have in common with this RTP packet.  Borrowed.
 */
void rtp_picture_push(struct rtp_picture *picture, const struct rtp_packet *packet,
                      bool lost_before, const struct media_packet *like);

#endif /* WORKER_RTP_PICTURE_H */
