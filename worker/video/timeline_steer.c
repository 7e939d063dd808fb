#include "worker/video/timeline_steer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_US 1000000     /* the reference is taken over at least this time */
#define SETTLE_POINTS 8       /* ... and at least this many points */
#define SETTLE_FALL_US 100000 /* how much earlier than the first packet others may be */
#define AHEAD_US 180000       /* a packet ahead by more is history, or its stamp stepped */
#define MOVED_MAX_US 3000000  /* ... unless the output was made that much later meanwhile */
#define AHEAD_BURST_US 10000  /* the same while a burst lasts */
#define BURST_US 200000       /* a burst is over when no packet was early for this long */
#define BURST_SLOPE (-0.6)    /* a clock this fast counts as a burst ... */
#define BURST_MAX_US 3000000  /* ... for this long */
#define CONTROL_US 100000     /* time between two changes of the pace */
#define CORRECTED_US 500000   /* how long a correction holds unless it is renewed */
#define DEADBAND_US 20000     /* a correction begins when the output is off by more */
#define DONE_US 4000          /* ... and ends here */
#define RESPONSE_S 2.0        /* time constant of a correction */
#define CORRECTION_MAX 0.3
#define CORRECTED_APART_US 40000.0 /* how far a correction may put two tracks apart */
#define STEP_US 5000               /* the smaller deadband between the two tracks */
#define STEP_SPEED 0.005           /* least speed of a correction between them */
#define STEP_SNAP_US 20            /* a rest this small is corrected at once */
#define OWN_STEP_US 5000       /* most that a track's own lateness changes between two controls */
#define SLOPE_KEEP_US 20000000 /* for how long a clock is believed that nothing confirms */
#define SLOPE_FIRM_US 5000000  /* ... after it was confirmed for so long */
#define SLOPE_FIRM_MAX 1.2     /* steeper lines are of bursts, or of stamps in another unit */
#define SLOPE_WINS_US 12000000 /* a slope that was confirmed for so long counts against reports */
#define DENIED_PACE 0.08       /* reports whose pace is further from the arrival's are too old */
#define SAME_REPORTS 0.01      /* ... until another one tells the same pace */
#define DENIED_KEEP_US 10000000
#define CLEAN_US 30000 /* a fit to points that lie higher than this, ... */
#define BENT_US 60000  /* ... or with ends that are bent by more, gives no new slope */
#define SAME_PACE 0.03 /* paces that differ by less are of one clock */
#define CLOCK_SETTLES_US 1000000
#define STAMPS_SETTLE_US 4000000 /* until the line holds no packet of before stamps were set */
#define PACE_MAX 1e4
#define STAMP_SPAN_MAX 1e15 /* us: keeps products in range */

static int64_t scale(int64_t span_us, double pace)
{
    if (pace == 1.0)
        return span_us;
    return llrint(fmax(-STAMP_SPAN_MAX, fmin(STAMP_SPAN_MAX, (double)span_us * pace)));
}

static void start(struct timeline_steer *s, int64_t stamp_us, int64_t out_us, int64_t received_us,
                  int64_t late_us)
{
    *s = (struct timeline_steer){
        .begun_us = received_us,
        .start_late_us = late_us,
        .reference_us = late_us,
        .anchor_us = stamp_us,
        .anchor_out_us = out_us,
        .pace = 1,
        .clock_pace = 1,
        .pace_before = 1,
        .fast_since_us = received_us - BURST_MAX_US,
        .history_us = INT64_MIN,
        .denied_since_us = INT64_MAX,
        .arrival_us = received_us,
        .newest_us = received_us,
        .newest_stamp_us = stamp_us,
    };
    arrival_line_init(&s->line);
}

void timeline_steer_start(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us,
                          int64_t received_us)
{
    start(steer, stamp_us, out_us, received_us, received_us - out_us);
}

void timeline_steer_start_like(struct timeline_steer *steer, const struct timeline_steer *other,
                               int64_t stamp_us, int64_t out_us, int64_t received_us)
{
    start(steer, stamp_us, out_us, received_us, other->reference_us);
}

void timeline_steer_stamps_set(struct timeline_steer *steer)
{
    track_lateness_clear(&steer->lateness, steer->newest_us + STAMPS_SETTLE_US);
}

void timeline_steer_align(struct timeline_steer *steer, const struct timeline_steer *other)
{
    if (llabs(steer->reference_us - other->reference_us) <= AHEAD_US)
        return;
    steer->reference_us = other->reference_us;
    steer->start_late_us = other->reference_us;
}

void timeline_steer_align_slowly(struct timeline_steer *steer, const struct timeline_steer *other)
{
    int64_t ahead_us = other->reference_us - steer->reference_us;
    steer->moved_us = ahead_us < 0              ? steer->moved_us
                      : ahead_us > MOVED_MAX_US ? MOVED_MAX_US
                                                : ahead_us;
    steer->reference_us = other->reference_us;
}

int64_t timeline_steer_reference_us(const struct timeline_steer *steer)
{
    return steer->reference_us;
}

void timeline_steer_distrust(struct timeline_steer *steer)
{
    if (steer->on_trial)
        steer->reference_us = steer->own_reference_us;
    steer->on_trial = false;
}

void timeline_steer_restart(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us,
                            int64_t received_us, bool keep)
{
    bool settled = keep && steer->settled;
    int64_t reference_us = steer->reference_us;
    timeline_steer_start(steer, stamp_us, out_us, received_us);
    timeline_steer_stamps_set(steer);
    steer->settled = settled;
    if (settled)
        steer->reference_us = reference_us;
}

void timeline_steer_set(struct timeline_steer *steer, double report_pace, bool counts,
                        int64_t reported_us, const struct timeline_steer *other)
{
    steer->report_pace = report_pace;
    steer->report_counts = counts;
    steer->reported_us = reported_us;
    steer->other_late_us = timeline_steer_late_us(other);
    steer->other_off_pace = other->off_pace;
}

bool timeline_steer_denies_reports(const struct timeline_steer *steer)
{
    return steer->denied;
}

int64_t timeline_steer_out(const struct timeline_steer *steer, int64_t stamp_us)
{
    const struct timeline_steer *s = steer;
    int64_t span_us = stamp_us - s->anchor_us;
    if (span_us <= 0)
        return s->anchor_out_us + scale(span_us, s->pace_before);
    int64_t corrected_us = scale(CORRECTED_US, 1 / s->clock_pace);
    if (span_us <= corrected_us)
        return s->anchor_out_us + scale(span_us, s->pace);
    return s->anchor_out_us + scale(corrected_us, s->pace) +
           scale(span_us - corrected_us, s->clock_pace);
}

int64_t timeline_steer_stamp(const struct timeline_steer *steer, int64_t out_us)
{
    const struct timeline_steer *s = steer;
    int64_t span_us = out_us - s->anchor_out_us;
    int64_t stamps_us = scale(CORRECTED_US, 1 / s->clock_pace);
    int64_t corrected_us = scale(stamps_us, s->pace);
    if (span_us <= 0)
        return s->anchor_us + scale(span_us, 1 / s->pace_before);
    if (span_us <= corrected_us)
        return s->anchor_us + scale(span_us, 1 / s->pace);
    return s->anchor_us + stamps_us + scale(span_us - corrected_us, 1 / s->clock_pace);
}

int64_t timeline_steer_lateness_us(const struct timeline_steer *steer, double slope)
{
    const struct timeline_steer *s = steer;
    return scale(arrival_line_level(&s->line, slope), 1 / (1 - fmin(slope, 1 - 1e-5))) -
           s->reference_us;
}

double timeline_steer_slope(const struct timeline_steer *steer)
{
    return 1 - 1 / steer->clock_pace;
}

int64_t timeline_steer_off_us(const struct timeline_steer *steer)
{
    return steer->off_us;
}

int64_t timeline_steer_early_us(const struct timeline_steer *steer, int64_t stamp_us,
                                int64_t received_us)
{
    const struct timeline_steer *s = steer;
    if (s->line.count == 0)
        return 0;
    double slope = timeline_steer_slope(s);
    int64_t level_us = arrival_line_level(&s->line, slope);
    level_us += scale(received_us - s->line.newest_us, slope);
    return level_us - s->lateness.late_us - (received_us - stamp_us);
}

int64_t timeline_steer_late_us(const struct timeline_steer *steer)
{
    return steer->lateness.late_us;
}

double timeline_steer_pace(const struct timeline_steer *steer)
{
    return steer->pace;
}

double timeline_steer_clock(const struct timeline_steer *steer)
{
    return steer->clock_pace;
}

double timeline_steer_correction(const struct timeline_steer *steer)
{
    return steer->pace / steer->clock_pace - 1;
}

bool timeline_steer_is_settled(const struct timeline_steer *steer)
{
    return steer->settled;
}

bool timeline_steer_is_bursting(const struct timeline_steer *steer)
{
    return steer->newest_us < steer->history_us;
}

/* From stamp_us on, the output continues from out_us. */
static void anchor(struct timeline_steer *s, int64_t stamp_us, int64_t out_us)
{
    s->anchor_us = stamp_us;
    s->anchor_out_us = out_us;
}

void timeline_steer_go_on(struct timeline_steer *steer, int64_t stamp_us, int64_t out_us)
{
    struct timeline_steer *s = steer;
    s->arrival_us += scale(stamp_us - s->anchor_us, s->clock_pace);
    anchor(s, stamp_us, out_us);
    s->pace = s->clock_pace;
    s->correcting = false;
    timeline_steer_stamps_set(s);
}

/* --- pace ------------------------------------------------------------------- */

static void settle(struct timeline_steer *s, int64_t late_us, int64_t received_us)
{
    if (late_us < s->reference_us)
        s->reference_us = late_us > s->start_late_us - SETTLE_FALL_US
                              ? late_us
                              : s->start_late_us - SETTLE_FALL_US;
    s->settled = received_us - s->begun_us >= SETTLE_US && s->line.count >= SETTLE_POINTS;
}

static void set_slope(struct timeline_steer *s, double slope)
{
    if (s->slope == 0 || fabs(slope - s->slope) > SAME_PACE)
        s->slope_since_us = s->newest_us;
    s->slope = slope;
    s->slope_at_us = s->newest_us;
    if (!s->settled)
        s->reference_us = s->start_late_us;
    s->settled = true;
}

/* Was the slope confirmed for so long? */
static bool is_firm(const struct timeline_steer *s, int64_t for_us)
{
    return s->slope != 0 && fabs(s->slope) <= SLOPE_FIRM_MAX &&
           s->slope_at_us - s->slope_since_us >= for_us;
}

/* What the newest fit says of the clock's slope.  Packets that are late for a while leave no
 * straight line: then the slope is the one that was right before, for long enough. */
static void take_slope(struct timeline_steer *s, const struct arrival_fit *fit)
{
    bool burst = fit->slope < BURST_SLOPE && s->newest_us - s->fast_since_us < BURST_MAX_US;
    bool other = arrival_fit_leaves(fit, s->slope);
    bool old = s->newest_us - s->slope_at_us > SLOPE_KEEP_US;
    bool firm = is_firm(s, SLOPE_FIRM_US);
    bool clean = fit->height_us < CLEAN_US && fit->bent_us < BENT_US;
    if (fit->is_clock && !burst && (!firm || other || old || clean))
        set_slope(s, fit->slope);
    else if (burst || old || !firm || (other && !fit->is_clock))
        s->slope = 0;
}

/* Is the arrival's pace too far from that of the reports to be the network's doing?  The clock has
 * changed its pace since.  A queue that grows delays both tracks. */
static bool contradicts(const struct timeline_steer *s, const struct arrival_fit *fit)
{
    bool both =
        s->off_pace > 0 ? s->other_off_pace > s->off_pace / 2 : s->other_off_pace < s->off_pace / 2;
    return s->report_pace > 0 && arrival_fit_leaves(fit, 1 - 1 / s->report_pace) &&
           fabs(s->off_pace) > DENIED_PACE && !both;
}

/* Did a report that came since tell the same pace again?  Then the packets are late. */
static bool reports_insist(const struct timeline_steer *s)
{
    return s->report_counts && s->reported_us > s->denied_since_us &&
           fabs(s->report_pace / s->denied_pace - 1) < SAME_REPORTS;
}

static void judge_reports(struct timeline_steer *s, const struct arrival_fit *fit)
{
    s->off_pace = (s->report_pace > 0 ? s->report_pace : 1) * (1 - fit->slope) - 1;
    bool denied = contradicts(s, fit);
    if (denied && s->denied_since_us == INT64_MAX) {
        s->denied_since_us = s->newest_us;
        s->denied_pace = s->report_pace;
    } else if (!denied && s->newest_us - s->denied_at_us > DENIED_KEEP_US) {
        s->denied_since_us = INT64_MAX;
    }
    if (denied)
        s->denied_at_us = s->newest_us;
    s->denied = denied && !reports_insist(s);
}

/* Set the clock's pace.  @return how much later than out_us a stamp's output should be. */
static int64_t off_by_arrival(struct timeline_steer *s, int64_t stamp_us, int64_t out_us)
{
    struct arrival_fit fit;
    bool fits = arrival_line_fit(&s->line, &fit);
    if (fits)
        take_slope(s, &fit);
    else
        s->slope = 0;
    bool told = fits && s->slope == fit.slope;
    double slope = s->slope;
    if (fits)
        judge_reports(s, &fit);
    if (s->report_pace > 0 && s->report_counts && !s->denied &&
        !(told && is_firm(s, SLOPE_WINS_US))) {
        slope = 1 - 1 / s->report_pace;
        told = false;
    }
    s->clock_pace = fmax(1 / PACE_MAX, fmin(PACE_MAX, 1 / (1 - fmin(slope, 1 - 1e-5))));
    int64_t late_us = told ? fit.late_us : arrival_line_level(&s->line, slope);
    s->arrival_us = s->newest_us + scale(stamp_us + late_us - s->newest_us, s->clock_pace);
    return s->settled ? s->arrival_us - s->reference_us - out_us : 0;
}

/* Note by how much packets are later than the clock's error explains.  A new pace of the clock
 * explains what was late before. */
static void note_lateness(struct timeline_steer *s, double pace_before, int64_t expected_us,
                          int64_t passed_us)
{
    if (fabs(pace_before / s->clock_pace - 1) > SAME_PACE)
        track_lateness_clear(&s->lateness, s->newest_us + CLOCK_SETTLES_US);
    if (s->settled)
        track_lateness_note(&s->lateness, s->arrival_us - expected_us, passed_us, s->newest_us);
}

/* While one track comes later than the other, the other's output is decided long before: what both
 * are corrected by in between puts them apart. */
static double correction_max(const struct timeline_steer *s)
{
    double apart_us = (double)llabs(s->lateness.late_us - s->other_late_us);
    return fmin(CORRECTION_MAX, CORRECTED_APART_US / fmax(apart_us, 1));
}

/* How fast to move the output to where the arrival wants it, in time per time. */
static double correction_alone(struct timeline_steer *s)
{
    int64_t size_us = llabs(s->off_us);
    s->correcting = size_us > DEADBAND_US || (s->correcting && size_us > DONE_US);
    if (!s->correcting)
        return 0;
    double most = correction_max(s);
    return fmax(-most, fmin(most, (double)s->off_us / 1e6 / RESPONSE_S));
}

/* The same for where the other track wants it, until the two match exactly.  Both take the other
 * track's own correction, else this one would lag behind it. */
static double correction_in_step(struct timeline_steer *s, const struct timeline_steer_peer *peer)
{
    int64_t size_us = llabs(peer->wanted_us);
    if (size_us <= STEP_SNAP_US)
        s->anchor_out_us += peer->wanted_us;
    bool moves = peer->correction != 0;
    s->correcting = size_us > STEP_US || moves || (s->correcting && size_us > STEP_SNAP_US);
    if (!s->correcting || size_us <= STEP_SNAP_US)
        return peer->correction;
    double speed = fmax(STEP_SPEED, (double)size_us / 1e6 / RESPONSE_S);
    speed = fmin(speed, (double)size_us / CONTROL_US);
    double correction = peer->correction + (peer->wanted_us < 0 ? -speed : speed);
    return fmax(-CORRECTION_MAX, fmin(CORRECTION_MAX, correction));
}

/* When packets that were late for a while are in time again, they are ahead by what the output was
 * made later. */
static void note_move(struct timeline_steer *s, int64_t out_us)
{
    double passed_us = fmin((double)(out_us - s->anchor_out_us), CORRECTED_US);
    s->moved_us += llrint(passed_us * (1 - s->clock_pace / s->pace));
    s->moved_us = s->moved_us < 0 ? 0 : s->moved_us > MOVED_MAX_US ? MOVED_MAX_US : s->moved_us;
}

/* The peer decides where this track belongs: accept its lateness, but for what both share.  Slowly:
 * one track's arrival may tell of a change before the other's does. */
static int64_t own_lateness(int64_t apart_us)
{
    return apart_us < -OWN_STEP_US ? -OWN_STEP_US : apart_us > OWN_STEP_US ? OWN_STEP_US : apart_us;
}

static void control(struct timeline_steer *s, int64_t stamp_us,
                    const struct timeline_steer_peer *peer)
{
    int64_t out_us = timeline_steer_out(s, stamp_us);
    int64_t passed_us = s->newest_us - s->control_us + CONTROL_US;
    double pace = s->clock_pace;
    int64_t expected_us = s->arrival_us + scale(stamp_us - s->anchor_us, pace);
    note_move(s, out_us);
    anchor(s, stamp_us, out_us);
    s->pace_before = s->pace;
    s->control_us = s->newest_us + CONTROL_US;
    s->off_us = off_by_arrival(s, stamp_us, out_us);
    note_lateness(s, pace, expected_us, passed_us);
    if (peer != NULL)
        s->off_us += s->other_late_us - s->lateness.late_us;
    if (peer != NULL && peer->certain) {
        if (!s->on_trial)
            s->own_reference_us = s->reference_us;
        s->on_trial = !peer->proven;
        if (!timeline_steer_is_bursting(s))
            s->reference_us += own_lateness(s->off_us - peer->off_us);
        s->off_us = peer->off_us;
        if (peer->clock_pace > 0)
            s->clock_pace = peer->clock_pace;
    }
    bool in_step = peer != NULL && (peer->asked || peer->certain);
    double correction = in_step ? correction_in_step(s, peer) : correction_alone(s);
    if (timeline_steer_is_bursting(s))
        correction = 0; /* else it would put packets ahead of their arrival, as history is */
    s->pace = s->clock_pace * (1 + correction);
}

/* --- history ---------------------------------------------------------------- */

/*
 * A packet's output would be too far ahead of its arrival: put it where its arrival says.
 * @return true if it is history; false if this one stamp alone stepped forth.
 */
static bool put_back(struct timeline_steer *s, int64_t stamp_us, int64_t received_us)
{
    bool stepped = !timeline_steer_is_bursting(s) && stamp_us - s->newest_stamp_us > AHEAD_US;
    if (!timeline_steer_is_bursting(s))
        s->fast_since_us = received_us;
    if (!s->settled && !stepped) {
        s->begun_us = received_us;
        s->reference_us = s->start_late_us;
    }
    s->history_us = received_us + BURST_US;
    s->arrival_us += scale(stamp_us - s->anchor_us, s->clock_pace);
    track_lateness_clear(&s->lateness, 0);
    s->correcting = false;
    s->moved_us = 0;
    if (received_us >= s->control_us) {
        s->control_us = received_us + CONTROL_US;
        (void)off_by_arrival(s, stamp_us, received_us);
    }
    s->pace = s->clock_pace;
    anchor(s, stamp_us, received_us - s->reference_us);
    return !stepped;
}

/* How far a packet may be ahead of its arrival. */
static int64_t ahead_max_us(const struct timeline_steer *s, int64_t stamp_us,
                            const struct timeline_steer_peer *peer)
{
    if (timeline_steer_is_bursting(s))
        return AHEAD_BURST_US;
    bool steps = stamp_us - s->newest_stamp_us > AHEAD_US;
    int64_t in_step_us = peer != NULL && peer->certain && peer->clock_pace > 0 && !steps
                             ? MOVED_MAX_US
                             : s->moved_us;
    return AHEAD_US + in_step_us + (s->correcting ? SETTLE_FALL_US : 0);
}

bool timeline_steer_take(struct timeline_steer *steer, int64_t stamp_us, int64_t decode_us,
                         int64_t received_us, const struct timeline_steer_peer *peer)
{
    struct timeline_steer *s = steer;
    s->newest_us = received_us;
    arrival_line_add(&s->line, decode_us, received_us);
    if (!s->settled && !timeline_steer_is_bursting(s))
        settle(s, received_us - timeline_steer_out(s, decode_us), received_us);

    bool history = false;
    int64_t ahead_us = timeline_steer_out(s, decode_us) - (received_us - s->reference_us);
    if (ahead_us > ahead_max_us(s, decode_us, peer))
        history = put_back(s, decode_us, received_us);
    else if (received_us >= s->control_us && stamp_us > s->anchor_us)
        control(s, stamp_us, peer);
    s->newest_stamp_us = decode_us > s->newest_stamp_us ? decode_us : s->newest_stamp_us;
    return history;
}
