/*
 * Frames that come in another order than they are shown in: which stamps may be compared with the
 * arrival.  Worker, source thread; pure.  Only timeline.c uses it.
 *
 * A frame that comes before its turn is not early for that, so the picture is steered by decode
 * times.  RTP has none: timeline.c makes them up out of the output's order, and this does the same
 * with stamps.  But many cameras declare an order that they never use, and send frames at another
 * rate than is known.  So until a stamp steps back, stamps themselves count.
 */
#ifndef WORKER_TIMELINE_ORDER_H
#define WORKER_TIMELINE_ORDER_H

#include "worker/video/timeline_track.h"

#define TIMELINE_DURATION_GUESS_US 40000

/** @return a frame's duration, guessed if it is not known. */
int64_t timeline_order_nominal(const struct timeline_in *packet);

/**
 * Forget the order of the stamps before a packet, which come before a pause.
 *
 * @return what timeline_order_decode() will make of its stamp.
 */
int64_t timeline_order_first(struct timeline_track *track, const struct timeline_in *packet,
                             int64_t stamp_us);

/**
 * Take a packet's stamp into account.
 *
 * @param stamp_us  offset included.
 * @return its decode time, in stamps.
 */
int64_t timeline_order_decode(struct timeline_track *track, const struct timeline_in *packet,
                              int64_t stamp_us);

/**
 * May this be a frame that later frames precede in display order?  Then its stamp and its arrival
 * do not belong together.  Asked until the track is settled, and always for streams that reorder
 * without saying so, or that say so but have not done it yet.
 *
 * @param decode_us  what timeline_order_decode() returned.
 */
bool timeline_order_is_ahead(struct timeline_track *track, const struct timeline_in *packet,
                             int64_t decode_us);

#endif /* WORKER_TIMELINE_ORDER_H */
