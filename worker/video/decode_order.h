/*
 * Makes decode times for a source that has only presentation times (RTP): with B-frames, a
 * picture's decode time is the smallest presentation time not used yet.  Worker, source thread.
 * Pure.
 */
#ifndef WORKER_DECODE_ORDER_H
#define WORKER_DECODE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define DECODE_ORDER_FRAMES_MAX 16 /* H.264 and HEVC: max_num_reorder, 0..16 */

/* Plain: lives in its user by value, zeroed. */
struct decode_order {
    int64_t sorted_pts_us[DECODE_ORDER_FRAMES_MAX + 1]; /* the newest ones, ascending */
    int count;
    int learned; /* frames of reordering seen; 0: no more than the parameter sets declare */
    int backward_count;
    int since_backward;
};

/** @return by how many frames decode and display order may differ: declared or learned. */
int decode_order_frames(const struct decode_order *order, int declared);

/** @return the latest presentation time put in, or or_us if that is later or none was put in. */
int64_t decode_order_latest(const struct decode_order *order, int64_t or_us);

/**
 * Count a picture.  Repeated steps back show B-frames that the parameter sets do not declare.
 *
 * @param declared  frames of reordering that the parameter sets declare, 0..16.
 * @param is_back   the picture's presentation time is before those of earlier pictures.
 */
void decode_order_learn(struct decode_order *order, int declared, bool is_back);

/** Forget the recent steps back: they had another cause. */
void decode_order_forget_steps(struct decode_order *order);

/**
 * Put a picture in.
 *
 * @param declared     as above.
 * @param duration_us  > 0.
 * @return its decode time, at most pts_us.
 */
int64_t decode_order_put(struct decode_order *order, int declared, int64_t pts_us,
                         int64_t duration_us);

#endif /* WORKER_DECODE_ORDER_H */
