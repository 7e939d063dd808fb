/*
 * The time line of one viewer: turns times on the stream's clock into FLV timestamps that start
 * near 0 and never go back.  Worker, loop thread; pure.
 *
 * A viewer may start at the live edge: the pictures before it (those cached when the viewer joined)
 * are compressed in time, one per millisecond, so that a player decodes them at once.  From the
 * edge on, which comes a given lead after the viewer's start, time runs at normal pace.  If more
 * pictures are cached than the lead has milliseconds, those after the edge come at four times their
 * pace until they have caught up.  Sound is never compressed.
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
 * Skipped frames and changes of the parameter sets leave no gap in the time line.
 */
#ifndef WORKER_VIEWER_CLOCK_H
#define WORKER_VIEWER_CLOCK_H

#include "worker/media/frame.h"

#define VIEWER_CLOCK_STEP_US 1000 /* the unit of FLV: the smallest step that players accept */

/* flv.js and mpegts.js read timestamps as signed 32-bit: end the connection before they wrap. */
#define VIEWER_CLOCK_MAX_MS (INT32_MAX - 3600 * 1000)

struct viewer_clock {
    int64_t start_us;             /* stream time of the viewer's 0 */
    int64_t edge_us;              /* stream time of the live edge */
    int64_t cached_us;            /* the viewer's time of the picture at the edge */
    int64_t lead_us;              /* the viewer's time of the edge at normal pace */
    int64_t level_us;             /* stream time from which pictures run at normal pace */
    int64_t skipped_us;           /* sum of the gaps closed */
    bool was_late;                /* the first picture at normal pace has come */
    int64_t last_ms[TRACK_COUNT]; /* timestamp given last, -1: none */
};

/** Start at a frame, at normal pace.  @param start_us  its dts. */
void viewer_clock_start(struct viewer_clock *clock, int64_t start_us);

/**
 * Start at the live edge.
 *
 * @param start_us  dts of the first picture that will be sent.
 * @param edge_us   dts of the newest picture, not before start_us.
 * @param cached    pictures from the start to the edge, without the one at the edge.
 * @param lead_us   the viewer's time of the edge; negative: the edge is overdue by that much.
 */
void viewer_clock_start_live(struct viewer_clock *clock, int64_t start_us, int64_t edge_us,
                             uint64_t cached, int64_t lead_us);

/**
 * Go on where another clock ended: what was at 0 comes right after its last picture.
 *
 * @param clock    just started.
 * @param last_ms  the other clock's, for each track.
 */
void viewer_clock_resume(struct viewer_clock *clock, const int64_t last_ms[TRACK_COUNT]);

/** @return the viewer's time from which pictures run at normal pace. */
int64_t viewer_clock_level_us(const struct viewer_clock *clock);

/** Leave out sound before from_us (viewer's time): silence takes its place. */
void viewer_clock_sound_from(struct viewer_clock *clock, int64_t from_us);

/**
 * Compute a frame's timestamps.
 *
 * @param ts_ms   decoding time, greater than that of the track's previous frame.
 * @param cts_ms  composition offset, not negative.
 * @return false: leave the frame out: it lies before the viewer's start, or before a closed gap.
 */
bool viewer_clock_map(struct viewer_clock *clock, const struct frame *frame, uint32_t *ts_ms,
                      int32_t *cts_ms);

/** Close the gap before this key frame: frames were skipped, or the parameter sets changed. */
void viewer_clock_skip_to(struct viewer_clock *clock, const struct frame *frame);

#endif /* WORKER_VIEWER_CLOCK_H */
