/*
 * Where a viewer begins: at which frame of the ring, and what its player gets so that it is at the
 * live edge at once and stays there.  Worker, loop thread; pure: no I/O, no clock.
 *
 * join=live: the cached pictures since the key frame, one a millisecond.  A player begins to play
 * when it has some sound in hand (Chromium's media source 0.3 s) and shows from then on what it has
 * that much later.  So the sound of the first 0.4 s is silence, which is sent at once, ahead of its
 * time; the camera's sound follows in its place.  How far the player is behind then is up to us:
 * as far as the camera's sound comes later than its pictures, and what the way and the player need.
 * After a GOP of more than some 300 pictures the silence is longer, up to 2 s: until the pictures
 * are back at their pace.
 *
 * A source that sends its own cache in a burst when we connect has been seen through before
 * (timeline.h): its pictures follow each other by a millisecond, and its sound is left out.
 */
#ifndef WORKER_VIEWER_START_H
#define WORKER_VIEWER_START_H

#include "common/ipc.h"
#include "worker/media/frame_ring.h"
#include "worker/viewers/viewer_clock.h"

/* A viewer that comes, and when. */
struct viewer_join {
    enum ipc_join join;
    int64_t now_us;        /* clock_us() */
    int64_t sound_held_us; /* for which sound waits for a picture before it is sent */
};

struct viewer_start {
    uint64_t cursor; /* first frame, if it is a key frame; else the next one is waited for */
    bool wait_key;
    struct viewer_clock clock;
    int64_t silent_from_us; /* viewer's time of the first silent frame */
    int silent_frames;
};

/**
 * @param ring   holds a video frame.  Borrowed for the call.
 * @param join   Borrowed for the call.
 * @param audio  configuration of the sound that the viewer gets, or NULL.  Borrowed for the call.
 */
struct viewer_start viewer_start_find(const struct frame_ring *ring, const struct viewer_join *join,
                                      const struct codec_config *audio);

#endif /* WORKER_VIEWER_START_H */
