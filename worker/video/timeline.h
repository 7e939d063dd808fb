/*
 * The output clock: turns cameras' time stamps into decode and presentation times that every player
 * accepts.  Worker, source thread.  Pure: no libav, no clock of its own, no allocation.
 *
 * The rules are explained at the top of timeline.c.
 */
#ifndef WORKER_TIMELINE_H
#define WORKER_TIMELINE_H

#include "worker/video/timeline_track.h"

#include <stdbool.h>
#include <stdint.h>

/* What becomes of a packet on the output clock. */
struct timeline_out {
    int64_t dts_us; /* grows by at least 1 ms per track from call to call */
    int64_t pts_us; /* never before dts_us */
    bool jumped;    /* the source's clock jumped here, and the jump was taken out */
    bool history; /* came faster than real time: sound must be left out, pictures are 1 ms apart */
    double pace;  /* output time per duration: about 1 */
};

/* Plain: lives in its user by value.  Private to timeline.c except `jumps`. */
struct timeline {
    struct timeline_track tracks[TRACK_COUNT];
    bool started;

    int64_t newest_us;          /* newest output of any track, composition times left out */
    int64_t newest_received_us; /* its arrival */
    uint64_t jumps;             /* jumps taken out, for metrics */
};

/** Start anew; nothing is known. */
void timeline_init(struct timeline *timeline);

/**
 * The camera was connected again: forget its clock, continue ours.  The next packet comes right
 * after the newest output: later by the time that passed if that is at most half a second, else by
 * 100 ms.
 */
void timeline_reconnect(struct timeline *timeline);

/**
 * Take a sender report: the camera's wall clock showed wall_us at a track's source_us.  Any values
 * are allowed; none is trusted.
 */
void timeline_report(struct timeline *timeline, enum track track, int64_t source_us,
                     int64_t wall_us, int64_t received_us);

/**
 * Put one packet on the output clock.  A track's packets must come in decode order.
 *
 * @param in   any values are allowed; none is trusted.  Borrowed.
 * @param out  filled.  Borrowed.
 */
void timeline_map(struct timeline *timeline, const struct timeline_in *in,
                  struct timeline_out *out);

#endif /* WORKER_TIMELINE_H */
