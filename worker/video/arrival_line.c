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

/* What is known of the first points; it takes one pass over them, however often it is extended. */
struct envelope {
    int corners[ARRIVAL_LINE_POINTS];   /* lower convex hull */
    double slopes[ARRIVAL_LINE_POINTS]; /* from the corner before */
    int corner_count;
    int points;
    double late_sum_us; /* lateness and arrival, beside the first point's */
    double at_sum_us;
    int64_t gap_us; /* longest time between two points */
};

static void envelope_init(struct envelope *envelope)
{
    envelope->corner_count = 0;
    envelope->points = 0;
    envelope->late_sum_us = 0;
    envelope->at_sum_us = 0;
    envelope->gap_us = 0;
}

/* Andrew's monotone chain. */
static void add_corner(struct envelope *e, const struct arrival_point *points, int point)
{
    double slope = 0;
    while (e->corner_count > 0) {
        int last = e->corner_count - 1;
        slope = slope_between(&points[e->corners[last]], &points[point]);
        if (last == 0 || e->slopes[last] < slope)
            break;
        e->corner_count--;
    }
    e->corners[e->corner_count] = point;
    e->slopes[e->corner_count++] = slope;
}

static void envelope_extend(struct envelope *e, const struct arrival_point *points, int count)
{
    for (int i = e->points; i < count; i++) {
        int64_t gap_us = i > 0 ? points[i].at_us - points[i - 1].at_us : 0;
        e->gap_us = gap_us > e->gap_us ? gap_us : e->gap_us;
        e->late_sum_us += (double)(points[i].late_us - points[0].late_us);
        e->at_sum_us += (double)(points[i].at_us - points[0].at_us);
        add_corner(e, points, i);
    }
    e->points = count;
}

/* The envelope at a time within its span. */
static double envelope_at(const struct envelope *e, const struct arrival_point *points,
                          int64_t at_us)
{
    int i = 0;
    while (i + 2 < e->corner_count && points[e->corners[i + 1]].at_us <= at_us)
        i++;
    return line_at(&points[e->corners[i]], e->slopes[i + 1], at_us);
}

bool arrival_fit_leaves(const struct arrival_fit *fit, double slope)
{
    int64_t gained_us = llabs((int64_t)((fit->slope - slope) * (double)fit->span_us));
    int64_t least_us = fit->span_us < LONG_SPAN_US ? CLOCK_MIN_US : CLOCK_MIN_LONG_US;
    return !fit->split && gained_us >= least_us && gained_us >= STRAIGHT * fit->height_us &&
           gained_us >= BENT * fit->bent_us;
}

/* How far the points lie above a line on average. */
static int64_t height_of(const struct envelope *e, const struct arrival_point *points, double slope,
                         int64_t late_us)
{
    const struct arrival_point *last = &points[e->points - 1];
    double first_us = (double)(points[0].late_us - late_us);
    double passed_us = (double)(last->at_us - points[0].at_us);
    double late_us_mean = e->late_sum_us / e->points, at_us_mean = e->at_sum_us / e->points;
    return llabs((int64_t)(first_us + late_us_mean + slope * (passed_us - at_us_mean)));
}

/* The line meets the envelope at a quarter and at three quarters of its span, so that the ends
 * count for little.  Points on both sides of a stall tell its length, not the clock's error.
 * @param e  the envelope of the first of the points; it is extended to all of them. */
static bool fit_points(const struct arrival_point *points, int count, struct envelope *e,
                       struct arrival_fit *fit)
{
    if (count < POINTS_MIN || points[count - 1].at_us - points[0].at_us < SPAN_MIN_US)
        return false;
    int64_t from_us = points[0].at_us, to_us = points[count - 1].at_us, span_us = to_us - from_us;
    int64_t quarter_us = span_us / 4;
    envelope_extend(e, points, count);
    double quarter = envelope_at(e, points, from_us + quarter_us);
    double middle = envelope_at(e, points, from_us + span_us / 2);
    double three = envelope_at(e, points, to_us - quarter_us);
    fit->slope = (three - quarter) / (double)(span_us - 2 * quarter_us);
    fit->late_us = (int64_t)(three + fit->slope * (double)quarter_us);
    fit->span_us = span_us;
    double bent = (double)points[0].late_us + (double)points[count - 1].late_us - 2 * middle;
    fit->bent_us = llabs((int64_t)bent);
    fit->height_us = height_of(e, points, fit->slope, fit->late_us);
    fit->split = e->gap_us > span_us / 2;
    fit->is_clock = arrival_fit_leaves(fit, 0);
    return true;
}

/* Do the newest points begin on the older points' line and leave it in a straight line?
 * @param e  of the first of the older points. */
static bool leaves(const struct arrival_line *line, int points, struct envelope *e)
{
    struct arrival_fit tail, before;
    struct envelope newest;
    int older = line->count - points;
    envelope_init(&newest);
    if (older <= 0 || !fit_points(line->points + older, points, &newest, &tail) || tail.split ||
        !fit_points(line->points, older, e, &before))
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

/* @return how many of the newest points show that the clock has changed its pace, the fewest that
 *         do; 0: it has not. */
static int find_new_pace(const struct arrival_line *line, struct envelope *e)
{
    int points = 0;
    for (int tail = 4 * TAIL_POINTS; tail >= TAIL_POINTS; tail /= 2)
        if (leaves(line, tail, e))
            points = tail;
    return points;
}

bool arrival_line_fit(struct arrival_line *line, struct arrival_fit *fit)
{
    struct envelope envelope;
    envelope_init(&envelope);
    int points = find_new_pace(line, &envelope);
    if (points > 0) {
        forget(line, line->count - points);
        envelope_init(&envelope);
    }
    if (!fit_points(line->points, line->count, &envelope, fit))
        return false;
    const struct arrival_point *last = &line->points[line->count - 1];
    fit->late_us += llrint(fit->slope * (double)(line->newest_us - last->at_us));
    return true;
}
