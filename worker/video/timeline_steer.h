/*
 * Steers one track's time stamps to real time: maps them, without jumps, to output times that stay
 * where the packets' arrival says.  Worker, source thread.  Pure: no clock of its own.
 *
 * The map is a straight line: output = pace * stamp + constant.  While the camera's clock is right
 * the pace is exactly 1, which keeps the camera's spacing and leaves arrival jitter out.  The pace
 * changes in small steps, a few times a second, and only ahead of the newest stamp.
 *
 * The lower envelope of arrival minus stamp (arrival_line.h) tells where the output belongs.  Its
 * slope gives the pace; a remaining error of the output is corrected over some seconds.  The
 * reference is the lateness that the track had in its first second.
 *
 * Packets that come faster than real time (a server sends what it has cached) are history: each is
 * put where its arrival says, until the camera is live.
 */
#ifndef WORKER_TIMELINE_STEER_H
#define WORKER_TIMELINE_STEER_H

#include "worker/video/arrival_line.h"

/* Where the other track wants this one. */
struct timeline_steer_peer {
    int64_t wanted_us; /* how much later its output must be to keep step */
    double correction; /* the other track's own correction, which this one joins */
    int64_t off_us;    /* how much later the other track's output should be, by its arrival */
    bool certain;      /* wanted_us counts even against this track's arrival */
};

/* Plain: lives in its user by value.  Private to timeline_steer.c. */
struct timeline_steer {
    struct arrival_line line;
    bool settled; /* reference_us is final */
    bool correcting;
    int64_t begun_us;      /* arrival from which the reference is taken */
    int64_t start_late_us; /* arrival - output of the first packet */
    int64_t reference_us;  /* arrival - output as it should be for the earliest packets */
    int64_t anchor_us;     /* from this stamp on ... */
    int64_t anchor_out_us; /* ... the output goes on from here ... */
    double pace;           /* ... at this pace for CORRECTED_US, ... */
    double clock_pace;     /* ... and then at this one */
    double pace_before;    /* pace for stamps before the anchor */
    int64_t moved_us;      /* how much later corrections have made the output */
    int64_t off_us;        /* how much later the output should be, by arrival */
    int64_t control_us;    /* arrival at which the pace may change again */
    int64_t history_us;    /* arrival until which packets may be history */
    int64_t fast_since_us; /* arrival since which packets have come faster than real time */
    int64_t newest_us;     /* newest arrival */
    int64_t newest_stamp_us;
};

/** Begin: map stamp_us to out_us. */
void timeline_steer_start(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us,
                          int64_t received_us);

/**
 * Begin in the middle of a burst of history: as above, but take the reference, arrival minus
 * output, from another track.
 */
void timeline_steer_start_like(struct timeline_steer *steer, const struct timeline_steer *other,
                               int64_t stamp_us, int64_t out_us, int64_t received_us);

/** @return the output time of a stamp. */
int64_t timeline_steer_out(const struct timeline_steer *steer, int64_t stamp_us);

/** @return the stamp whose output time is out_us: the reverse of timeline_steer_out(). */
int64_t timeline_steer_stamp(const struct timeline_steer *steer, int64_t out_us);

/** @return how much later the output should be, by arrival alone. */
int64_t timeline_steer_off_us(const struct timeline_steer *steer);

/** @return output time per camera time, about 1. */
double timeline_steer_pace(const struct timeline_steer *steer);

/** @return the same without the current correction: the error of the camera's clock. */
double timeline_steer_clock(const struct timeline_steer *steer);

/** @return the current correction, in output time per output time: about 0. */
double timeline_steer_correction(const struct timeline_steer *steer);

/** Is the track's usual lateness known? */
bool timeline_steer_is_settled(const struct timeline_steer *steer);

/** Is the track in a burst of history? */
bool timeline_steer_is_bursting(const struct timeline_steer *steer);

/**
 * Take a packet into account.  Its output time is timeline_steer_out() from then on.
 *
 * @param peer  NULL if only the arrival counts.  Borrowed for the call.
 * @return true if the packet is history.
 */
bool timeline_steer_take(struct timeline_steer *steer, int64_t stamp_us, int64_t received_us,
                         const struct timeline_steer_peer *peer);

#endif /* WORKER_TIMELINE_STEER_H */
