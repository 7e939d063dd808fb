#include "worker/video/timeline_history.h"

#include <math.h>
#include <stdlib.h>

#define START_US 5000000    /* what is cached comes within this, */
#define HISTORY_US 60000000 /* ... or within this at little more than real time */
#define FAST_US 10000000    /* such history shows within this by its pace, ... */
#define FAST_PACE 0.05      /* ... which differs by more */
#define LIVE_PACE 0.02      /* a clock that is right by so much is live then */
#define APART_US 400000     /* tracks that are kept apart by more, ... */
#define NEAR_US 120000      /* ... as their arrival confirms to within this, were put wrong */

/* What a server has cached of one track comes in a burst, of the other less or none.  So the track
 * that came second was put beside history, far from its arrival: it belongs as near as the first.
 */
static void align_starts(struct timeline_track *first, struct timeline_track *second,
                         int64_t now_us)
{
    if (now_us - second->mapped_us < START_US)
        timeline_steer_align(&second->steer, &first->steer);
}

static bool is_live(const struct timeline_track *t)
{
    return timeline_steer_is_settled(&t->steer) && !timeline_steer_is_bursting(&t->steer) &&
           fabs(timeline_steer_clock(&t->steer) - 1) < LIVE_PACE;
}

/* Has a track begun faster than real time? */
static void note_pace(struct timeline_track *t, int64_t now_us, bool history)
{
    if (now_us - t->mapped_us < FAST_US)
        t->came_fast |= history || timeline_steer_clock(&t->steer) < 1 - FAST_PACE;
}

/* History that came at little more than real time was taken for live media with a fast clock, and
 * the other track was put beside it.  Once both are live, equal stamps arrive together, although
 * the tracks are kept apart. */
static void align_live(struct timeline_track *first, struct timeline_track *second,
                       int64_t source_us)
{
    int64_t stamp_us = source_us + first->offset_us;
    int64_t apart_us =
        timeline_steer_out(&second->steer, stamp_us) - timeline_steer_out(&first->steer, stamp_us);
    int64_t kept_us =
        timeline_steer_reference_us(&first->steer) - timeline_steer_reference_us(&second->steer);
    if (llabs(kept_us) > APART_US && llabs(apart_us - kept_us) < NEAR_US)
        timeline_steer_align_slowly(&second->steer, &first->steer);
}

void timeline_history_align(struct timeline_track *track, struct timeline_track *other,
                            int64_t source_us, int64_t now_us, bool history)
{
    struct timeline_track *first = track->mapped_us <= other->mapped_us ? track : other;
    struct timeline_track *second = first == track ? other : track;
    note_pace(track, now_us, history);
    if (!other->mapped || track->offset_us != other->offset_us)
        return;
    if (history)
        align_starts(first, second, now_us);
    else if ((first->came_fast || second->came_fast) && is_live(first) && is_live(second) &&
             now_us - second->mapped_us <= HISTORY_US)
        align_live(first, second, source_us);
}
