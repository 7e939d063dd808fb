/*
 * Converts between one track's time stamps and the camera's wall clock, by its sender reports
 * (RFC 3550 section 6.4.1).  Worker, source thread.  Pure.
 */
#ifndef WORKER_CAMERA_CLOCK_H
#define WORKER_CAMERA_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Plain: lives in its user by value; zeroed, it has no reports. */
struct camera_clock {
    bool reported;
    bool believed; /* the wall clock advances as ours does */
    int64_t stamp_us;
    int64_t wall_us;
    int64_t received_us;      /* of the newest report, */
    int64_t punctual_wall_us; /* ... of the newest that was not late, */
    int64_t punctual_received_us;
    double pace_before; /* between the two reports before the newest one; 0: not known */
    bool paced;         /* two reports have shown the pace */
    bool steady;        /* the newest two pairs of reports agree about it */
    double pace;        /* wall time per stamp: about 1 */
    bool seconds;       /* all reports were of whole seconds, */
    bool tenths;        /* ... or of tenths, */
    bool rough;         /* ... and the stamps have shown that these are no more exact */
};

/**
 * Take a report: the wall clock showed wall_us at stamp_us.
 *
 * @return false if the wall clock did not advance as ours did: it was set, or is no clock.
 */
bool camera_clock_report(struct camera_clock *clock, int64_t stamp_us, int64_t wall_us,
                         int64_t received_us);

/** Have reports shown that the wall clock counts in units longer than the arrival's jitter? */
bool camera_clock_is_coarse(const struct camera_clock *clock);

/** The same, or were all of whole seconds?  That may be chance, unless the other track's were. */
bool camera_clock_may_be_coarse(const struct camera_clock *clock);

/** The track's stamps were set by by_us: those of earlier reports count from there, too. */
void camera_clock_move(struct camera_clock *clock, int64_t by_us);

/** @return the wall clock's time at a stamp.  Call it only if the clock is believed. */
int64_t camera_clock_wall(const struct camera_clock *clock, int64_t stamp_us);

/** @return the stamp at a wall clock time.  Call it only if the clock is believed. */
int64_t camera_clock_stamp(const struct camera_clock *clock, int64_t wall_us);

#endif /* WORKER_CAMERA_CLOCK_H */
