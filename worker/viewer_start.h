/*
 * Where a viewer begins: at which frame of the ring, and what its player gets so that it is at the
 * live edge at once and stays there.  Worker, loop thread; pure: no I/O, no clock.
 *
 * join=live: the cached pictures since the key frame, one a millisecond.  A player begins to play
 * when it has some sound in hand (Chromium's media source 0.3 s) and shows from then on what it has
 * that much later.  So the sound of the first 0.4 s is silence, which is sent at once, ahead of its
 * time; the camera's sound follows in its place.  How far the player is behind then is up to us:
 * as far as the camera's sound comes later than its pictures, and what the way and the player need.
 */
#ifndef WORKER_VIEWER_START_H
#define WORKER_VIEWER_START_H

#include "common/ipc.h"
#include "worker/frame_ring.h"
#include "worker/viewer_clock.h"

struct viewer_start {
    uint64_t cursor; /* first frame, if it is a key frame; else the next one is waited for */
    bool wait_key;
    struct viewer_clock clock;
    int64_t silent_from_us; /* viewer's time of the silence, no longer than one frame of it after */
    int64_t silent_to_us;   /* 0; equal: no silence */
};

/**
 * @param ring    holds a video frame.  Borrowed for the call.
 * @param audio   configuration of the sound that the viewer gets, or NULL.  Borrowed for the call.
 * @param now_us  clock_us().
 */
struct viewer_start viewer_start_find(const struct frame_ring *ring, enum ipc_join join,
                                      const struct codec_config *audio, int64_t now_us);

#endif /* WORKER_VIEWER_START_H */
