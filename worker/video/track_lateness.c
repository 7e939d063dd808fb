#include "worker/video/track_lateness.h"

#include <stdbool.h>

#define STEP_US 30000     /* packets become late at once by more than this ... */
#define STEP_SHARE 5      /* ... and this part of the time that passed, */
#define LEAST_US 40000    /* ... from being late by less than this */
#define SPREAD_US 1000000 /* jitter may spread a step over this time */
#define EARLIER_US 8000   /* packets that come so much earlier are less late */
#define MOST_US 3000000
#define KEEP_US 30000000 /* lateness counts for so long, */
#define FADE 50          /* ... and then by this part of the time that passes less and less */

void track_lateness_note(struct track_lateness *lateness, int64_t later_us, int64_t passed_us,
                         int64_t now_us)
{
    struct track_lateness *l = lateness;
    int64_t before_us = l->before_us, age_us = now_us - l->began_us;
    l->before_us = 0;
    if (now_us < l->blind_us)
        return;
    l->before_us = later_us;
    bool steps = later_us >= STEP_US + passed_us / STEP_SHARE;
    if (age_us < SPREAD_US || later_us <= -EARLIER_US) {
        l->late_us += later_us;
    } else if (steps) {
        /* Late again before it was in time: media are lost, and the stamps do not tell. */
        l->late_us = l->late_us > LEAST_US ? 0 : l->late_us + before_us + later_us;
        l->began_us = now_us;
    } else if (age_us > KEEP_US) {
        l->late_us -= passed_us / FADE;
    }
    l->late_us = l->late_us < 0 ? 0 : l->late_us > MOST_US ? MOST_US : l->late_us;
}

void track_lateness_clear(struct track_lateness *lateness, int64_t until_us)
{
    struct track_lateness *l = lateness;
    l->late_us = 0;
    l->before_us = 0;
    if (until_us > l->blind_us)
        l->blind_us = until_us;
}
