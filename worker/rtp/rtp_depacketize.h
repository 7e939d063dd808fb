/*
 * RTP payloads to NAL units and audio frames, one packet in, what it makes out.  Nothing waits for
 * a next frame.  Worker; one thread; no network I/O.
 *
 * Single NAL units of H.264 and HEVC, fragments of them, and whole AAC frames are taken out here:
 * they are most of all packets, and libavformat would spend three allocations and two copies on
 * each.  All else (aggregates, other audio) goes through libavformat's depacketizers: its `sdp`
 * demuxer with custom I/O, one demuxer per track.
 *
 * A media_packet holds whole NAL units.  One that misses a fragment is given out as far as it came,
 * marked as cut, and the rest of it is dropped.
 */
#ifndef WORKER_RTP_DEPACKETIZE_H
#define WORKER_RTP_DEPACKETIZE_H

#include "worker/media/media_sink.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtp/sdp.h"

#define RTP_NAL_MAX ((size_t)16 << 20) /* a joined NAL unit; more is dropped */

struct rtp_depacketizer;

/**
 * @param track   Borrowed for the call.
 * @param emit    gets each media_packet; pts already set.
 * @param d       set on success.  Caller owns; rtp_depacketizer_free().
 * @return 0; -ENOMEM; -ENOTSUP when libavformat does not understand the description.
 */
int rtp_depacketizer_open(const struct sdp_track *track,
                          void (*emit)(void *ctx, const struct media_packet *), void *ctx,
                          struct rtp_depacketizer **d);
void rtp_depacketizer_free(struct rtp_depacketizer **d);

/** What the description says of the codec.  Borrowed, valid until the first push. */
const AVCodecParameters *rtp_depacketizer_par(const struct rtp_depacketizer *d);

/**
 * One RTP packet, in order.
 *
 * @param pts  of the packet's timestamp, in clock rate units.
 */
void rtp_depacketizer_push(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                           bool lost_before, int64_t pts, int64_t received_us);

#endif /* WORKER_RTP_DEPACKETIZE_H */
