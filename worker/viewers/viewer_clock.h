/*
 * The time line of one viewer: frames' times on the stream's clock become FLV timestamps that
 * start near 0 and never go back.  Worker, loop thread; pure.
 *
 * A viewer may start at the live edge: the pictures before it (those cached when the viewer joined)
 * are compressed in time, one a millisecond, so that a player decodes through them at once.  From
 * the edge on time has its normal pace, a given lead after the viewer's beginning.  If more
 * pictures are cached than the lead has milliseconds, those after the edge come at four times their
 * pace until they are where they belong.  Sound is never compressed.
 *
 *     viewer's time of pictures
 *          |                   /                  |                 /
 *          |                  /                   |                /
 *          |            ___.-'                    |          edge +  lead
 *   cached |       edge+                          |               :
 *     lead |        . |                   cached  |          .----+
 *          |    .     |                           |     .  '
 *          +----------+--------- stream's time    +--------------+--------- stream's time
 *          key frame                              key frame
 *
 * After frames were skipped, and where the parameter sets change, the time line has no gap.
 */
#ifndef WORKER_VIEWER_CLOCK_H
#define WORKER_VIEWER_CLOCK_H

#include "worker/media/frame.h"

#define VIEWER_CLOCK_STEP_US 1000 /* FLV counts in milliseconds: the least that players take */

/* flv.js and mpegts.js read timestamps as signed 32-bit: end the connection before they wrap. */
#define VIEWER_CLOCK_MAX_MS (INT32_MAX - 3600 * 1000)

struct viewer_clock {
    int64_t start_us;             /* stream time that is 0 for the viewer */
    int64_t edge_us;              /* stream time of the live edge */
    int64_t cached_us;            /* the viewer's time of the picture at the edge */
    int64_t lead_us;              /* the viewer's time of the edge at normal pace */
    int64_t level_us;             /* stream time from which pictures have their normal pace */
    int64_t skipped_us;           /* sum of the gaps closed */
    bool was_late;                /* the first picture of normal pace has come */
    int64_t last_ms[TRACK_COUNT]; /* timestamp given last, -1: none */
};

/** Start at a frame, at normal pace.  @param start_us  its dts. */
void viewer_clock_start(struct viewer_clock *clock, int64_t start_us);

/**
 * Start at the live edge.
 *
 * @param start_us  dts of the first picture that will be sent.
 * @param edge_us   dts of the newest one, not before start_us.
 * @param cached    pictures from the start to the edge, without the one at the edge.
 * @param lead_us   the viewer's time of the edge; negative: it is as much behind already.
 */
void viewer_clock_start_live(struct viewer_clock *clock, int64_t start_us, int64_t edge_us,
                             uint64_t cached, int64_t lead_us);

/** @return the viewer's time from which pictures have their normal pace. */
int64_t viewer_clock_level_us(const struct viewer_clock *clock);

/** Leave out sound before a viewer's time, which has its place taken. */
void viewer_clock_sound_from(struct viewer_clock *clock, int64_t from_us);

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
