#include "worker/video/timeline_step.h"

#include <math.h>
#include <stdlib.h>

#define BACK_US 80000  /* a smaller step back is jitter */
#define BACK_PACKETS 3 /* a larger one is observed for this many packets */
#define BACK_LEARN 2   /* after this many lasting steps the next one is believed at once */
#define NEAR_US 80000  /* two steps that differ by less are the same */
#define FORTH_US 80000 /* a smaller step forth is jitter */
#define FORTH_AFTER 10 /* so many packets after a step: stamps that step all the time are fast */
#define FORTH_UNDO_US 2000000 /* a single bad stamp is over within this */
#define FORTH_UNDONE_MAX 2    /* after so many the stamps may be of frames that are reordered */

static bool known(int64_t stamp_us)
{
    return stamp_us != TIMELINE_NONE;
}

/* Is a step back small enough to be frames' reordering? */
static bool may_be_reordering(const struct timeline_track *t, const struct timeline_in *p,
                              int64_t back_us)
{
    int64_t frames = decode_order_frames(&t->order, p->reorder_frames) + 1;
    return p->track == TRACK_VIDEO && !known(p->dts_us) && back_us <= frames * p->duration_us;
}

/* The newest packet may be the last before a step. */
static void note_step(struct timeline_track *t)
{
    t->step_from_us = t->steer.newest_stamp_us;
    t->step_at_us = t->last_received_us;
}

/* Begin to observe a step back. */
static void suspect(struct timeline_track *t, int64_t back_us)
{
    t->back_by_us = back_us;
    t->back_late_us = t->step_at_us - t->step_from_us;
    t->back_least_us = INT64_MAX;
    t->back_packets = 0;
}

/* May a leap of the stamps be a frame that others precede in display order? */
static bool reorders(const struct timeline_track *t, const struct timeline_in *p)
{
    bool may = t->reorders || decode_order_frames(&t->order, p->reorder_frames) > 0;
    return p->track == TRACK_VIDEO && !known(p->dts_us) &&
           (may || t->forth_undone >= FORTH_UNDONE_MAX);
}

/* Did the newest step forth not last?  A single stamp was bad, and this one is a frame after it; or
 * frames are reordered, and this one is as far before it as it leapt. */
static bool is_forth_over(struct timeline_track *t, const struct timeline_in *p, int64_t back_us)
{
    int64_t forth_us = t->forth_us;
    if (forth_us == 0 || p->received_us - t->forth_at_us > FORTH_UNDO_US ||
        back_us + p->duration_us < forth_us - NEAR_US || back_us > forth_us + NEAR_US)
        return false;
    t->forth_us = 0;
    t->forth_undone++;
    return true;
}

/* Were the stamps set back for good? */
static bool was_set_back(struct timeline_track *t, const struct timeline_in *p, int64_t stamp_us,
                         int64_t *shift_us)
{
    bool ordered = p->track == TRACK_AUDIO || known(p->dts_us);
    int64_t back_us = t->steer.newest_stamp_us - stamp_us;
    int64_t late_us = p->received_us - stamp_us;
    if (t->back_by_us == 0) {
        int64_t forth_us = t->forth_us;
        bool undone = back_us > BACK_US && is_forth_over(t, p, back_us);
        if (!undone && (back_us <= BACK_US || may_be_reordering(t, p, back_us)))
            return false;
        *shift_us = undone ? forth_us : back_us + p->duration_us;
        note_step(t);
        if (undone || t->back_steps >= BACK_LEARN)
            return true;
        suspect(t, back_us);
    }
    t->back_least_us = late_us < t->back_least_us ? late_us : t->back_least_us;
    if (ordered ? ++t->back_packets < BACK_PACKETS : stamp_us <= t->step_from_us)
        return false;
    bool lasted = late_us - t->back_late_us >= t->back_by_us / 2;
    *shift_us = t->back_least_us - t->back_late_us;
    t->back_by_us = 0;
    t->back_steps = lasted ? t->back_steps + 1 : 0;
    return lasted;
}

bool timeline_step_is_peers(const struct timeline_track *track, int64_t now_us, int64_t shift_us)
{
    return track->peer_step_us != 0 && now_us <= track->peer_step_until_us &&
           llabs(shift_us - track->peer_step_us) <= NEAR_US;
}

/* How long the packets since the newest usable stamp should take, in stamps. */
static int64_t passed_of(const struct timeline_track *t, const struct timeline_in *p)
{
    double passed_us = (double)(p->received_us - t->last_received_us);
    int64_t stamps_us = llrint(passed_us / timeline_steer_clock(&t->steer));
    return stamps_us < 2 * t->lasted_us ? t->lasted_us : stamps_us;
}

/* Were the stamps set forth?  Lost packets also make them step, but none comes earlier for that. */
static bool was_set_forth(struct timeline_track *t, const struct timeline_in *p, int64_t stamp_us,
                          int64_t *shift_us)
{
    int64_t step_us = stamp_us - t->steer.newest_stamp_us;
    t->forth_packets += t->forth_packets < FORTH_AFTER;
    if (!timeline_steer_is_settled(&t->steer) || timeline_steer_is_bursting(&t->steer) ||
        t->lasted_us <= 0 || t->forth_packets < FORTH_AFTER || step_us - t->lasted_us <= FORTH_US ||
        reorders(t, p))
        return false;
    int64_t forth_us = step_us - passed_of(t, p);
    bool as_peer = timeline_step_is_peers(t, p->received_us, -forth_us);
    int64_t early_us = timeline_steer_early_us(&t->steer, stamp_us, p->received_us);
    if (forth_us <= FORTH_US || (!as_peer && early_us < forth_us * 3 / 4))
        return false;
    note_step(t);
    t->forth_packets = 0;
    t->forth_us = forth_us;
    t->forth_at_us = p->received_us;
    *shift_us = -forth_us;
    return true;
}

bool timeline_step_take(struct timeline_track *track, const struct timeline_in *p, int64_t stamp_us,
                        int64_t *shift_us)
{
    return was_set_back(track, p, stamp_us, shift_us) ||
           (track->back_by_us == 0 && was_set_forth(track, p, stamp_us, shift_us));
}
