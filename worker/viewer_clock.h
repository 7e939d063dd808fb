/*
 * The time line of one viewer: frames' times on the stream's clock become FLV timestamps that
 * start near 0 and never go back.  Worker, loop thread; pure.
 *
 * Frames before the live edge (those cached when the viewer joined) are compressed in time, so
 * that a player decodes through them and is at the live edge at once; frames at and after it keep
 * their pace.  After frames were skipped the time line closes the gap: the next frame follows the
 * last one at a frame's distance.
 */
#ifndef WORKER_VIEWER_CLOCK_H
#define WORKER_VIEWER_CLOCK_H

#include "worker/frame.h"

/* Cached frames of a `live` join are this much closer together; never closer than 1 ms. */
#define VIEWER_CLOCK_COMPRESSION 32

/* flv.js and mpegts.js read timestamps as signed 32-bit: end the connection before they wrap. */
#define VIEWER_CLOCK_MAX_MS (INT32_MAX - 3600 * 1000)

struct viewer_clock {
    int64_t start_us;             /* stream time that is 0 for the viewer */
    int64_t edge_us;              /* stream time of the live edge */
    int64_t skipped_us;           /* sum of the gaps closed */
    int64_t last_ms[TRACK_COUNT]; /* timestamp given last, -1: none */
};

/**
 * @param start_us  dts of the first frame that will be sent.
 * @param edge_us   dts of the live edge; start_us for no compression.
 */
void viewer_clock_start(struct viewer_clock *clock, int64_t start_us, int64_t edge_us);

/**
 * Timestamps for a frame.
 *
 * @param ts_ms   decoding time, greater than that of the track's frame before.
 * @param cts_ms  composition offset, not negative.
 * @return false: leave this frame out: it lies before the start, or is audio before the live edge.
 */
bool viewer_clock_map(struct viewer_clock *clock, const struct frame *frame, uint32_t *ts_ms,
                      int32_t *cts_ms);

/** Frames were skipped, and this key frame is the next one: close the gap. */
void viewer_clock_skip_to(struct viewer_clock *clock, const struct frame *frame);

#endif /* WORKER_VIEWER_CLOCK_H */
