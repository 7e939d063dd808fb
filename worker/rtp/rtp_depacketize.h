/*
 * Turns RTP payloads into NAL units, pictures and audio frames, as soon as each is complete:
 * nothing waits for the next frame.  Worker; one thread; no network I/O.
 *
 * This file itself unpacks H.264 and HEVC NAL units, single or fragmented, and whole AAC frames:
 * most packets hold these, and libavformat would spend three allocations and two copies on each.
 * rtp_picture unpacks video without NAL units.  All else (aggregates, other audio) goes through
 * libavformat's depacketizers: its `sdp` demuxer with custom I/O, one demuxer per track.
 *
 * A media_packet holds whole NAL units.  When a fragment is lost, the part of the NAL unit before
 * it is emitted, marked as cut, and the rest is dropped.
 */
#ifndef WORKER_RTP_DEPACKETIZE_H
#define WORKER_RTP_DEPACKETIZE_H

#include "worker/media/media_sink.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtp/sdp.h"

struct rtp_depacketizer;

/**
 * @param track   Borrowed for the call.
 * @param emit    gets each media_packet, with its pts set.
 * @param d       set on success.  Caller owns; rtp_depacketizer_free().
 * @return 0; -ENOMEM; -ENOTSUP when libavformat does not understand the description.
 */
int rtp_depacketizer_open(const struct sdp_track *track,
                          void (*emit)(void *ctx, const struct media_packet *), void *ctx,
                          struct rtp_depacketizer **d);
void rtp_depacketizer_free(struct rtp_depacketizer **d);

/** Is it H.264 that the description calls HEVC, or the other way round?  Nothing comes of it then.
 */
bool rtp_depacketizer_is_other_codec(const struct rtp_depacketizer *d);

/** What the description says about the codec.  Borrowed, valid until the first push. */
const AVCodecParameters *rtp_depacketizer_par(const struct rtp_depacketizer *d);

/**
 * Take the next RTP packet, in order.
 *
 * @param pts  the packet's time, in clock rate units.
 */
void rtp_depacketizer_push(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                           bool lost_before, int64_t pts, int64_t received_us);

#endif /* WORKER_RTP_DEPACKETIZE_H */
