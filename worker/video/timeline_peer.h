/*
 * Where the picture wants sound on the output clock: by sender reports, or by equal stamps.
 * Worker, source thread; pure.
 */
#ifndef WORKER_TIMELINE_PEER_H
#define WORKER_TIMELINE_PEER_H

#include "worker/video/timeline_track.h"

/** Do sender reports tell a track's wall clock at this arrival time? */
bool timeline_peer_is_known(const struct timeline_track *track, int64_t now_us);

/** Do they tell how far apart the two tracks' times are? */
bool timeline_peer_are_known(const struct timeline_track *a, const struct timeline_track *b,
                             int64_t now_us);

/**
 * Ask where the picture wants a packet of sound.
 *
 * @param video      the picture's track, which has a place on the output clock.
 * @param source_us  the packet's time stamp on the source's clock.
 * @param now_us     its arrival.
 */
struct timeline_steer_peer timeline_peer_ask(const struct timeline_track *audio,
                                             const struct timeline_track *video, int64_t source_us,
                                             int64_t now_us);

#endif /* WORKER_TIMELINE_PEER_H */
