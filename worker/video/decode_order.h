/*
 * Decode times for a source that gives presentation times only (RTP): with B-frames the decode
 * time of a picture is the smallest presentation time that has not been used yet.  Worker, source
 * thread.  Pure.
 */
#ifndef WORKER_DECODE_ORDER_H
#define WORKER_DECODE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define DECODE_ORDER_FRAMES_MAX 16 /* H.264 and HEVC: max_num_reorder, 0..16 */

/* Plain: lives in its user by value.  Zeroed: nothing is known. */
struct decode_order {
    int64_t sorted_pts_us[DECODE_ORDER_FRAMES_MAX + 1]; /* the newest ones, ascending */
    int count;
    int learned; /* reordering seen beyond what the parameter sets declare, frames */
    int backward_count;
    int since_backward;
};

/** @return by how many frames decode and display order may differ, given the declared number. */
int decode_order_frames(const struct decode_order *order, int declared);

/** @return the latest presentation time put in, or or_us if that is later or there is none. */
int64_t decode_order_latest(const struct decode_order *order, int64_t or_us);

/**
 * Count a picture.  B-frames that the parameter sets do not announce show as repeated steps back.
 *
 * @param declared  frames of reordering that the parameter sets declare, 0..16.
 * @param is_back   the picture's presentation time lies before those that came before it.
 */
void decode_order_learn(struct decode_order *order, int declared, bool is_back);

/** The steps back seen lately had another cause. */
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
