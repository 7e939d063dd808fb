#include "worker/video/arrival_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MIN 6
#define TAIL_POINTS 12      /* fewest points that show a new pace */
#define LEVEL_US 3000000    /* the level's span, without ... */
#define LEVEL_GAP_US 250000 /* ... what gaps are longer than this */
#define SPAN_MIN_US 350000
#define CLOCK_MIN_US 80000 /* least gain over a short span that shows a wrong clock, if steady */
#define CLOCK_MIN_LONG_US 25000 /* the same over a long span */
#define LONG_SPAN_US 3000000
#define STRAIGHT 8         /* a gain counts if it is at least this many times the mean height */
#define BENT 2             /* ... and this many times the envelope's bend */
#define LATE_MAX 2e18      /* us: keeps sums in range */
#define LEAVES_AT_US 60000 /* points that leave the line begin at most this far from it */

void arrival_line_init(struct arrival_line *line)
{
    line->count = 0;
}

static void forget(struct arrival_line *line, int points)
{
    line->count -= points;
    memmove(line->points, line->points + points, (size_t)line->count * sizeof(line->points[0]));
}

void arrival_line_add(struct arrival_line *line, int64_t stamp_us, int64_t received_us)
{
    struct arrival_point p = {received_us, received_us - stamp_us};
    line->newest_us = received_us;
    if (line->count > 0) {
        struct arrival_point *last = &line->points[line->count - 1];
        if (last->at_us / ARRIVAL_LINE_SLOT_US == received_us / ARRIVAL_LINE_SLOT_US) {
            if (p.late_us <= last->late_us)
                *last = p;
            return;
        }
    }
    if (line->count == ARRIVAL_LINE_POINTS)
        forget(line, 1);
    line->points[line->count++] = p;
}

static double slope_between(const struct arrival_point *a, const struct arrival_point *b)
{
    int64_t passed_us = b->at_us - a->at_us;
    return passed_us > 0 ? (double)(b->late_us - a->late_us) / (double)passed_us : 0;
}

static double line_at(const struct arrival_point *on, double slope, int64_t at_us)
{
    return (double)on->late_us + slope * (double)(at_us - on->at_us);
}

/* Lower convex hull (Andrew's monotone chain).  @return the number of its corners. */
static int find_hull(const struct arrival_point *points, int count, int *hull)
{
    int n = 0;
    for (int i = 0; i < count; i++) {
        while (n >= 2 && slope_between(&points[hull[n - 2]], &points[hull[n - 1]]) >=
                             slope_between(&points[hull[n - 1]], &points[i]))
            n--;
        hull[n++] = i;
    }
    return n;
}

/* The envelope at a time within its span. */
static double hull_at(const struct arrival_point *points, const int *hull, int corners,
                      int64_t at_us)
{
    int i = 0;
    while (i + 2 < corners && points[hull[i + 1]].at_us <= at_us)
        i++;
    const struct arrival_point *from = &points[hull[i]];
    return line_at(from, slope_between(from, &points[hull[i + 1]]), at_us);
}

bool arrival_fit_leaves(const struct arrival_fit *fit, double slope)
{
    int64_t gained_us = llabs((int64_t)((fit->slope - slope) * (double)fit->span_us));
    int64_t least_us = fit->span_us < LONG_SPAN_US ? CLOCK_MIN_US : CLOCK_MIN_LONG_US;
    return !fit->split && gained_us >= least_us && gained_us >= STRAIGHT * fit->height_us &&
           gained_us >= BENT * fit->bent_us;
}

/* Points on both sides of a stall tell its length, not the clock's error. */
static bool is_mostly_gap(const struct arrival_point *points, int count, int64_t span_us)
{
    for (int i = 1; i < count; i++)
        if (points[i].at_us - points[i - 1].at_us > span_us / 2)
            return true;
    return false;
}

/* The line meets the envelope at a quarter and at three quarters of its span, so that the ends
 * count for little. */
static bool fit_points(const struct arrival_point *points, int count, struct arrival_fit *fit)
{
    int hull[ARRIVAL_LINE_POINTS];
    if (count < POINTS_MIN || points[count - 1].at_us - points[0].at_us < SPAN_MIN_US)
        return false;
    int64_t from_us = points[0].at_us, to_us = points[count - 1].at_us, span_us = to_us - from_us;
    int corners = find_hull(points, count, hull);
    int64_t quarter_us = span_us / 4;
    double quarter = hull_at(points, hull, corners, from_us + quarter_us);
    double middle = hull_at(points, hull, corners, from_us + span_us / 2);
    double three = hull_at(points, hull, corners, to_us - quarter_us);
    fit->slope = (three - quarter) / (double)(span_us - 2 * quarter_us);
    fit->late_us = (int64_t)(three + fit->slope * (double)quarter_us);
    fit->span_us = span_us;
    double bent = (double)points[0].late_us + (double)points[count - 1].late_us - 2 * middle;
    fit->bent_us = llabs((int64_t)bent);
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)points[i].late_us - (double)fit->late_us +
               fit->slope * (double)(to_us - points[i].at_us);
    fit->height_us = llabs((int64_t)(sum / count));
    fit->split = is_mostly_gap(points, count, span_us);
    fit->is_clock = arrival_fit_leaves(fit, 0);
    return true;
}

/* Do the newest points begin on the older points' line and leave it in a straight line? */
static bool leaves(const struct arrival_line *line, int points)
{
    struct arrival_fit tail, before;
    int older = line->count - points;
    if (older <= 0 || !fit_points(line->points + older, points, &tail) ||
        !fit_points(line->points, older, &before) || tail.split)
        return false;
    int64_t passed_us = line->points[line->count - 1].at_us - line->points[older - 1].at_us;
    double apart_us = (double)(tail.late_us - before.late_us) - before.slope * (double)passed_us;
    double turn = tail.slope - before.slope;
    double began_us = apart_us - turn * (double)tail.span_us;
    int64_t size_us = llabs((int64_t)apart_us);
    return size_us >= CLOCK_MIN_US &&
           fabs(began_us) <= LEAVES_AT_US + fabs(turn) * ARRIVAL_LINE_SLOT_US &&
           size_us >= STRAIGHT * tail.height_us && size_us >= BENT * tail.bent_us;
}

int64_t arrival_line_level(const struct arrival_line *line, double slope)
{
    const struct arrival_point *points = line->points;
    double level_us = line_at(&points[line->count - 1], slope, line->newest_us);
    int64_t span_us = 0;
    for (int i = line->count - 1; i > 0 && span_us <= LEVEL_US; i--) {
        int64_t gap_us = points[i].at_us - points[i - 1].at_us;
        span_us += gap_us < LEVEL_GAP_US ? gap_us : LEVEL_GAP_US;
        level_us = fmin(level_us, line_at(&points[i - 1], slope, line->newest_us));
    }
    return llrint(fmax(-LATE_MAX, fmin(LATE_MAX, level_us)));
}

/* The clock has changed its pace: forget the points before that. */
static void forget_old_pace(struct arrival_line *line)
{
    static const int tails[] = {TAIL_POINTS, 2 * TAIL_POINTS, 4 * TAIL_POINTS};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        if (!leaves(line, tails[i]))
            continue;
        forget(line, line->count - tails[i]);
        return;
    }
}

bool arrival_line_fit(struct arrival_line *line, struct arrival_fit *fit)
{
    forget_old_pace(line);
    if (!fit_points(line->points, line->count, fit))
        return false;
    const struct arrival_point *last = &line->points[line->count - 1];
    fit->late_us += llrint(fit->slope * (double)(line->newest_us - last->at_us));
    return true;
}
