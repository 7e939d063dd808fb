#include "worker/video/camera_clock.h"

#include <math.h>
#include <stdlib.h>

#define TOLERANCE_US 200000 /* how late a report may be */
#define TOLERANCE_SHARE 20  /* ... plus a twentieth of the time between two reports */
#define PACE_SPAN_US 500000 /* least time between two reports that show a pace */
#define PACE_RIGHT 0.005    /* a pace nearer to 1 than this counts as 1 */
#define PACE_MAX 20.0
#define SPAN_MAX 1e15 /* us: keeps products in range */

static int64_t scale(int64_t span_us, double pace)
{
    if (pace == 1.0)
        return span_us;
    return llrint(fmax(-SPAN_MAX, fmin(SPAN_MAX, (double)span_us)) * pace);
}

/* Take the pace from two reports, if they are far enough apart and make sense. */
static void take_pace(struct camera_clock *c, int64_t stamps_us, int64_t walls_us)
{
    if (stamps_us <= 0 || walls_us < PACE_SPAN_US)
        return;
    double pace = (double)walls_us / (double)stamps_us;
    if (pace > PACE_MAX || pace < 1 / PACE_MAX)
        return;
    c->pace = fabs(pace - 1) < PACE_RIGHT ? 1 : pace;
    c->paced = true;
}

void camera_clock_report(struct camera_clock *clock, int64_t stamp_us, int64_t wall_us,
                         int64_t received_us)
{
    struct camera_clock *c = clock;
    if (c->reported) {
        int64_t passed_us = received_us - c->received_us;
        int64_t doubt_us = llabs((wall_us - c->wall_us) - passed_us);
        c->believed = doubt_us <= TOLERANCE_US + passed_us / TOLERANCE_SHARE;
        take_pace(c, stamp_us - c->stamp_us, wall_us - c->wall_us);
    } else {
        c->believed = true; /* until the next report */
        c->pace = 1;
    }
    c->reported = true;
    c->stamp_us = stamp_us;
    c->wall_us = wall_us;
    c->received_us = received_us;
}

int64_t camera_clock_wall(const struct camera_clock *clock, int64_t stamp_us)
{
    return clock->wall_us + scale(stamp_us - clock->stamp_us, clock->pace);
}

int64_t camera_clock_stamp(const struct camera_clock *clock, int64_t wall_us)
{
    return clock->stamp_us + scale(wall_us - clock->wall_us, 1 / clock->pace);
}
