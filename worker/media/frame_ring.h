/*
 * The frames that a camera sent last: everything since its newest whole key frame (the GOP that new
 * viewers and snapshots start from), and what viewers who are a little behind still need.
 * Worker, loop thread.  Pure: no I/O, no clock.
 *
 * Bounds: max_bytes of frames.  At the bound the oldest frames go; when that takes the last key
 * frame, there is no GOP to join until the next one comes (frame_ring_overflows() counts it).
 */
#ifndef WORKER_FRAME_RING_H
#define WORKER_FRAME_RING_H

#include "worker/media/frame.h"

/* A key frame that lost packets is not begun with until the newest whole one is so old
 * (TORN_PICTURE_MEMORY_US, too). */
#define FRAME_RING_WHOLE_KEY_US INT64_C(21000000)

struct frame_ring;

/**
 * @param max_bytes   of frames kept at most, their heads included; one frame is always kept.
 * @param max_lag_us  frames older than the GOP are kept while they arrived at most this long before
 *                    the newest picture; so is audio before the first video frame.
 * @return never NULL.  Caller owns; frame_ring_free().
 */
struct frame_ring *frame_ring_new(size_t max_bytes, int64_t max_lag_us);
void frame_ring_free(struct frame_ring **ring);

/** New bounds from the next push on. */
void frame_ring_set_limits(struct frame_ring *ring, size_t max_bytes, int64_t max_lag_us);

/** Append a frame.  Moved. */
void frame_ring_push(struct frame_ring *ring, struct frame *frame);

/** Forget all frames; sequence numbers go on. */
void frame_ring_clear(struct frame_ring *ring);

/** Sequence number that the next frame will get: frames count up from 0 by one, both tracks. */
uint64_t frame_ring_head(const struct frame_ring *ring);

/** Sequence number of the oldest frame kept; equals the head when empty. */
uint64_t frame_ring_tail(const struct frame_ring *ring);

/** The frame with that number.  Borrowed until the next push; NULL if gone or not there yet. */
struct frame *frame_ring_get(const struct frame_ring *ring, uint64_t seq);

/**
 * The key frame to begin with: the newest whole one, or a newer damaged one if that is gone or came
 * more than FRAME_RING_WHOLE_KEY_US before.
 * @return true and *seq set, or false when none is kept.
 */
bool frame_ring_key(const struct frame_ring *ring, uint64_t *seq);

/** Likewise the newest key frame, damaged or not, for who plays already. */
bool frame_ring_newest_key(const struct frame_ring *ring, uint64_t *seq);

/** How many video frames came after the key frame to begin with; 0 if none is kept. */
uint64_t frame_ring_pictures_after_key(const struct frame_ring *ring);

/** The newest video frame.  Borrowed until the next push; NULL if gone or not there yet. */
struct frame *frame_ring_newest_picture(const struct frame_ring *ring);

/** The newest video frame's dts, or INT64_MIN when none came yet. */
int64_t frame_ring_newest_dts_us(const struct frame_ring *ring);

/** When the newest video frame arrived (frame.received_us), or INT64_MIN when none came yet. */
int64_t frame_ring_newest_arrival_us(const struct frame_ring *ring);

/** What arrived up to then was held back from all viewers: it makes none of them late, and is kept
 * as if it had arrived then.  Call it before frame_ring_push(). */
void frame_ring_excuse_lag(struct frame_ring *ring, int64_t until_us);

/** Up to when viewers are excused, or INT64_MIN. */
int64_t frame_ring_excused_us(const struct frame_ring *ring);

/** How often a GOP outgrew max_bytes. */
uint64_t frame_ring_overflows(const struct frame_ring *ring);

#endif /* WORKER_FRAME_RING_H */
