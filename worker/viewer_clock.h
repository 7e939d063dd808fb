/*
 * The time line of one viewer: frames' times on the stream's clock become FLV timestamps that
 * start near 0 and never go back.  Worker, loop thread; pure.
 *
 * Pictures before the live edge (those cached when the viewer joined) are compressed in time, one
 * a millisecond, so that a player decodes through them and is at the live edge at once; those at
 * and after it keep their pace.  Sound is never compressed: what was heard in the last moments
 * before the edge goes along with the compressed pictures, because players that find no sound at
 * the beginning wait for it (Chromium's media source for a second or two, at the key frame).
 * After frames were skipped, and where the parameter sets change, the time line has no gap.
 */
#ifndef WORKER_VIEWER_CLOCK_H
#define WORKER_VIEWER_CLOCK_H

#include "worker/frame.h"

/* flv.js and mpegts.js read timestamps as signed 32-bit: end the connection before they wrap. */
#define VIEWER_CLOCK_MAX_MS (INT32_MAX - 3600 * 1000)

struct viewer_clock {
    int64_t start_us;             /* stream time that is 0 for the viewer */
    int64_t edge_us;              /* stream time of the live edge */
    int64_t lead_us;              /* the viewer's time for what is before the edge */
    int64_t skipped_us;           /* sum of the gaps closed */
    bool was_late;                /* the first picture after the edge has come */
    int64_t last_ms[TRACK_COUNT]; /* timestamp given last, -1: none */
};

/**
 * @param start_us  dts of the first frame that will be sent.
 * @param edge_us   dts of the live edge; start_us for no compression.
 * @param cached    pictures from the start to the edge, without the one at the edge.
 */
void viewer_clock_start(struct viewer_clock *clock, int64_t start_us, int64_t edge_us,
                        uint64_t cached);

/**
 * Timestamps for a frame.
 *
 * @param ts_ms   decoding time, greater than that of the track's frame before.
 * @param cts_ms  composition offset, not negative.
 * @return false: leave this frame out: it lies before the viewer's beginning.
 */
bool viewer_clock_map(struct viewer_clock *clock, const struct frame *frame, uint32_t *ts_ms,
                      int32_t *cts_ms);

/** Frames were skipped, or the parameter sets changed, and this key frame is next: close the gap.
 */
void viewer_clock_skip_to(struct viewer_clock *clock, const struct frame *frame);

#endif /* WORKER_VIEWER_CLOCK_H */
