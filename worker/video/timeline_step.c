#include "worker/video/timeline_step.h"

#include "worker/video/timeline_peer.h"

#include <math.h>
#include <stdlib.h>

#define BACK_US 80000       /* a smaller step back from where the stamp should be is jitter, */
#define BACK_LEAST_US 20000 /* ... and so is a smaller one from the newest stamp */
#define BACK_PACKETS 3      /* a larger one is observed for this many packets */
#define BACK_LEARN 2        /* after this many lasting steps the next one is believed at once */
#define NEAR_US 80000       /* two steps that differ by less are the same */
#define FORTH_US 80000      /* a smaller step forth is jitter */
#define FORTH_AFTER 10 /* so many packets after a step: stamps that step all the time are fast */
#define FORTH_UNDO_US 2000000  /* a single bad stamp is over within this */
#define FORTH_UNDONE_MAX 2     /* after so many the stamps may be of frames that are reordered */
#define LOST_US 200000         /* a smaller loss is corrected slowly, */
#define LOST_SHARE 25          /* ... and so is less than this part of the time between reports */
#define LOST_MAX_US 10000000   /* a larger one is none */
#define LOST_PACE 0.02         /* reports and arrival agree about the clock */
#define LOST_FOR_US 250000     /* packets confirm a loss for so long */
#define LOST_PUNCTUAL_US 50000 /* how late a report may be that tells of one, ... */
#define LOST_PUNCTUAL_SHARE 3  /* ... plus this part of the loss */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

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
        bool small = back_us <= BACK_LEAST_US || back_us + p->duration_us <= BACK_US;
        if (!undone && (small || may_be_reordering(t, p, back_us)))
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

/* Were the stamps set forth?  Lost packets make them step, too, but none comes earlier for that. */
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
    track->silent_us = larger(track->silent_us, p->received_us - track->last_received_us);
    return was_set_back(track, p, stamp_us, shift_us) ||
           (track->back_by_us == 0 && was_set_forth(track, p, stamp_us, shift_us));
}

/* A loss leaves a silence about as long, and its report is in time. */
static bool tells_of_loss(const struct camera_clock *c, int64_t lost_us, int64_t silent_us,
                          int64_t wall_us, int64_t received_us)
{
    int64_t passed_us = wall_us - c->wall_us;
    int64_t late_us = received_us - c->punctual_received_us - (wall_us - c->punctual_wall_us);
    return lost_us >= LOST_US + passed_us / LOST_SHARE && lost_us <= LOST_MAX_US &&
           silent_us >= lost_us / 2 &&
           llabs(late_us) <= LOST_PUNCTUAL_US + lost_us / LOST_PUNCTUAL_SHARE;
}

void timeline_step_note_report(struct timeline_track *track, int64_t source_us, int64_t wall_us,
                               int64_t received_us)
{
    struct timeline_track *t = track;
    struct camera_clock *c = &t->camera;
    int64_t silent_us = larger(t->silent_us, received_us - t->last_received_us);
    t->silent_us = 0;
    if (!t->active || !c->believed || camera_clock_may_be_coarse(c) ||
        !timeline_steer_is_settled(&t->steer) ||
        fabs(c->pace / timeline_steer_clock(&t->steer) - 1) > LOST_PACE)
        return;
    int64_t lost_us = wall_us - camera_clock_wall(c, source_us);
    if (!tells_of_loss(c, lost_us, silent_us, wall_us, received_us))
        return;
    camera_clock_move(c, -lost_us);
    t->lost_us = lost_us;
    t->lost_at_us = received_us;
    t->lost_least_us = INT64_MAX;
}

/* How far the newest packet's output is behind its arrival. */
static int64_t behind_of(const struct timeline_track *t)
{
    return t->last_received_us - t->last_key_us - t->steer.reference_us;
}

/* How much later than another track's newest packet this one's output of the same time is. */
static int64_t later_by_reports(const struct timeline_track *t, const struct timeline_track *other)
{
    if (!t->camera.believed || !other->camera.believed)
        return 0;
    int64_t wall_us = camera_clock_wall(&other->camera, other->last_source_us);
    int64_t stamp_us = camera_clock_stamp(&t->camera, wall_us) + t->offset_us;
    return timeline_steer_out(&t->steer, stamp_us) - other->last_key_us;
}

/* How far the output of a track that has lost media is behind.  Sound belongs to the picture. */
static int64_t loss_of(const struct timeline_track *t, const struct timeline_track *other,
                       const struct timeline_in *p)
{
    if (p->track != TRACK_AUDIO || !timeline_peer_are_known(t, other, p->received_us))
        return t->lost_least_us;
    int64_t behind_us = -later_by_reports(t, other);
    return llabs(behind_us - t->lost_least_us) < t->lost_least_us / 2 ? behind_us
                                                                      : t->lost_least_us;
}

bool timeline_step_is_lost(struct timeline_track *track, struct timeline_track *other,
                           const struct timeline_in *p, int64_t stamp_us, int64_t *shift_us)
{
    struct timeline_track *t = track;
    if (t->lost_us == 0)
        return false;
    int64_t out_us = timeline_steer_out(&t->steer, stamp_us);
    int64_t behind_us = p->received_us - out_us - t->steer.reference_us;
    t->lost_least_us = behind_us < t->lost_least_us ? behind_us : t->lost_least_us;
    if (p->received_us - t->lost_at_us < LOST_FOR_US)
        return false;
    int64_t lost_us = t->lost_us;
    t->lost_us = 0;
    if (t->lost_least_us < lost_us / 2)
        return false;
    *shift_us = llrint((double)loss_of(t, other, p) / timeline_steer_clock(&t->steer));
    if (other->mapped && behind_of(other) >= lost_us / 2) {
        *shift_us = 0;
        timeline_steer_stamps_set(&other->steer);
        if (later_by_reports(other, t) >= lost_us / 2) /* its report is of the time before */
            camera_clock_move(&other->camera, -lost_us);
    }
    return true;
}
