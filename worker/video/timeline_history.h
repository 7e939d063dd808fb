/*
 * History of one track beside the other one, which is live: the track that was put beside it is put
 * right once that is known.  Worker, source thread; pure.
 */
#ifndef WORKER_TIMELINE_HISTORY_H
#define WORKER_TIMELINE_HISTORY_H

#include "worker/video/timeline_track.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Put the track that came second as near to its arrival as the first, if it was put beside history.
 *
 * @param track      of the packet that timeline_steer_take() has just taken.
 * @param source_us  its time stamp on the source's clock.
 * @param now_us     its arrival.
 * @param history    what timeline_steer_take() said of it.
 */
void timeline_history_align(struct timeline_track *track, struct timeline_track *other,
                            int64_t source_us, int64_t now_us, bool history);

#endif /* WORKER_TIMELINE_HISTORY_H */
