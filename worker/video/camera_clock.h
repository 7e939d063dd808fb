/*
 * What a camera's sender reports (RFC 3550 section 6.4.1) say of one track: which time its wall
 * clock showed at a time stamp.  Worker, source thread.  Pure.
 */
#ifndef WORKER_CAMERA_CLOCK_H
#define WORKER_CAMERA_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Plain: lives in its user by value; all zero is a clock without reports. */
struct camera_clock {
    bool reported;
    bool believed; /* its wall clock passes as ours does */
    int64_t stamp_us;
    int64_t wall_us;
    int64_t received_us;
    bool paced;  /* two reports have told the pace */
    double pace; /* wall time per stamp: about 1 */
};

/** A report came: the wall clock showed wall_us at stamp_us. */
void camera_clock_report(struct camera_clock *clock, int64_t stamp_us, int64_t wall_us,
                         int64_t received_us);

/** @return the wall clock's time at a stamp.  Only if it is believed. */
int64_t camera_clock_wall(const struct camera_clock *clock, int64_t stamp_us);

/** @return the stamp at a time of the wall clock.  Only if it is believed. */
int64_t camera_clock_stamp(const struct camera_clock *clock, int64_t wall_us);

#endif /* WORKER_CAMERA_CLOCK_H */
