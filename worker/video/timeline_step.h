/*
 * Steps of a track's time stamps that are smaller than a jump: the camera set its stamps back or
 * forth, while its packets come as before.  Worker, source thread; pure.
 */
#ifndef WORKER_TIMELINE_STEP_H
#define WORKER_TIMELINE_STEP_H

#include "worker/video/timeline_track.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Were the stamps set back or forth for good?
 *
 * Steps back are followed until that is known: after some packets or, where frames may be
 * reordered, when the stamps are back where they were.  A step forth is known at once: its packet
 * would have come before it was sent.
 *
 * @param p         a packet with a usable stamp.
 * @param stamp_us  its stamp, offset included.
 * @param shift_us  set on true: what to add to the offset.
 */
bool timeline_step_take(struct timeline_track *track, const struct timeline_in *p, int64_t stamp_us,
                        int64_t *shift_us);

/**
 * Note what a sender report will say, before camera_clock_report() takes it.  One that comes in
 * time tells when the camera has lost media and has not let its stamps tell: they stand back by as
 * much as the wall clock has gone on.
 */
void timeline_step_note_report(struct timeline_track *track, int64_t source_us, int64_t wall_us,
                               int64_t received_us);

/**
 * Has the track lost media, as a report has told and its packets confirm?
 *
 * @param other     the other track: if it has lost as much, the two stay in step.
 * @param p         as above.
 * @param shift_us  set on true: what to add to the offset; 0 if the other track has lost as much.
 */
bool timeline_step_is_lost(struct timeline_track *track, struct timeline_track *other,
                           const struct timeline_in *p, int64_t stamp_us, int64_t *shift_us);

/** Is it the step that the other track has made a short while ago? */
bool timeline_step_is_peers(const struct timeline_track *track, int64_t now_us, int64_t shift_us);

#endif /* WORKER_TIMELINE_STEP_H */
