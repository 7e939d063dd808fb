/*
 * How late a camera's packets are, and how that changes: the lower envelope of arrival minus time
 * stamp, as a straight line over the last seconds.  Worker, source thread.  Pure.
 *
 * A packet can be held up by any time, but it cannot come before it was sent.  So the earliest
 * packets tell the clocks apart from the network: a line that no packet lies below rises if the
 * camera's clock is slow and falls if it is fast, whatever stalls and bursts lie above it.
 */
#ifndef WORKER_ARRIVAL_LINE_H
#define WORKER_ARRIVAL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define ARRIVAL_LINE_POINTS 160
#define ARRIVAL_LINE_SLOT_US 50000 /* of the packets of one slot, the earliest counts */

struct arrival_point {
    int64_t at_us;   /* arrival */
    int64_t late_us; /* arrival - time stamp */
};

/* Plain: lives in its user by value.  The newest slots in which packets came, oldest first. */
struct arrival_line {
    struct arrival_point points[ARRIVAL_LINE_POINTS];
    int count;
};

struct arrival_fit {
    int64_t late_us;   /* where the line is at the newest arrival */
    double slope;      /* of the line: lateness gained per time */
    int64_t span_us;   /* from the oldest arrival to the newest */
    int64_t height_us; /* how far the points lie above the line on average */
    int64_t bent_us;   /* how far the envelope's ends are above its middle */
    bool is_clock;     /* the slope is too steep and too straight to be the network's doing */
};

void arrival_line_init(struct arrival_line *line);

/** Take a packet.  Arrivals never go back. */
void arrival_line_add(struct arrival_line *line, int64_t stamp_us, int64_t received_us);

/** @return the lateness of the earliest packet of the last seconds.  Only after a packet. */
int64_t arrival_line_level(const struct arrival_line *line);

/**
 * The line of all points.  Points from before the clock changed its pace are forgotten: when the
 * newest ones leave the line at an angle, and straight.
 *
 * @return false while there are too few points.
 */
bool arrival_line_fit(struct arrival_line *line, struct arrival_fit *fit);

#endif /* WORKER_ARRIVAL_LINE_H */
