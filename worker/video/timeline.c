/*
 * The output clock.  Worker, source thread; pure.
 *
 * Clock.  The output is real time: it starts at the arrival of the very first packet and stays at
 * a constant distance from the arrival of each track's earliest packets, whatever the camera's
 * clocks do.  This takes two steps.  The first removes the jumps of the source's clock: each track
 * has an offset, and stamp = source + offset.  Then timeline_steer.h maps stamps to output times,
 * at a pace that follows the arrival over seconds.  A correct clock keeps its exact spacing; one
 * that is wrong by half puts the output at most 0.2 s off until the error is measured.
 *
 * Picture and sound.  Normally both tracks have the same offset.  The second track takes the offset
 * of the first if that puts it within START_TRUST_US of where its arrival does; else the two clocks
 * are unrelated, and the track is put where its arrival says.  From then on the picture is steered
 * by its arrival alone, and sound by the first of these that is available (timeline_peer.h): the
 * picture by sender reports (camera_clock.h); the picture by equal stamps, while the two arrivals
 * agree that both clocks keep step; its own arrival.  What made one track late at once
 * (track_lateness.h) does not count.
 *
 * What happens to a time stamp, by its distance from the previous one of its track:
 *
 *   missing, equal             nominal duration, held close to the arrival; the offset stays
 *   back or forward by         followed: lost frames, jitter.  Output that would not grow is pushed
 *     < 0.9 s                  to 1 ms after the previous one
 *   back by 0.08 to 0.9 s      followed until the step is known to last (reordered frames and
 *                              single bad stamps do not last), then taken out; from the third time
 *                              on, taken out at once
 *   forth by 0.08 to 0.9 s,    taken out at once (timeline_step.h), unless frames come in another
 *     ahead of its arrival     order than they are shown
 *   falling all the time       treated as missing
 *   forward by more            followed if the other track is there too (only this track had a
 *                              gap), else a jump
 *   back by more               a jump, even if it adds up from small steps
 *   far behind the other       a jump: its clock stood still meanwhile; unless sender reports tell
 *     after > 0.9 s of silence of both tracks
 *   ahead of its arrival       history, if it comes in a burst faster than real time: pictures are
 *     by > 0.18 s              put a millisecond apart, sound is left out.  Else the packet is put
 *                              where its arrival says
 *
 * A jump changes the offset so that the output continues.  The first of these that puts the packet
 * within 0.9 s of where it is expected is taken; only the last one is a guess:
 *
 *   1. undo    the offset before the last jump: a single bad time stamp is over
 *   2. wrap    32-bit time stamps wrapped around
 *   3. peer    the shift that the other track has just made: a pause of the camera, or a setting of
 *              its clock, moves both tracks; their relation is kept exactly
 *   4. common  the other track's offset: two unrelated clocks now agree
 *   5. guess   exactly where it is expected: one frame on, or later by the time that passed
 *
 * A pause of more than 0.9 s (half a second over a reconnect) becomes a step of 100 ms: every
 * player has run out of data by then and waits, so any step will do; a longer one would only add
 * delay. Every step of the output is below a second, but for one: of a track that has lost media
 * for longer, as its stamps do not tell and a sender report does (timeline_step.h).
 *
 * If the source gives no decode time (RTP), it is the smallest of the newest N + 1 presentation
 * times, where N is the number of reordered frames, as in libavformat.  This needs no look-ahead,
 * so it costs no delay.  Until there are N + 1 of them, earlier ones are made up at the nominal
 * distance.  N is raised when a stream reorders more than it declares.  By the same order of
 * the stamps the picture is steered (timeline_order.h).
 */
#include "worker/video/timeline.h"

#include "worker/video/timeline_history.h"
#include "worker/video/timeline_order.h"
#include "worker/video/timeline_peer.h"
#include "worker/video/timeline_step.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MIN_US 1000           /* FLV counts milliseconds: smaller steps would be equal there */
#define STEP_PAUSE_US 100000       /* what a long pause becomes */
#define PAUSE_US 500000            /* pauses up to here are kept over a reconnect */
#define JUMP_US 900000             /* keeps every step of the output below a second */
#define START_TRUST_US 3000000     /* tracks that start closer than this share a clock */
#define START_PACE 0.03            /* ... while the first one's clock is right by so much */
#define UNDO_US 2000000            /* a bad time stamp is over within this */
#define PEER_US 30000000           /* the other track's sender report comes within this */
#define COMPOSITION_MAX_US 5000000 /* of the stamps, and of the output */
#define DURATION_MAX_US 10000000
#define VIDEO_HOLD_US 60000  /* how far packets without a stamp may be from their arrival */
#define AUDIO_HOLD_US 250000 /* wider: one RTP packet with one stamp may hold that much */
#define SOURCE_MAX_US (INT64_C(1) << 58) /* larger times are nonsense; keeps every sum in range */
#define STRETCH_MAX 2.2      /* no clock is that wrong: the stamps' unit is another one */
#define STRETCH_UNIT_MAX 1.6 /* the same where the stamps count another unit */
#define FALLING_MAX 6        /* stamps that fall more often than this in a row are ignored */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool known(int64_t stamp_us)
{
    return stamp_us != TIMELINE_NONE;
}

static struct timeline_track *other_of(struct timeline *tl, enum track track)
{
    return &tl->tracks[track == TRACK_VIDEO ? TRACK_AUDIO : TRACK_VIDEO];
}

/* Copy the packet and bring its values into the range that later sums rely on. */
static struct timeline_in sanitise(const struct timeline *tl, const struct timeline_in *in)
{
    struct timeline_in p = *in;
    assert(p.track == TRACK_VIDEO || p.track == TRACK_AUDIO);
    if (p.pts_us < -SOURCE_MAX_US || p.pts_us > SOURCE_MAX_US)
        p.pts_us = TIMELINE_NONE;
    if (p.dts_us < -SOURCE_MAX_US || p.dts_us > SOURCE_MAX_US)
        p.dts_us = TIMELINE_NONE;
    p.duration_us = clamp(p.duration_us, 0, DURATION_MAX_US);
    if (p.wrap_us < 0 || p.wrap_us > SOURCE_MAX_US)
        p.wrap_us = 0;
    p.reorder_frames = (int)clamp(p.reorder_frames, 0, DECODE_ORDER_FRAMES_MAX);
    p.received_us = clamp(p.received_us, tl->started ? tl->newest_received_us : 0, SOURCE_MAX_US);
    return p;
}

/* How far the output moves for a time that passed without a usable time stamp. */
static int64_t step_for(int64_t passed_us, int64_t duration_us, int64_t pause_us)
{
    int64_t nominal =
        duration_us > 0 ? duration_us : clamp(passed_us, STEP_MIN_US, TIMELINE_DURATION_GUESS_US);
    if (passed_us < 2 * nominal)
        return nominal; /* as usual, give or take jitter */
    return passed_us <= pause_us ? passed_us : max(STEP_PAUSE_US, nominal);
}

/* The track's latest time on the output clock: with reordering, not that of the last packet. */
static int64_t latest_key(const struct timeline_track *t)
{
    return decode_order_latest(&t->order, t->last_key_us);
}

/* Where a packet belongs by the packets before it, whatever its time stamp says. */
static int64_t expect(struct timeline *tl, const struct timeline_in *p)
{
    const struct timeline_track *t = &tl->tracks[p->track];
    const struct timeline_track *other = other_of(tl, p->track);
    int64_t by_other =
        other->last_key_us + clamp(p->received_us - other->last_received_us, 0, JUMP_US);

    if (t->active) {
        int64_t passed = p->received_us - t->last_received_us;
        int64_t own = latest_key(t) + step_for(passed, p->duration_us, JUMP_US);
        bool left_behind = other->active && passed > JUMP_US && by_other > own;
        return left_behind ? by_other : own;
    }
    if (other->active)
        return by_other;
    if (tl->started)
        return tl->newest_us +
               step_for(p->received_us - tl->newest_received_us, p->duration_us, PAUSE_US);
    return p->received_us;
}

/* How far apart successive packets may be without a jump: slow streams need more. */
static int64_t jump_limit(const struct timeline_track *t, const struct timeline_in *p)
{
    int64_t frames = 1;
    if (p->track == TRACK_VIDEO && !known(p->dts_us))
        frames += decode_order_frames(&t->order, p->reorder_frames);
    return max(JUMP_US, frames * p->duration_us * 3 / 2);
}

static bool is_jump(struct timeline *tl, const struct timeline_in *p, int64_t key_us)
{
    const struct timeline_track *t = &tl->tracks[p->track];
    const struct timeline_track *other = other_of(tl, p->track);
    int64_t limit = jump_limit(t, p);

    if (key_us < t->last_key_us - limit || (t->started && key_us < t->last_dts_us - limit))
        return true; /* at once, or in many small steps */
    if (key_us > t->last_key_us + limit)
        return !(other->active && key_us <= other->last_key_us + JUMP_US);
    if (timeline_peer_are_known(t, other, p->received_us))
        return false; /* sender reports tell whether its clock stood still */
    return other->active && p->received_us - t->last_received_us > JUMP_US &&
           key_us < other->last_key_us - JUMP_US;
}

/* Where a source time would be with another offset. */
static int64_t key_with(const struct timeline_track *t, int64_t source_us, int64_t offset_us)
{
    return timeline_steer_out(&t->steer, source_us + offset_us);
}

static bool fits(struct timeline *tl, const struct timeline_in *p, int64_t source_us,
                 int64_t offset_us, int64_t expected_us)
{
    int64_t key_us = key_with(&tl->tracks[p->track], source_us, offset_us);
    return llabs(key_us - expected_us) <= JUMP_US && !is_jump(tl, p, key_us);
}

/* Note a shift for the other track, which has not made it (yet). */
static void tell_peer(struct timeline_track *other, int64_t shift_us, int64_t received_us)
{
    int64_t sum = shift_us + (received_us <= other->peer_until_us ? other->peer_shift_us : 0);
    other->peer_shift_us = clamp(sum, -SOURCE_MAX_US, SOURCE_MAX_US);
    other->peer_until_us = received_us + PEER_US;
}

static void forget_peer(struct timeline_track *t)
{
    t->peer_shift_us = 0;
    t->peer_until_us = 0;
}

/* Steer a track to real time anew, from a stamp on, which its order has taken into account.
 * @param keep  as in timeline_steer_restart(). */
static void steer_anew(struct timeline_track *t, int64_t stamp_us, int64_t received_us, bool keep)
{
    timeline_steer_restart(&t->steer, stamp_us, timeline_steer_out(&t->steer, stamp_us),
                           received_us, keep);
    t->resumed_us = received_us;
}

/* Steer a track anew after a pause.  If the other track had none, its output goes on: then this one
 * belongs as far from its arrival as before. */
static void resume(struct timeline_track *t, const struct timeline_track *other,
                   const struct timeline_in *p, int64_t source_us)
{
    bool alone = other->mapped && p->received_us - other->last_received_us <= JUMP_US &&
                 other->resumed_us <= t->last_received_us;
    steer_anew(t, timeline_order_first(t, p, source_us + t->offset_us), p->received_us, alone);
}

/* The stamps stepped from one source time, of a packet that arrived at from_at_us, to another:
 * earlier reports count for the stamps after the step, too. */
static void move_report(struct timeline_track *t, int64_t from_us, int64_t from_at_us,
                        int64_t to_us, int64_t shift_us)
{
    const struct camera_clock *c = &t->camera;
    bool of_after =
        c->received_us >= from_at_us && llabs(c->stamp_us - to_us) < llabs(c->stamp_us - from_us);
    if (!of_after)
        camera_clock_move(&t->camera, -shift_us);
}

/* The source's clock jumped to source_us: choose the offset that continues the output best. */
static void absorb_jump(struct timeline *tl, const struct timeline_in *p, int64_t source_us)
{
    struct timeline_track *t = &tl->tracks[p->track];
    struct timeline_track *other = other_of(tl, p->track);
    int64_t expected = expect(tl, p);
    int64_t old = t->offset_us;
    int64_t wrapped = old + (source_us < t->last_source_us ? p->wrap_us : -p->wrap_us);

    if (p->received_us <= t->undo_until_us && fits(tl, p, source_us, t->undo_offset_us, expected)) {
        t->offset_us = t->undo_offset_us;
        tell_peer(other, t->offset_us - old, p->received_us);
    } else if (p->wrap_us > 0 && fits(tl, p, source_us, wrapped, expected)) {
        t->offset_us = wrapped;
    } else if (p->received_us <= t->peer_until_us &&
               fits(tl, p, source_us, old + t->peer_shift_us, expected)) {
        t->offset_us = old + t->peer_shift_us;
        forget_peer(t);
    } else if (other->mapped && fits(tl, p, source_us, other->offset_us, expected)) {
        t->offset_us = other->offset_us;
        forget_peer(t);
        forget_peer(other);
    } else {
        if (p->received_us <= t->undo_until_us)
            t->camera.believed = false; /* one guess after the other */
        t->offset_us = timeline_steer_stamp(&t->steer, expected) - source_us;
        tell_peer(other, t->offset_us - old, p->received_us);
    }
    move_report(t, t->last_source_us, t->last_received_us, source_us, t->offset_us - old);
    timeline_steer_stamps_set(&t->steer);
    if (p->received_us - t->last_received_us > JUMP_US) { /* a pause: steer to real time anew */
        t->camera.believed = false;
        resume(t, other, p, source_us);
    }
    t->undo_offset_us = old;
    t->undo_until_us = p->received_us + UNDO_US;
}

/* The stamps were set back or forth by less than a jump: take the step out. */
static void absorb_step(struct timeline *tl, const struct timeline_in *p, int64_t source_us,
                        int64_t shift_us)
{
    struct timeline_track *t = &tl->tracks[p->track];
    struct timeline_track *other = other_of(tl, p->track);
    if (timeline_step_is_peers(t, p->received_us, shift_us)) {
        shift_us = t->peer_step_us;
        t->peer_step_us = 0;
    } else {
        other->peer_step_us = shift_us;
        other->peer_step_until_us = p->received_us + PEER_US;
    }
    move_report(t, t->step_from_us - t->offset_us, t->step_at_us, source_us, shift_us);
    t->offset_us += shift_us;
    timeline_steer_stamps_set(&t->steer);
    decode_order_forget_steps(&t->order);
}

/* Both tracks have lost as much, and their stamps do not tell: if that was long, it was a pause. */
static void absorb_loss_of_both(struct timeline_track *t, struct timeline_track *other,
                                const struct timeline_in *p, int64_t source_us)
{
    int64_t out_us = key_with(t, source_us, t->offset_us);
    timeline_steer_stamps_set(&t->steer);
    if (p->received_us - out_us - timeline_steer_reference_us(&t->steer) < JUMP_US)
        return;
    steer_anew(t, timeline_order_first(t, p, source_us + t->offset_us), p->received_us, false);
    other->stamps.count = 0;
    steer_anew(other, other->last_source_us + other->offset_us, other->last_received_us, false);
}

/* The camera has lost media, and its stamps do not tell: the output goes on where it belongs. */
static void absorb_loss(struct timeline *tl, const struct timeline_in *p, int64_t source_us,
                        int64_t shift_us)
{
    struct timeline_track *t = &tl->tracks[p->track];
    int64_t lost_us = llrint((double)shift_us * timeline_steer_clock(&t->steer));
    int64_t out_us = key_with(t, source_us, t->offset_us) + lost_us;
    t->offset_us += shift_us;
    if (shift_us == 0)
        absorb_loss_of_both(t, other_of(tl, p->track), p, source_us);
    else
        timeline_steer_go_on(&t->steer, source_us + t->offset_us, out_us);
    decode_order_forget_steps(&t->order);
}

/* Did the other track keep step with real time so far?  Else equal stamps tell nothing of a track
 * that begins later. */
static bool is_in_step(const struct timeline_track *other)
{
    return timeline_steer_is_bursting(&other->steer) ||
           fabs(timeline_steer_clock(&other->steer) - 1) <= START_PACE;
}

static void map_first(struct timeline *tl, const struct timeline_in *p, int64_t source_us)
{
    struct timeline_track *t = &tl->tracks[p->track];
    const struct timeline_track *other = other_of(tl, p->track);
    int64_t expected = expect(tl, p);
    int64_t common = other->mapped ? key_with(other, source_us, other->offset_us) : 0;

    if (other->mapped && llabs(common - expected) <= START_TRUST_US && is_in_step(other) &&
        !(t->started && common < t->last_dts_us - JUMP_US)) { /* over a reconnect */
        t->offset_us = other->offset_us;
        expected = common;
    } else {
        t->offset_us = expected - source_us;
    }
    if (other->mapped && timeline_steer_is_bursting(&other->steer))
        timeline_steer_start_like(&t->steer, &other->steer, source_us + t->offset_us, expected,
                                  p->received_us);
    else
        timeline_steer_start(&t->steer, source_us + t->offset_us, expected, p->received_us);
    stamp_rate_init(&t->rate);
    t->first_us = source_us + t->offset_us;
    t->mapped = true;
    t->mapped_us = p->received_us;
}

/* Place a packet without a usable time stamp: one nominal duration on, near its arrival. */
static int64_t extrapolate(struct timeline *tl, const struct timeline_in *p, bool *jumped)
{
    struct timeline_track *t = &tl->tracks[p->track];
    if (!t->active) {
        int64_t first = expect(tl, p);
        t->lead_us = first - p->received_us;
        return first;
    }
    int64_t latest = latest_key(t);
    int64_t by_arrival = p->received_us + t->lead_us;
    int64_t hold = p->track == TRACK_VIDEO ? VIDEO_HOLD_US : AUDIO_HOLD_US;
    int64_t key = p->duration_us > 0 ? latest + p->duration_us : by_arrival;
    key = max(clamp(key, by_arrival - hold, by_arrival + hold), latest + STEP_MIN_US);
    if (!is_jump(tl, p, key))
        return key;
    key = max(expect(tl, p), latest + STEP_MIN_US);
    t->lead_us = key - p->received_us;
    *jumped = true;
    return key;
}

/* Make the output for a packet that belongs at key_us. */
static void place(struct timeline *tl, const struct timeline_in *p, int64_t key_us,
                  struct timeline_out *out)
{
    struct timeline_track *t = &tl->tracks[p->track];
    int64_t dts = key_us, pts = key_us;

    if (p->track == TRACK_VIDEO && !known(p->dts_us)) {
        bool is_back = t->active && pts < t->last_key_us && pts < t->last_dts_us;
        decode_order_learn(&t->order, p->reorder_frames, is_back);
        dts = decode_order_put(&t->order, p->reorder_frames, pts, timeline_order_nominal(p));
    } else if (known(p->dts_us) && known(p->pts_us)) {
        int64_t composition_us = clamp(p->pts_us - p->dts_us, 0, COMPOSITION_MAX_US);
        pts += (int64_t)fmin((double)composition_us * out->pace, COMPOSITION_MAX_US);
    }
    if (t->started)
        dts = max(dts, t->last_dts_us + STEP_MIN_US);
    pts = max(pts, dts);

    t->started = true;
    t->active = true;
    t->last_dts_us = dts;
    t->last_key_us = key_us;
    t->last_received_us = p->received_us;
    /* Not pts: a wrong composition time would leave a hole after a reconnect. */
    int64_t newest_us = max(dts, key_us);
    tl->newest_us = tl->started ? max(tl->newest_us, newest_us) : newest_us;
    tl->newest_received_us = p->received_us;
    tl->started = true;
    out->dts_us = dts;
    out->pts_us = pts;
}

void timeline_init(struct timeline *timeline)
{
    memset(timeline, 0, sizeof(*timeline));
}

void timeline_reconnect(struct timeline *timeline)
{
    for (int i = 0; i < TRACK_COUNT; i++) {
        struct timeline_track *t = &timeline->tracks[i];
        struct timeline_track fresh = {.started = t->started, .last_dts_us = t->last_dts_us};
        *t = fresh;
    }
}

void timeline_report(struct timeline *timeline, enum track track, int64_t source_us,
                     int64_t wall_us, int64_t received_us)
{
    if (source_us != clamp(source_us, -SOURCE_MAX_US, SOURCE_MAX_US) ||
        wall_us != clamp(wall_us, -SOURCE_MAX_US, SOURCE_MAX_US))
        return;
    struct timeline_track *t = &timeline->tracks[track];
    int64_t at_us = clamp(received_us, 0, SOURCE_MAX_US);
    timeline_step_note_report(t, source_us, wall_us, at_us);
    if (camera_clock_report(&t->camera, source_us, wall_us, at_us))
        return;
    other_of(timeline, track)->camera.believed = false; /* its report is of the time before */
    timeline_steer_distrust(&timeline->tracks[TRACK_AUDIO].steer);
}

/* Sound that is history is not sent: only its arrival counts. */
static void leave_out(struct timeline *tl, const struct timeline_in *p, int64_t key_us,
                      struct timeline_out *out)
{
    struct timeline_track *t = &tl->tracks[p->track];
    t->active = true;
    t->last_key_us = key_us;
    t->last_received_us = p->received_us;
    tl->newest_received_us = p->received_us;
    out->dts_us = key_us;
    out->pts_us = key_us;
}

/* As stamp_rate_take(). */
static double rate_of(struct timeline_track *t, const struct timeline_in *p, int64_t source_us)
{
    if (p->track != TRACK_AUDIO || !t->mapped || t->lasted_us <= 0)
        return 1;
    return stamp_rate_take(&t->rate,
                           (double)(source_us - t->last_source_us) / (double)t->lasted_us);
}

/* What timeline_out calls pace.  Sound whose stamps count an unknown unit is not stretched. */
static double pace_of(const struct timeline_track *t, enum track track, double rate)
{
    double pace = t->mapped ? timeline_steer_pace(&t->steer) * rate : 1;
    double most = rate == 1 ? STRETCH_MAX : STRETCH_UNIT_MAX;
    return track == TRACK_VIDEO || (pace < most && pace > 1 / most) ? pace : 1;
}

/* Place a packet with a usable time stamp. */
static int64_t map_stamp(struct timeline *tl, const struct timeline_in *p, int64_t source_us,
                         struct timeline_out *out)
{
    struct timeline_track *t = &tl->tracks[p->track];
    struct timeline_track *other = other_of(tl, p->track);
    int64_t shift;
    double rate = rate_of(t, p, source_us);
    if (!t->mapped) {
        map_first(tl, p, source_us);
    } else if (is_jump(tl, p, key_with(t, source_us, t->offset_us))) {
        absorb_jump(tl, p, source_us);
        out->jumped = true;
    } else if (timeline_step_take(t, p, source_us + t->offset_us, &shift)) {
        absorb_step(tl, p, source_us, shift);
        out->jumped = true;
    } else if (timeline_step_is_lost(t, other, p, source_us + t->offset_us, &shift)) {
        absorb_loss(tl, p, source_us, shift);
        out->jumped = true;
    }
    struct timeline_steer_peer peer;
    bool asks =
        p->track == TRACK_AUDIO && other->mapped && !timeline_steer_is_bursting(&other->steer);
    if (asks)
        peer = timeline_peer_ask(t, other, source_us, p->received_us);
    bool paced =
        !camera_clock_may_be_coarse(&t->camera) && timeline_peer_is_known(t, p->received_us);
    timeline_steer_set(&t->steer, paced ? t->camera.pace : 0, t->camera.steady,
                       t->camera.received_us, &other->steer);
    int64_t stamp_us = source_us + t->offset_us;
    int64_t decode_us = timeline_order_decode(t, p, stamp_us);
    if (!timeline_order_is_ahead(t, p, decode_us))
        out->history = timeline_steer_take(&t->steer, stamp_us, decode_us, p->received_us,
                                           asks ? &peer : NULL);
    timeline_history_align(t, other, source_us, p->received_us, out->history);
    out->pace = pace_of(t, p->track, rate);
    int64_t key = key_with(t, source_us, t->offset_us);
    t->lead_us = key - p->received_us;
    return key;
}

void timeline_map(struct timeline *timeline, const struct timeline_in *in, struct timeline_out *out)
{
    struct timeline_in p = sanitise(timeline, in);
    struct timeline_track *t = &timeline->tracks[p.track];
    int64_t source = known(p.dts_us) ? p.dts_us : p.pts_us;
    bool usable = known(source) && !(t->mapped && source == t->last_source_us);
    if (usable && t->mapped) {
        t->falling = source < t->last_source_us ? t->falling + 1 : 0;
        usable = t->falling <= FALLING_MAX;
    }
    int64_t key;

    *out = (struct timeline_out){.pace = pace_of(t, p.track, 1)};
    if (usable)
        key = map_stamp(timeline, &p, source, out);
    else
        key = extrapolate(timeline, &p, &out->jumped);
    if (known(source))
        t->last_source_us = source;
    t->lasted_us = (usable ? 0 : t->lasted_us) + p.duration_us;
    if (out->history && p.track == TRACK_AUDIO)
        leave_out(timeline, &p, key, out);
    else
        place(timeline, &p, key, out);
    timeline->jumps += out->jumped;
}
