#include "worker/video/camera_clock.h"

#include <math.h>
#include <stdlib.h>

#define TOLERANCE_US 200000    /* how late a report may be */
#define TOLERANCE_SHARE 20     /* ... plus a twentieth of the time between two reports */
#define PACE_SPAN_US 500000    /* least time between two reports that show a pace */
#define RIGHT_US 25000         /* two reports that differ by less from a pace of 1 show that pace */
#define STEADY_US 50000        /* how far a late report may be from where the stamps put it */
#define STEADY_SHARE 50        /* ... plus a fiftieth of the time between two reports */
#define LATE_MAX_US 5000000    /* how late such a report may be */
#define EARLY_AFTER_US 4000000 /* ... and after what time one may come earlier: all were late */
#define LATE_FOR_US 60000000   /* ... and for how long reports may be late */
#define SECOND_US 1000000      /* a wall clock that counts seconds tells less than the arrival, */
#define TENTH_US 100000        /* ... and so does one that counts tenths, when that shows */
#define PACE_NEAR 0.02         /* paces that differ by less agree */
#define PACE_MAX 20.0
#define SPAN_MAX 1e15 /* us: keeps products in range */

static int64_t scale(int64_t span_us, double pace)
{
    if (pace == 1.0)
        return span_us;
    return llrint(fmax(-SPAN_MAX, fmin(SPAN_MAX, (double)span_us)) * pace);
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= PACE_NEAR * b;
}

/* Take the pace from two reports, if they are far enough apart and make sense.  A pace that is new
 * needs two pairs: stamps may have stepped between two reports. */
static void take_pace(struct camera_clock *c, int64_t stamps_us, int64_t walls_us)
{
    if (stamps_us <= 0 || walls_us < PACE_SPAN_US)
        return;
    double pace = (double)walls_us / (double)stamps_us;
    if (pace > PACE_MAX || pace < 1 / PACE_MAX)
        return;
    if (llabs(walls_us - stamps_us) < RIGHT_US)
        pace = 1;
    if (!c->paced || is_near(pace, c->pace) || is_near(pace, c->pace_before)) {
        c->pace = pace;
        c->paced = true;
    }
    c->steady = is_near(pace, c->pace_before) && is_near(pace, c->pace);
    c->pace_before = pace;
}

/* Does a report that is not punctual say the same of the clock as the one before it? */
static bool is_steady(const struct camera_clock *c, int64_t stamp_us, int64_t wall_us,
                      int64_t late_us, int64_t passed_us)
{
    int64_t walls_us = wall_us - c->wall_us;
    int64_t doubt_us = llabs(walls_us - scale(stamp_us - c->stamp_us, c->pace));
    return c->believed && walls_us > 0 && doubt_us <= STEADY_US + walls_us / STEADY_SHARE &&
           late_us >= (passed_us < EARLY_AFTER_US ? 0 : -LATE_MAX_US) && late_us <= LATE_MAX_US;
}

/* Did the wall clock advance as ours did, since the report before or since a punctual one?  Since
 * the former, the wall clock can have lost or gained little; the punctual one may be old. */
static bool is_plausible(const struct camera_clock *c, int64_t wall_us, int64_t late_us,
                         int64_t since_us)
{
    int64_t tolerance_us = TOLERANCE_US + since_us / TOLERANCE_SHARE;
    int64_t doubt_us = llabs(since_us - (wall_us - c->wall_us));
    return doubt_us <= tolerance_us || llabs(late_us) <= tolerance_us;
}

/* Note in what unit the wall clock counts. */
static void note_unit(struct camera_clock *c, int64_t stamp_us, int64_t wall_us)
{
    bool first = !c->reported;
    int64_t doubt_us = llabs(wall_us - c->wall_us - scale(stamp_us - c->stamp_us, c->pace));
    bool rough = !first && c->believed && c->paced && doubt_us > RIGHT_US && doubt_us < TENTH_US;
    c->seconds = (first || c->seconds) && wall_us % SECOND_US == 0;
    c->tenths = (first || c->tenths) && wall_us % TENTH_US == 0;
    c->rough = c->tenths && (c->rough || rough);
}

bool camera_clock_report(struct camera_clock *clock, int64_t stamp_us, int64_t wall_us,
                         int64_t received_us)
{
    struct camera_clock *c = clock;
    bool late = false, paired = c->believed;
    note_unit(c, stamp_us, wall_us);
    if (c->reported) {
        int64_t passed_us = received_us - c->punctual_received_us;
        int64_t late_us = passed_us - (wall_us - c->punctual_wall_us);
        bool steady =
            passed_us <= LATE_FOR_US && is_steady(c, stamp_us, wall_us, late_us, passed_us);
        c->believed = steady || is_plausible(c, wall_us, late_us, received_us - c->received_us);
        late = c->believed && late_us > 0 && passed_us <= LATE_FOR_US;
        if (paired && c->believed) /* else the wall clock was set in between, or the stamps were */
            take_pace(c, stamp_us - c->stamp_us, wall_us - c->wall_us);
    } else {
        c->believed = true; /* until the next report */
        c->pace = 1;
    }
    c->reported = true;
    c->stamp_us = stamp_us;
    c->wall_us = wall_us;
    c->received_us = received_us;
    if (!late) {
        c->punctual_wall_us = wall_us;
        c->punctual_received_us = received_us;
    }
    return c->believed;
}

bool camera_clock_is_coarse(const struct camera_clock *clock)
{
    return clock->rough;
}

bool camera_clock_may_be_coarse(const struct camera_clock *clock)
{
    return clock->rough || clock->seconds;
}

void camera_clock_move(struct camera_clock *clock, int64_t by_us)
{
    clock->stamp_us += by_us;
}

int64_t camera_clock_wall(const struct camera_clock *clock, int64_t stamp_us)
{
    return clock->wall_us + scale(stamp_us - clock->stamp_us, clock->pace);
}

int64_t camera_clock_stamp(const struct camera_clock *clock, int64_t wall_us)
{
    return clock->stamp_us + scale(wall_us - clock->wall_us, 1 / clock->pace);
}
