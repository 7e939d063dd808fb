/*
 * Where a viewer begins: at which frame of the ring, and what its player gets so that it is at the
 * live edge at once and stays there.  Worker, loop thread; pure: no I/O, no clock.
 *
 * With join=live a viewer gets the cached pictures since the key frame, one per millisecond.  A
 * player starts once it has buffered some sound (0.3 s for Chromium's media source), and stays
 * behind by that much.  So the sound of the first 0.4 s is silence, sent at once, ahead of its
 * time; the camera's sound follows in its place.  That lets us choose how far behind the player is:
 * the delay of the camera's sound against its pictures, plus what the network and the player need.
 * After a GOP of more than some 300 pictures the silence is longer, up to 2 s: until the pictures
 * are back at their normal pace.
 *
 * A source may send its own cache in a burst when we connect.  timeline.h has already handled that:
 * the burst's pictures are a millisecond apart, and its sound is left out.
 */
#ifndef WORKER_VIEWER_START_H
#define WORKER_VIEWER_START_H

#include "common/ipc.h"
#include "worker/media/frame_ring.h"
#include "worker/viewers/viewer_clock.h"

/* How and when a viewer joins. */
struct viewer_join {
    enum ipc_join join;
    int64_t now_us;        /* clock_us() */
    int64_t sound_held_us; /* how long sound may wait for a picture before it is sent */
};

struct viewer_start {
    uint64_t cursor; /* number of the first frame */
    bool wait_key;   /* leave out frames until a key frame */
    struct viewer_clock clock;
    int64_t silent_from_us; /* viewer's time of the first silent frame */
    int silent_frames;
};

/**
 * @param ring   holds a video frame.  Borrowed for the call.
 * @param join   Borrowed for the call.
 * @param audio  configuration of the viewer's sound; NULL: no sound.  Borrowed for the call.
 */
struct viewer_start viewer_start_find(const struct frame_ring *ring, const struct viewer_join *join,
                                      const struct codec_config *audio);

#endif /* WORKER_VIEWER_START_H */
