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

/** Is it the step that the other track has made a short while ago? */
bool timeline_step_is_peers(const struct timeline_track *track, int64_t now_us, int64_t shift_us);

#endif /* WORKER_TIMELINE_STEP_H */
