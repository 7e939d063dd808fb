/* Which frames of the ring a picture must be made from to answer a request.  Worker; pure. */
#ifndef WORKER_SNAPSHOT_REQUIRED_H
#define WORKER_SNAPSHOT_REQUIRED_H

#include "common/ipc.h"
#include "worker/media/frame_ring.h"

/** The newest video frame before a ring number, or NULL; *seq is set to its number.  Borrowed until
 * the next push. */
const struct frame *snapshot_frame_before(const struct frame_ring *ring, uint64_t *seq);

/**
 * The seq of snapshot_client_open() for a request that comes now: its picture must be made from all
 * frames but the newest.  A finished picture that is one frame behind arrives no older than a new
 * one, which takes about a frame's time to make; and with many requests half as many are made.  The
 * newest frame is required too if it may be more than one picture ahead (reordering: composition
 * times differ), or if the chain is damaged.
 *
 * @param has_chain  the decoder is able to decode the next frame.
 */
uint64_t snapshot_required_seq(const struct frame_ring *ring, enum ipc_picture kind,
                               bool has_chain);

#endif /* WORKER_SNAPSHOT_REQUIRED_H */
