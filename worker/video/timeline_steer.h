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
 * reference is the lateness that the track had in its first second.  While packets are late for a
 * while, the line is not straight: then a clock that was confirmed for seconds keeps its slope, or
 * sender reports tell it.
 *
 * Packets that come faster than real time (a server sends what it has cached) are history: each is
 * put where its arrival says, until the camera is live.
 */
#ifndef WORKER_TIMELINE_STEER_H
#define WORKER_TIMELINE_STEER_H

#include "worker/video/arrival_line.h"
#include "worker/video/track_lateness.h"

/* Where the other track wants this one. */
struct timeline_steer_peer {
    int64_t wanted_us; /* how much later its output must be to keep step */
    double correction; /* the other track's own correction, which this one joins */
    int64_t off_us;    /* how much later the other track's output should be, by its arrival */
    bool asked;        /* wanted_us counts, while it agrees with this track's arrival */
    double clock_pace; /* which keeps step with the other track; 0: not known */
    bool certain;      /* wanted_us counts even against this track's arrival, */
    bool proven;       /* ... and will not turn out to be wrong */
};

/* Plain: lives in its user by value.  Private to timeline_steer.c. */
struct timeline_steer {
    struct arrival_line line;
    bool settled; /* reference_us is final */
    bool correcting;
    int64_t begun_us;         /* arrival from which the reference is taken */
    int64_t start_late_us;    /* arrival - output of the first packet */
    int64_t reference_us;     /* arrival - output as it should be for the earliest packets */
    int64_t own_reference_us; /* the same before a peer on trial changed it */
    bool on_trial;            /* reference_us follows such a peer */
    int64_t anchor_us;        /* from this stamp on ... */
    int64_t anchor_out_us;    /* ... the output goes on from here ... */
    double pace;              /* ... at this pace for CORRECTED_US, ... */
    double clock_pace;        /* ... and then at this one */
    double report_pace;       /* as in timeline_steer_set() */
    bool report_counts;       /* likewise */
    int64_t reported_us;      /* likewise */
    bool denied;              /* the arrival tells another pace, and no report has insisted */
    int64_t denied_since_us;  /* since when the arrival does; INT64_MAX: it has not for seconds */
    int64_t denied_at_us;     /* the last time that it did */
    double denied_pace;       /* report_pace when it began */
    double off_pace;          /* of the arrival, from report_pace, or from 1 without reports */
    double other_off_pace;    /* off_pace of the other track */
    int64_t other_late_us;    /* timeline_steer_late_us() of the other track */
    double pace_before;       /* pace for stamps before the anchor */
    int64_t moved_us;         /* how much later corrections have made the output */
    int64_t off_us;           /* how much later the output should be, by arrival */
    double slope;             /* of the line, as the last good fit has it */
    int64_t slope_since_us;   /* arrival since which it has been about the same */
    int64_t slope_at_us;      /* arrival at which that was */
    struct track_lateness lateness;
    int64_t arrival_us;    /* when the anchor should arrive, by the earliest packets */
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

/** Begin anew.  @param keep  the output goes back to the distance from its arrival that it had. */
void timeline_steer_restart(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us,
                            int64_t received_us, bool keep);

/**
 * Say what the next packets are steered with.
 *
 * @param report_pace    of the camera's clock, output time per stamp, by sender reports; 0: not
 *                       known.
 * @param counts         it is used, unless the arrival has told another one for seconds, or one
 *                       that is far from it.
 * @param reported_us    arrival of the newest report.
 * @param other          steers the other track.
 */
void timeline_steer_set(struct timeline_steer *steer, double report_pace, bool counts,
                        int64_t reported_us, const struct timeline_steer *other);

/** Does the arrival tell that the clock's pace has changed since the sender reports? */
bool timeline_steer_denies_reports(const struct timeline_steer *steer);

/** Take the reference of another track, if this track's is far from it. */
void timeline_steer_align(struct timeline_steer *steer, const struct timeline_steer *other);

/** The same without a jump: the output goes there over seconds. */
void timeline_steer_align_slowly(struct timeline_steer *steer, const struct timeline_steer *other);

/** @return arrival minus output as it should be for the earliest packets. */
int64_t timeline_steer_reference_us(const struct timeline_steer *steer);

/** What a peer that was certain but not proven has said is wrong. */
void timeline_steer_distrust(struct timeline_steer *steer);

/** The track's stamps were set: from stamp_us on, the output goes on from out_us. */
void timeline_steer_go_on(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us);

/** The track's stamps were set: the next one may be any distance from its arrival. */
void timeline_steer_stamps_set(struct timeline_steer *steer);

/** @return the output time of a stamp. */
int64_t timeline_steer_out(const struct timeline_steer *steer, int64_t stamp_us);

/** @return the stamp whose output time is out_us: the reverse of timeline_steer_out(). */
int64_t timeline_steer_stamp(const struct timeline_steer *steer, int64_t out_us);

/**
 * @return how late the earliest packets of the last seconds are, beside the reference, with a clock
 *         of that slope.  It tells two tracks apart: their stamps count from anywhere.
 */
int64_t timeline_steer_lateness_us(const struct timeline_steer *steer, double slope);

/** @return by how much a packet is later than the one before, per time, by the clock's error. */
double timeline_steer_slope(const struct timeline_steer *steer);

/** @return how much later the output should be, by arrival alone. */
int64_t timeline_steer_off_us(const struct timeline_steer *steer);

/** @return by how much a packet comes before the earliest ones of the last seconds. */
int64_t timeline_steer_early_us(const struct timeline_steer *steer, int64_t stamp_us,
                                int64_t received_us);

/** @return by how much the track's packets have become late at once, a short while ago. */
int64_t timeline_steer_late_us(const struct timeline_steer *steer);

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
 * @param decode_us  its decode time in stamps: the stamp itself, unless frames come in another
 *                   order than they are shown.  It is compared with the arrival.
 * @param peer       NULL if there is no other track to keep step with.  Borrowed for the call.
 * @return true if the packet is history.
 */
bool timeline_steer_take(struct timeline_steer *steer, int64_t stamp_us, int64_t decode_us,
                         int64_t received_us, const struct timeline_steer_peer *peer);

#endif /* WORKER_TIMELINE_STEER_H */
