/*
 * The output clock while one track comes later than the other: sound or pictures are held back for
 * some seconds, or come in a clump after the other track's, or in a burst beside it; and sender
 * reports that are late, few, set or no clock at all.  Picture to sound is measured by when both
 * were taken. LATE_VERBOSE=1 prints the table.
 */
#include "worker/video/timeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S INT64_C(1000000)
#define MS INT64_C(1000)
#define ARRIVAL (5000 * S)
#define SECONDS 100
#define ACQUIRED (9 * S)
#define JITTER (20 * MS)
#define PACKETS_MAX (SECONDS * 120)
#define BURST_SPEED 4
#define SANE 0.011
#define AHEAD_MAX 80
#define V 1
#define A 2

/* For some time packets come later.  Each comes twice, the second time 30 s after the first. */
enum shape {
    STEP,  /* by so much */
    STALL, /* none comes, then all at once */
    RAMP,  /* more and more, then less and less */
    LOST,  /* for ever: they are lost, and the stamps do not tell */
};

enum reports {
    NONE,
    RIGHT,
    FIRST, /* one, at the beginning */
    FIRST_TWO /* ... or two */,
    STANDING, /* the wall clock stands still */
    SET,      /* it is set by 3 s, and sound reports only every 12 s */
    FEW,      /* every 24 s */
    WHOLE,    /* the wall clock counts seconds, and reports come at odd times, */
    TENTHS,   /* ... or tenths */
    SET_LATER /* it is set by set_ms after set_s, between reports of the two tracks */
};

struct camera {
    const char *name;
    double drift[TRACK_COUNT];
    enum reports reports;
    int tracks; /* V, A or both: which are late */
    enum shape shape;
    int late_ms;
    int for_ms;
    int forth_s;                 /* the stamps of both tracks step forth by so much after 40 s */
    int back_ms;                 /* the stamps of the tracks step back by so much, ... */
    int back_every_ms;           /* ... so often; 0: every 2 s */
    int history_ms[TRACK_COUNT]; /* is sent at first, four times as fast as it was taken */
    double burst_speed;          /* ... or so many times; 0: BURST_SPEED */
    int settles_s;               /* so many seconds after 20 and 50 s are not judged */
    int from_s;                  /* is judged from there on; 0: ACQUIRED */
    int frame_ms;                /* 0: 40 */
    int sound_late_ms;           /* sound always comes so late, and its stamps tell nothing */
    int whole_ms;                /* the wall clock shows a whole second at that time */
    int set_s, set_ms;           /* as SET_LATER says */
};

struct packet {
    double sent_us, out_us;
};

struct track_state {
    struct packet packets[PACKETS_MAX];
    int count;
    int64_t interval_us, sent_us, stamp_us, arrival_us, report_us;
    int reported;
};

struct verdict {
    double apart; /* ms, picture to sound */
    double at_s;
    double ahead; /* ms, of the arrival */
    int skipped;
};

static struct track_state tracks[TRACK_COUNT];
static uint32_t random_state;

static int64_t random_below(int64_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int64_t)(random_state >> 8) % n;
}

static int64_t since_episode(int64_t sent_us)
{
    return sent_us < 50 * S ? sent_us - 20 * S : sent_us - 50 * S;
}

static int64_t lateness(const struct camera *c, enum track track, int64_t sent_us)
{
    int64_t in_us = since_episode(sent_us), for_us = c->for_ms * MS, late_us = c->late_ms * MS;
    if (in_us < 0 || in_us >= for_us || (c->tracks & (track == TRACK_VIDEO ? V : A)) == 0)
        return 0;
    if (c->shape == STALL)
        return for_us - in_us;
    if (c->shape == LOST)
        return 0;
    return c->shape == STEP ? late_us
                            : late_us - llabs(in_us - for_us / 2) * late_us / (for_us / 2);
}

static void next_arrival(const struct camera *c, enum track track)
{
    struct track_state *t = &tracks[track];
    int64_t at = t->sent_us + lateness(c, track, t->sent_us) + random_below(JITTER);
    at += track == TRACK_AUDIO ? c->sound_late_ms * MS : 0;
    double speed = c->burst_speed > 0 ? c->burst_speed : BURST_SPEED;
    int64_t burst_us = (int64_t)((double)(t->sent_us + c->history_ms[track] * MS) / speed);
    if (c->history_ms[track] > 0 && burst_us > at)
        at = burst_us;
    t->arrival_us = at > t->arrival_us ? at : t->arrival_us;
}

static void start(const struct camera *c)
{
    random_state = 1;
    for (int i = 0; i < TRACK_COUNT; i++) {
        struct track_state *t = &tracks[i];
        int64_t frame = (c->frame_ms > 0 ? c->frame_ms : 40) * MS;
        t->interval_us = i == TRACK_VIDEO ? frame : 20 * MS;
        t->count = t->reported = 0;
        t->sent_us = -c->history_ms[i] * MS;
        t->stamp_us = t->sent_us + (i == TRACK_AUDIO && c->sound_late_ms > 0 ? 30 : 10) * S;
        t->arrival_us = 0;
        t->report_us = i == TRACK_VIDEO ? 100 * MS : 300 * MS;
        next_arrival(c, i);
    }
}

static void report(struct timeline *timeline, const struct camera *c, enum track track,
                   int64_t received_us)
{
    struct track_state *t = &tracks[track];
    int64_t wall = 1000 * S + t->sent_us - c->whole_ms * MS, every = 5 * S;
    if (t->sent_us < t->report_us || c->reports == NONE ||
        (c->reports == FIRST && t->reported >= 1) || (c->reports == FIRST_TWO && t->reported >= 2))
        return;
    if (c->reports == STANDING)
        wall = 1000 * S;
    if (c->reports == SET) {
        wall += t->sent_us > 40 * S ? 3 * S : 0;
        every = track == TRACK_AUDIO ? 12 * S : every;
    }
    if (c->reports == WHOLE || c->reports == TENTHS) {
        wall -= wall % (c->reports == WHOLE ? S : S / 10);
        every += track == TRACK_AUDIO ? 370 * MS : -230 * MS;
    }
    if (c->reports == FEW)
        every = 24 * S;
    if (c->reports == SET_LATER)
        wall += t->sent_us > c->set_s * S + 200 * MS ? c->set_ms * MS : 0;
    timeline_report(timeline, track, t->stamp_us, wall, received_us);
    t->reported++;
    t->report_us += every;
}

static bool is_lost(const struct camera *c, enum track track, int64_t sent_us)
{
    int64_t in_us = since_episode(sent_us);
    return c->shape == LOST && (c->tracks & (track == TRACK_VIDEO ? V : A)) != 0 && in_us >= 0 &&
           in_us < c->for_ms * MS;
}

static void send_packet(struct timeline *timeline, const struct camera *c, enum track track,
                        struct verdict *v)
{
    struct track_state *t = &tracks[track];
    struct timeline_out out;
    int64_t forth = t->sent_us > 40 * S ? c->forth_s * S : 0;
    int64_t every_us = c->back_every_ms > 0 ? c->back_every_ms * MS : 2 * S;
    if ((c->tracks & (track == TRACK_VIDEO ? V : A)) != 0)
        forth -= t->sent_us / every_us * c->back_ms * MS;
    struct timeline_in in = {.track = track,
                             .pts_us = t->stamp_us + forth,
                             .dts_us = TIMELINE_NONE,
                             .duration_us = t->interval_us,
                             .received_us = ARRIVAL + t->arrival_us};
    t->stamp_us += forth;
    report(timeline, c, track, in.received_us);
    t->stamp_us -= forth;
    timeline_map(timeline, &in, &out);
    v->skipped += out.history;
    if (t->sent_us >= ACQUIRED)
        v->ahead = fmax(v->ahead, (double)(out.pts_us - in.received_us) / 1000);
    if (!out.history && t->count < PACKETS_MAX)
        t->packets[t->count++] =
            (struct packet){(double)t->sent_us, (double)(out.pts_us - ARRIVAL)};
    do
        t->sent_us += (int64_t)((double)t->interval_us / (1 + c->drift[track]));
    while (is_lost(c, track, t->sent_us));
    t->stamp_us += t->interval_us;
    next_arrival(c, track);
}

/* How long after it was taken something is shown; sound between two packets, too. */
static double delay_at(const struct track_state *t, double sent_us, int *from)
{
    while (*from + 2 < t->count && t->packets[*from + 1].sent_us <= sent_us)
        ++*from;
    const struct packet *a = &t->packets[*from], *b = a + 1;
    double share = (sent_us - a->sent_us) / (b->sent_us - a->sent_us);
    return a->out_us + (b->out_us - a->out_us) * share - sent_us;
}

static bool is_judged(const struct camera *c, double sent_us)
{
    int64_t in_us = since_episode((int64_t)sent_us);
    return sent_us >= (double)(c->from_s > 0 ? c->from_s * S : ACQUIRED) &&
           sent_us < tracks[TRACK_AUDIO].packets[tracks[TRACK_AUDIO].count - 1].sent_us &&
           (in_us < -S || in_us >= c->settles_s * S);
}

static struct verdict run(const struct camera *c)
{
    struct timeline timeline;
    struct verdict v = {0};
    int from = 0;
    timeline_init(&timeline);
    start(c);
    while (tracks[TRACK_VIDEO].sent_us < SECONDS * S) {
        bool video = tracks[TRACK_VIDEO].arrival_us <= tracks[TRACK_AUDIO].arrival_us;
        send_packet(&timeline, c, video ? TRACK_VIDEO : TRACK_AUDIO, &v);
    }
    for (int i = 0; i < tracks[TRACK_VIDEO].count; i++) {
        const struct packet *p = &tracks[TRACK_VIDEO].packets[i];
        if (!is_judged(c, p->sent_us))
            continue;
        double sound = delay_at(&tracks[TRACK_AUDIO], p->sent_us, &from);
        double apart = (p->out_us - p->sent_us - sound) / 1000;
        if (fabs(apart) > fabs(v.apart)) {
            v.apart = apart;
            v.at_s = p->sent_us / 1e6;
        }
    }
    return v;
}

static bool is_sane(const struct camera *c)
{
    return fabs(c->drift[TRACK_VIDEO]) < SANE && fabs(c->drift[TRACK_AUDIO]) < SANE;
}

static int check(const struct camera *c, bool may_skip)
{
    struct verdict v = run(c);
    bool lost = c->shape == LOST;
    bool good = fabs(v.apart) <= (is_sane(c) ? 80 : 200) && (may_skip || v.skipped == 0) &&
                (!lost || v.ahead <= AHEAD_MAX);
    if (!good || getenv("LATE_VERBOSE") != NULL)
        print_message("%-32s video %+5.1f %%, audio %+5.1f %%, reports %d, %s%s %d ms for %d ms, "
                      "back %d ms every %d ms: "
                      "picture to sound %+6.1f ms at %.1f s, ahead %.1f ms, skipped %d%s\n",
                      c->name, c->drift[TRACK_VIDEO] * 100, c->drift[TRACK_AUDIO] * 100,
                      (int)c->reports, (c->tracks & V) != 0 ? "V" : "",
                      (c->tracks & A) != 0 ? "A" : "", c->late_ms, c->for_ms, c->back_ms,
                      c->back_every_ms, v.apart, v.at_s, v.ahead, v.skipped,
                      good ? "" : "  <- too much");
    return !good;
}

static const double drifts[][TRACK_COUNT] = {{0, 0},     {0.0005, 0}, {0, 0.01}, {0.01, 0.01},
                                             {0, -0.05}, {-0.5, 0},   {0, 0.5},  {0.3, -0.3}};
#define DRIFTS (sizeof(drifts) / sizeof(drifts[0]))

/* One track or both are late by up to 0.7 s for up to 10 s: the camera's stamps still tell. */
static void test_one_track_late(void **state)
{
    static const int late_ms[] = {100, 300, 700}, for_ms[] = {3000, 10000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 3 * 2 * 3; i++) {
        const double *drift = drifts[i / 18];
        struct camera c = {"late", .drift = {drift[0], drift[1]}, .tracks = 1 + i % 3,
                           .late_ms = late_ms[i / 3 % 3], .for_ms = for_ms[i / 9 % 2]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* With sender reports, lateness of any shape and size, that of the reports as well. */
static void test_one_track_late_with_reports(void **state)
{
    static const struct camera kinds[] = {
        {"late", .shape = STEP, .late_ms = 700, .for_ms = 10000},
        {"late", .shape = STEP, .late_ms = 1500, .for_ms = 5000},
        {"late", .shape = STEP, .late_ms = 1500, .for_ms = 20000},
        {"later and later", .shape = RAMP, .late_ms = 300, .for_ms = 10000},
        {"stall", .shape = STALL, .for_ms = 1500, .settles_s = 3},
        {"stall", .shape = STALL, .for_ms = 3000, .settles_s = 4},
    };
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 3 * 6; i++) {
        const double *drift = drifts[i / 18];
        struct camera c = kinds[i % 6];
        c.drift[TRACK_VIDEO] = drift[0];
        c.drift[TRACK_AUDIO] = drift[1];
        c.reports = RIGHT;
        c.tracks = 1 + i / 6 % 3;
        failures += check(&c, c.shape == STALL);
    }
    assert_int_equal(failures, 0);
}

/* After a stall one track comes in a clump, before or after the other's: a few seconds later both
 * are where they were. */
static void test_clump_after_stall(void **state)
{
    int failures = 0;
    (void)state;
    for (int i = 0; i < 2 * 3 * 4; i++) {
        struct camera c = {"stall",         .tracks = 1 + i % 3,
                           .shape = STALL,  .for_ms = 700 + i / 3 % 4 * 900,
                           .settles_s = 12, .frame_ms = i >= 12 ? 200 : 40};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* Reports that tell nothing, or little, or only at first, do no harm. */
static void test_bad_reports(void **state)
{
    static const enum reports kinds[] = {FIRST, FIRST_TWO, STANDING, SET, WHOLE, TENTHS};
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 6; i++) {
        const double *drift = drifts[i / 6];
        struct camera c = {"bad reports", .drift = {drift[0], drift[1]}, .reports = kinds[i % 6]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* The camera's wall clock is set by little, while jitter has made most reports a bit later than the
 * earliest one of the last minute. */
static void test_wall_clock_set(void **state)
{
    static const int set_ms[] = {-1500, -700, 700, 1500};
    int failures = 0;
    (void)state;
    for (int i = 0; i < 4 * 4; i++) {
        struct camera c = {"wall clock set", .reports = SET_LATER, .set_s = 55 + i / 4 * 10,
                           .set_ms = set_ms[i % 4]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* The camera sets its wall clock between the first two reports of a track, as after its start: that
 * tells no pace. */
static void test_wall_clock_set_at_start(void **state)
{
    static const int set_ms[] = {-60000, -500, 500, 60000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < 3 * 4; i++) {
        const double *drift = drifts[i / 4];
        struct camera c = {"wall clock set at start", .drift = {drift[0], drift[1]},
                           .reports = SET_LATER, .set_ms = set_ms[i % 4]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* A track that is late by so much that it is placed by its arrival, between its first two reports:
 * they tell no pace then. */
static void test_late_between_few_reports(void **state)
{
    static const int late_ms[] = {950, 1200, 1500, 2000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < 3 * 4; i++) {
        struct camera c = {
            "late",         .reports = FEW, .tracks = 1 + i % 3, .late_ms = late_ms[i / 3],
            .for_ms = 5000, .settles_s = 18};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* The camera's stamps step forth while sender reports come: the report before the step is of the
 * stamps before it. */
static void test_stamps_set_with_reports(void **state)
{
    static const int forth_s[] = {2, 4, 8, 60, 3600};
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 5; i++) {
        const double *drift = drifts[i / 5];
        struct camera c = {"stamps step forth", .drift = {drift[0], drift[1]}, .reports = RIGHT,
                           .forth_s = forth_s[i % 5]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* Stamps that step back again and again, as sender reports confirm. */
static void test_stamps_step_back_with_reports(void **state)
{
    static const int back_ms[] = {100, 300, 500, 850, 1200, 2000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < 3 * 6; i++) {
        struct camera c = {"stamps step back", .reports = RIGHT, .tracks = 1 + i % 3,
                           .back_ms = back_ms[i / 3]};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* Stamps that step forth again and again, as sender reports confirm: nothing is squeezed or left
 * out, and a report between two packets counts on its side of the step. */
static void test_stamps_step_forth(void **state)
{
    static const int every_ms[] = {1500, 2000, 3000, 4600}, forth_ms[] = {150, 300, 500, 850};
    int failures = 0;
    (void)state;
    for (int i = 0; i < 2 * 3 * 4 * 4; i++) {
        struct camera c = {"stamps step forth", .reports = i >= 48 ? RIGHT : NONE,
                           .tracks = 1 + i % 3, .back_ms = -forth_ms[i / 3 % 4],
                           .back_every_ms = every_ms[i / 12 % 4]};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* A camera loses media of one track or both, and counts its stamps on: a few seconds after the next
 * report sound is beside the picture again. */
static void test_lost_media_with_reports(void **state)
{
    static const int lost_ms[] = {400, 1000, 2000, 3000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 3 * 4; i++) {
        const double *drift = drifts[i / 12];
        struct camera c = {
            "lost",         .drift = {drift[0], drift[1]}, .shape = LOST,   .tracks = 1 + i % 3,
            .settles_s = 8, .for_ms = lost_ms[i / 3 % 4],  .reports = RIGHT};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* The camera pauses both tracks, and its stamps stand still meanwhile. */
static void test_pauses_with_reports(void **state)
{
    static const int paused_ms[] = {1500, 4000, 8000};
    int failures = 0;
    (void)state;
    for (int i = 0; i < (int)DRIFTS * 3; i++) {
        const double *drift = drifts[i / 3];
        struct camera c = {"paused",        .drift = {drift[0], drift[1]}, .shape = LOST,
                           .tracks = V | A, .for_ms = paused_ms[i % 3],    .reports = RIGHT};
        c.settles_s = paused_ms[i % 3] / 1000 + 4;
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* The first report of one track is of a whole second by chance: it counts at once. */
static void test_first_report_of_a_whole_second(void **state)
{
    int failures = 0;
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct camera c = {"whole second", .reports = RIGHT, .sound_late_ms = 300, .from_s = 4,
                           .whole_ms = i == 0   ? 0
                                       : i == 1 ? 120
                                                : 300};
        failures += check(&c, false);
    }
    assert_int_equal(failures, 0);
}

/* A server sends what it has cached of one track, and of the other less, or nothing. */
static void test_history_of_one_track(void **state)
{
    static const int history_ms[][TRACK_COUNT] = {{2000, 0},    {0, 2000}, {2000, 1000},
                                                  {5000, 2500}, {5000, 0}, {5000, 5000}};
    (void)state;
    int failures = 0;
    (void)state;
    for (int i = 0; i < 2 * 6; i++) {
        struct camera c = {"history", .reports = i >= 6 ? RIGHT : NONE,
                           .history_ms = {history_ms[i % 6][0], history_ms[i % 6][1]}};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

/* A server sends what it has cached of one track at little more than real time, and the other
 * track live: some seconds after it both are together. */
static void test_slow_history_of_one_track(void **state)
{
    int failures = 0;
    (void)state;
    for (int i = 0; i < 2 * 2 * 3; i++) {
        struct camera c = {"slow history",
                           .history_ms = {i % 2 == 0 ? 2000 : 0, i % 2 * 2000},
                           .burst_speed = 1.3 + i / 2 % 3 * 0.1,
                           .reports = i >= 6 ? RIGHT : NONE,
                           .settles_s = 5,
                           .from_s = 25};
        failures += check(&c, true);
    }
    assert_int_equal(failures, 0);
}

struct queue {
    bool of[TRACK_COUNT]; /* the tracks whose packets go through it */
    int64_t full_us;      /* from QUEUE_BEGINS_US on it grows up to that, */
    int64_t grows_us;     /* ... within this time, and drains within a third of it */
};

#define QUEUE_BEGINS_US (15 * S)

static int64_t queued_us(const struct queue *queue, enum track track, int64_t sent_us)
{
    int64_t since_us = sent_us - QUEUE_BEGINS_US;
    int64_t drained_us = queue->grows_us * 4 / 3;
    if (!queue->of[track] || since_us < 0 || since_us >= drained_us)
        return 0;
    return since_us < queue->grows_us
               ? queue->full_us * since_us / queue->grows_us
               : queue->full_us * 3 * (drained_us - since_us) / queue->grows_us;
}

/* How far a right camera's tracks, with sender reports, get apart behind a queue. */
static int64_t apart_behind(const struct queue *queue)
{
    struct timeline timeline;
    int64_t sent[TRACK_COUNT] = {0}, moved_us[TRACK_COUNT] = {0}, apart_us = 0;
    timeline_init(&timeline);
    while (sent[TRACK_VIDEO] < 50 * S) {
        int64_t due[TRACK_COUNT];
        for (enum track t = 0; t < TRACK_COUNT; t++)
            due[t] = sent[t] + queued_us(queue, t, sent[t]);
        enum track track = due[TRACK_VIDEO] <= due[TRACK_AUDIO] ? TRACK_VIDEO : TRACK_AUDIO;
        struct timeline_in in = {.track = track,
                                 .pts_us = sent[track],
                                 .dts_us = TIMELINE_NONE,
                                 .duration_us = track == TRACK_VIDEO ? 40 * MS : 20 * MS,
                                 .received_us = 5000 * S + due[track]};
        struct timeline_out out;
        if (sent[track] % (5 * S) == (track == TRACK_VIDEO ? 320 * MS : 720 * MS))
            timeline_report(&timeline, track, sent[track], 1700000000 * S + sent[track],
                            in.received_us);
        timeline_map(&timeline, &in, &out);
        if (!out.history) /* else it is not sent, or not seen */
            moved_us[track] = out.pts_us - sent[track];
        int64_t apart = llabs(moved_us[TRACK_VIDEO] - moved_us[TRACK_AUDIO]);
        if (sent[track] > 10 * S && apart > apart_us)
            apart_us = apart;
        sent[track] += in.duration_us;
    }
    return apart_us;
}

/* A queue that grows is no other pace of both clocks, nor of one for longer than a report takes. */
static void test_queue_that_grows(void **state)
{
    static const int64_t full_us[] = {1 * S, 2 * S};
    static const int64_t grows_us[] = {6 * S, 12 * S, 18 * S, 25 * S};
    (void)state;
    assert_true(apart_behind(&(struct queue){{true, true}, 2 * S, 12 * S}) <= 120 * MS);
    for (int i = 0; i < 2 * 4; i++) {
        struct queue queue = {{[TRACK_AUDIO] = true}, full_us[i % 2], grows_us[i / 2]};
        assert_true(apart_behind(&queue) <= 700 * MS);
        queue = (struct queue){{[TRACK_VIDEO] = true}, full_us[i % 2], grows_us[i / 2]};
        assert_true(apart_behind(&queue) <= 1400 * MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_that_grows),
        cmocka_unit_test(test_one_track_late),
        cmocka_unit_test(test_one_track_late_with_reports),
        cmocka_unit_test(test_clump_after_stall),
        cmocka_unit_test(test_bad_reports),
        cmocka_unit_test(test_wall_clock_set),
        cmocka_unit_test(test_wall_clock_set_at_start),
        cmocka_unit_test(test_late_between_few_reports),
        cmocka_unit_test(test_stamps_set_with_reports),
        cmocka_unit_test(test_stamps_step_back_with_reports),
        cmocka_unit_test(test_stamps_step_forth),
        cmocka_unit_test(test_lost_media_with_reports),
        cmocka_unit_test(test_pauses_with_reports),
        cmocka_unit_test(test_first_report_of_a_whole_second),
        cmocka_unit_test(test_history_of_one_track),
        cmocka_unit_test(test_slow_history_of_one_track),
    };
    return cmocka_run_group_tests_name("timeline late", tests, NULL, NULL);
}
