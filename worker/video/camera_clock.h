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
    int64_t received_us;
    bool paced;  /* two reports have shown the pace */
    double pace; /* wall time per stamp: about 1 */
};

/** Take a report: the wall clock showed wall_us at stamp_us. */
void camera_clock_report(struct camera_clock *clock, int64_t stamp_us, int64_t wall_us,
                         int64_t received_us);

/** @return the wall clock's time at a stamp.  Call it only if the clock is believed. */
int64_t camera_clock_wall(const struct camera_clock *clock, int64_t stamp_us);

/** @return the stamp at a wall clock time.  Call it only if the clock is believed. */
int64_t camera_clock_stamp(const struct camera_clock *clock, int64_t wall_us);

#endif /* WORKER_CAMERA_CLOCK_H */
