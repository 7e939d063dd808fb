/*
 * Measures how late a camera's packets are, and how that changes: fits a straight line to the lower
 * envelope of arrival minus time stamp over the last seconds.  Worker, source thread.  Pure.
 *
 * A packet can be delayed by any time, but it cannot arrive before it was sent.  So the earliest
 * packets separate the clock's error from the network's: the line below all packets rises if the
 * camera's clock is slow and falls if it is fast, whatever stalls and bursts lie above it.
 */
#ifndef WORKER_ARRIVAL_LINE_H
#define WORKER_ARRIVAL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define ARRIVAL_LINE_POINTS 160
#define ARRIVAL_LINE_SLOT_US 50000 /* only the earliest packet of a slot counts */

struct arrival_point {
    int64_t at_us;   /* arrival */
    int64_t late_us; /* arrival - time stamp */
};

/* Plain: lives in its user by value.  Holds the newest slots that had packets, oldest first. */
struct arrival_line {
    struct arrival_point points[ARRIVAL_LINE_POINTS];
    int count;
    int64_t newest_us; /* arrival of the newest packet, which may be no point */
};

struct arrival_fit {
    int64_t late_us;   /* the line's value at the newest arrival */
    double slope;      /* lateness gained per time */
    int64_t span_us;   /* from the oldest arrival to the newest */
    int64_t height_us; /* how far the points lie above the line on average */
    int64_t bent_us;   /* how far the envelope's ends are above its middle */
    bool split;        /* a gap takes up most of the span: it tells a stall's length, not a slope */
    bool is_clock;     /* the line is too steep and too straight for the network to be the cause */
};

void arrival_line_init(struct arrival_line *line);

/** Take a packet.  Arrivals never decrease. */
void arrival_line_add(struct arrival_line *line, int64_t stamp_us, int64_t received_us);

/**
 * @param slope  of the line, by an earlier fit; 0 if the clock is right.
 * @return the lateness that a packet as early as the earliest one of the last seconds would have
 *         now.  Call it only after a packet.
 */
int64_t arrival_line_level(const struct arrival_line *line, double slope);

/** Is a fit too far from another slope, and too straight, for the network to be the cause? */
bool arrival_fit_leaves(const struct arrival_fit *fit, double slope);

/**
 * Fit the line to all points.  When the newest points leave the line at an angle, and straight, the
 * clock has changed its pace: the points before that are forgotten.
 *
 * @return false while there are too few points.
 */
bool arrival_line_fit(struct arrival_line *line, struct arrival_fit *fit);

#endif /* WORKER_ARRIVAL_LINE_H */
