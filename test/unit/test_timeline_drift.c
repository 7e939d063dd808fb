/*
 * The output clock against cameras whose clocks run wrong: for each track, with and without sender
 * reports, five minutes at accelerated clocks.  DRIFT_VERBOSE=1 prints the tables, in ms.  Output
 * to arrival is measured against the sending: it is the arrival without what the way adds.
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
#define SECONDS 300
#define ACQUIRED (5 * S) /* until then a pace that is wrong by far may show */
#define JITTER (20 * MS)
#define REPORT_EVERY (5 * S)

/* What is known of one track of the camera. */
struct clock {
    double drift;        /* of the stamps: 0.01 is 1 % fast */
    int64_t interval_us; /* of packets, in stamps */
    int64_t sent_us;     /* real time of the next packet */
    int64_t stamp_us;    /* its stamp */
    int64_t report_us;   /* real time of the next sender report */
    int sent;            /* packets */
};

struct camera {
    const char *name;
    double drift[TRACK_COUNT];
    double change; /* from the middle on, the picture's drift is this; 0: it stays */
    bool reports;
    int64_t apart_us;       /* the sound's stamps are so much too early, as only the reports tell */
    int64_t stall_us;       /* every 20 s nothing arrives for so long, then all at once */
    int64_t late_us;        /* every minute, for ten seconds, packets are late by so much */
    int64_t begins_us;      /* what was sent before this arrives at once, first of all */
    int64_t frame_us;       /* 0: 40 ms */
    int64_t acquired_us;    /* 0: ACQUIRED */
    double hz[TRACK_COUNT]; /* the stamps count at this rate; 0: at the one that is announced */
    double hz_change;       /* from the middle on, the picture's do at this rate */
    int64_t sound_from_us;  /* before that there is no sound */
    bool b_frames;          /* three between two others, as x264 sends them */
};

/* Largest distances, in ms. */
struct verdict {
    double sound;     /* picture to sound, once acquired */
    double arrival;   /* output to sending, once acquired */
    double acquiring; /* output to sending, before */
    double step;      /* output step */
    double uneven;    /* by which such a step is longer or shorter than real time */
    int skipped;      /* packets left out or pushed together */
    bool exact;       /* every step of the output was the stamps' own */
    double pace;      /* of the newest packet of sound: how much longer than by its samples it is */
};

static uint32_t random_state;

static int64_t random_below(int64_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int64_t)(random_state >> 8) % n;
}

struct run {
    const struct camera *camera;
    struct timeline timeline;
    struct clock clocks[TRACK_COUNT];
    struct verdict verdict;
    int64_t received_us;
    int64_t out_us[TRACK_COUNT];
    int64_t real_us[TRACK_COUNT];
    int64_t stamp_us[TRACK_COUNT];
    double delay_ms[TRACK_COUNT]; /* output - sending, of the newest packet */
    bool seen[TRACK_COUNT];
};

static double larger(double a, double b)
{
    return fabs(b) > a ? fabs(b) : a;
}

/* @param taken_us  when it was to be sent if frames came in the order that they are shown in. */
static void judge(struct run *r, enum track track, int64_t sent_us, int64_t taken_us,
                  int64_t stamp_us, const struct timeline_out *out)
{
    struct verdict *v = &r->verdict;
    enum track other = track == TRACK_VIDEO ? TRACK_AUDIO : TRACK_VIDEO;
    int64_t step = out->dts_us - r->out_us[track];
    int64_t acquired_us = r->camera->acquired_us > 0 ? r->camera->acquired_us : ACQUIRED;
    bool acquired = sent_us >= acquired_us;
    v->skipped += out->history || out->jumped || (r->seen[track] && step <= MS);
    if (track == TRACK_AUDIO)
        v->pace = out->pace;
    r->delay_ms[track] = (double)(out->pts_us - ARRIVAL - taken_us) / 1000;
    if (r->seen[track]) {
        v->step = larger(v->step, (double)step / 1000);
        v->uneven = larger(v->uneven, (double)(step - (sent_us - r->real_us[track])) / 1000);
        v->exact = v->exact && step == stamp_us - r->stamp_us[track];
    }
    if (acquired) {
        v->arrival = larger(v->arrival, r->delay_ms[track]);
        if (r->seen[other])
            v->sound = larger(v->sound, r->delay_ms[TRACK_VIDEO] - r->delay_ms[TRACK_AUDIO]);
    } else {
        v->acquiring = larger(v->acquiring, r->delay_ms[track]);
    }
    r->seen[track] = true;
    r->out_us[track] = out->dts_us;
    r->real_us[track] = sent_us;
    r->stamp_us[track] = stamp_us;
}

static int64_t arrival_of(struct run *r, int64_t sent_us)
{
    int64_t arrival = sent_us + random_below(JITTER);
    int64_t in_20 = sent_us % (20 * S);
    if (r->camera->stall_us > 0 && sent_us > 10 * S && in_20 > 10 * S &&
        in_20 < 10 * S + r->camera->stall_us)
        arrival = sent_us - in_20 + 10 * S + r->camera->stall_us;
    if (sent_us % (60 * S) >= 30 * S && sent_us % (60 * S) < 40 * S)
        arrival += r->camera->late_us;
    if (sent_us < r->camera->begins_us)
        arrival = r->camera->begins_us;
    if (ARRIVAL + arrival > r->received_us)
        r->received_us = ARRIVAL + arrival;
    return r->received_us;
}

/* Stamps that count at another rate than is announced, in 32 bits. */
static void set_stamp(const struct run *r, const struct clock *c, struct timeline_in *in)
{
    static const double announced[] = {90000, 8000};
    double hz = r->camera->hz[in->track];
    if (in->track == TRACK_VIDEO && r->camera->hz_change > 0 && c->sent_us > SECONDS / 2 * S)
        hz = r->camera->hz_change;
    if (hz <= 0)
        return;
    double ticks = floor((double)c->stamp_us * hz / 1e6);
    in->pts_us = llrint(fmod(ticks, 4294967296.0) * 1e6 / announced[in->track]);
    in->wrap_us = llrint(4294967296.0 * 1e6 / announced[in->track]);
}

/* I0 P4 B2 B1 B3 P8 B6 B5 B7: by how many frames one comes before its turn. */
static int early_frames(const struct run *r, enum track track)
{
    static const int early[] = {1, 5, 2, 0};
    int sent = r->clocks[track].sent;
    if (!r->camera->b_frames || track != TRACK_VIDEO)
        return 0;
    return sent > 0 ? early[sent % 4] : 2;
}

static void send_packet(struct run *r, enum track track)
{
    struct clock *c = &r->clocks[track];
    struct timeline_out out;
    int64_t early_us = early_frames(r, track) * c->interval_us;
    int64_t shift = early_us - (track == TRACK_AUDIO ? r->camera->apart_us : 0);
    struct timeline_in in = {
        .track = track,
        .pts_us = c->stamp_us + shift,
        .dts_us = TIMELINE_NONE,
        .duration_us = c->interval_us,
        .reorder_frames = r->camera->b_frames && track == TRACK_VIDEO ? 2 : 0,
        .received_us = arrival_of(r, c->sent_us),
    };
    set_stamp(r, c, &in);
    if (r->camera->reports && c->sent_us >= c->report_us) {
        timeline_report(&r->timeline, track, in.pts_us - early_us, 1000 * S + c->sent_us,
                        in.received_us);
        c->report_us += REPORT_EVERY;
    }
    timeline_map(&r->timeline, &in, &out);
    judge(r, track, c->sent_us, c->sent_us + (int64_t)((double)early_us / (1 + c->drift)),
          in.pts_us, &out);
    c->sent++;
    if (track == TRACK_VIDEO && r->camera->change != 0 && c->sent_us > SECONDS / 2 * S)
        c->drift = r->camera->change;
    c->sent_us += (int64_t)((double)c->interval_us / (1 + c->drift));
    c->stamp_us += c->interval_us;
}

static struct verdict run(const struct camera *camera)
{
    struct run r = {.camera = camera, .verdict.exact = true};
    random_state = 1;
    timeline_init(&r.timeline);
    for (int i = 0; i < TRACK_COUNT; i++) {
        int64_t frame = camera->frame_us > 0 ? camera->frame_us : 40 * MS;
        r.clocks[i] = (struct clock){.drift = camera->drift[i],
                                     .interval_us = i == TRACK_VIDEO ? frame : 20 * MS,
                                     .report_us = i == TRACK_VIDEO ? 100 * MS : 300 * MS};
    }
    r.clocks[TRACK_AUDIO].sent_us = r.clocks[TRACK_AUDIO].stamp_us = camera->sound_from_us;
    while (r.clocks[TRACK_VIDEO].sent_us < SECONDS * S) {
        bool video = r.clocks[TRACK_VIDEO].sent_us <= r.clocks[TRACK_AUDIO].sent_us;
        send_packet(&r, video ? TRACK_VIDEO : TRACK_AUDIO);
    }
    return r.verdict;
}

/* A wall clock that stands still, or was set, tells nothing. */
static void test_stuck_reports(void **state)
{
    struct timeline timeline;
    timeline_init(&timeline);
    for (int64_t ms = 0; ms < 60000; ms += 20) {
        struct timeline_out out;
        struct timeline_in in = {.track = ms % 40 == 0 ? TRACK_VIDEO : TRACK_AUDIO,
                                 .pts_us = ms * MS,
                                 .dts_us = TIMELINE_NONE,
                                 .duration_us = 40 * MS,
                                 .received_us = ARRIVAL + ms * MS};
        timeline_map(&timeline, &in, &out);
        assert_int_equal(out.pts_us, ARRIVAL + ms * MS);
        if (ms % 5000 == 2000)
            timeline_report(&timeline, TRACK_VIDEO, ms * MS, 7 * S, in.received_us);
        if (ms % 5000 == 2000)
            timeline_report(&timeline, TRACK_AUDIO, ms * MS, 7 * S, in.received_us);
        if (ms % 5000 == 2500 && ms > 5000)
            timeline_report(&timeline, TRACK_VIDEO, ms * MS, 7 * S, in.received_us);
    }
}

static void print_header(void)
{
    if (getenv("DRIFT_VERBOSE") != NULL)
        print_message(
            "| drift of | picture, %% | sound, %% | reports | picture to sound | output to "
            "arrival | in the first 5 s | largest step | ... beside real time | skipped "
            "|\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
}

static void print_row(const struct camera *c, const struct verdict *v)
{
    if (getenv("DRIFT_VERBOSE") != NULL)
        print_message("| %s | %+.1f | %+.1f | %s | %.0f | %.0f | %.0f | %.0f | %+.0f | %d |%s\n",
                      c->name, c->drift[TRACK_VIDEO] * 100, c->drift[TRACK_AUDIO] * 100,
                      c->reports ? "sent" : "none", v->sound, v->arrival, v->acquiring, v->step,
                      v->uneven, v->skipped, v->exact ? " exact" : "");
}

/* Drifts that the tables show. */
static const double drifts[] = {-0.5, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 0.25};
#define DRIFTS (sizeof(drifts) / sizeof(drifts[0]))
static const double rights[DRIFTS];
/* The other track's when both run wrong, each in its own way. */
static const double others[DRIFTS] = {0.25, 0.01, -0.1, 0.001, 0.1, -0.01, -0.001, -0.5, -0.1};

static bool is_good(const struct camera *c, const struct verdict *v)
{
    double most = larger(fabs(c->drift[TRACK_VIDEO]), c->drift[TRACK_AUDIO]);
    return v->sound <= (most <= 0.01 ? 80 : 200) && v->arrival <= 200 && v->step <= 200 &&
           v->skipped == 0 && (most > 0 || v->exact);
}

static void check_drifts(const char *name, const double video[DRIFTS], const double audio[DRIFTS])
{
    int failures = 0;
    print_header();
    for (size_t i = 0; i < 2 * DRIFTS; i++) {
        struct camera c = {name, .drift = {video[i / 2], audio[i / 2]}, .reports = i % 2 == 1};
        struct verdict v = run(&c);
        print_row(&c, &v);
        if (!is_good(&c, &v))
            print_message("  ^ too much\n");
        failures += !is_good(&c, &v);
    }
    assert_int_equal(failures, 0);
}

static void test_video(void **state)
{
    check_drifts("picture", drifts, rights);
}

static void test_audio(void **state)
{
    check_drifts("sound", rights, drifts);
}

static void test_both(void **state)
{
    check_drifts("both alike", drifts, drifts);
}

static void test_both_differently(void **state)
{
    check_drifts("both", drifts, others);
}

/* A clock this fast looks like history at first: some packets are left out. */
static void test_fastest(void **state)
{
    static const double of[][TRACK_COUNT] = {{0.5, 0}, {0, 0.5}, {0.5, 0.5}, {0.5, -0.5}};
    int failures = 0;
    for (size_t i = 0; i < 2 * sizeof(of) / sizeof(of[0]); i++) {
        struct camera c = {"fastest", .drift = {of[i / 2][0], of[i / 2][1]}, .reports = i % 2};
        struct verdict v = run(&c);
        print_row(&c, &v);
        failures += v.sound > 200 || v.arrival > 200 || v.step > 200 || v.skipped > 20;
    }
    assert_int_equal(failures, 0);
}

static void test_others(void **state)
{
    static const struct camera cameras[] = {
        {"stalls of 4 s", .stall_us = 4 * S},
        {"stalls of 1 s", .stall_us = 1 * S},
        {"a picture a second", .frame_us = 1 * S},
        {"5 fps", .frame_us = 200 * MS},
        {"stalls of 4 s, 1 % fast", {0.01, 0.01}, .stall_us = 4 * S},
    };
    for (size_t i = 0; i < sizeof(cameras) / sizeof(cameras[0]); i++) {
        struct verdict v = run(&cameras[i]);
        print_row(&cameras[i], &v);
        assert_true(v.sound <= 80);
        assert_true(v.arrival <= 80);
        assert_int_equal(v.skipped, 0);
        assert_true(v.exact || cameras[i].drift[0] != 0);
    }
}

/* The way from the camera is longer for ten seconds: no change of its clock.  The output follows,
 * and comes back, both tracks in step and without leaving anything out, at any frame rate, whether
 * or not sender reports tell where sound belongs. */
static void test_late(void **state)
{
    static const int64_t late_ms[] = {50, 200, 500, 850, 1000, 2000};
    static const int64_t frames_ms[] = {40, 200};
    int failures = 0;
    for (size_t i = 0; i < 4 * sizeof(late_ms) / sizeof(late_ms[0]); i++) {
        int64_t late = late_ms[i / 4];
        struct camera c = {"late for ten seconds", .late_us = late * MS,
                           .frame_us = frames_ms[i % 2] * MS, .reports = i % 4 >= 2};
        struct verdict v = run(&c);
        double apart = frames_ms[i % 2] > 40 ? 80 : late <= 500 ? 30 : 45;
        bool good = v.sound <= apart && v.arrival <= (double)late + 30 &&
                    fabs(v.uneven) <= (double)frames_ms[i % 2] / 2 && v.skipped == 0;
        print_row(&c, &v);
        if (!good)
            print_message("  ^ too much, %lld ms late, frames of %lld ms\n", (long long)late,
                          (long long)frames_ms[i % 2]);
        failures += !good;
    }
    assert_int_equal(failures, 0);
}

/* The picture's pace changes while it plays: an encoder that does not keep up, or a camera that
 * takes fewer pictures at night.  Sender reports tell that only later. */
static void test_change(void **state)
{
    static const struct camera cameras[] = {
        {"from right to 16 % slow", .change = -0.16},
        {"from right to 50 % slow", .change = -0.5},
        {"from right to 25 % fast", .change = 0.25},
        {"from 10 % slow to 10 % fast", {-0.1, 0}, .change = 0.1},
        {"from 50 % slow to right", {-0.5, 0}, .change = 1e-9},
    };
    for (size_t i = 0; i < 2 * sizeof(cameras) / sizeof(cameras[0]); i++) {
        struct camera c = cameras[i / 2];
        c.reports = i % 2 == 1;
        struct verdict v = run(&c);
        print_row(&c, &v);
        assert_true(v.arrival <= 500);
        assert_true(v.sound <= 500);
        assert_true(v.skipped <= 10); /* only when a clock runs twice as fast from one moment on */
    }
}

/* Stamps in milliseconds and other units: each track's alone, and the picture's from the middle on.
 * The sound is not stretched. */
static void test_units(void **state)
{
    static const double rates[] = {1,   30,    90,   1e3,  5.5e3, 8e3, 8.8e3,
                                   1e4, 11025, 48e3, 90e3, 180e3, 1e6};
    int failures = 0;
    for (size_t i = 0; i < 3 * sizeof(rates) / sizeof(rates[0]); i++) {
        char name[32];
        double hz = rates[i / 3];
        struct camera c = {name, .acquired_us = 12 * S};
        (void)snprintf(name, sizeof(name), "%s, %.0f Hz", i % 3 == 2 ? "change" : "", hz);
        *(i % 3 == 2 ? &c.hz_change : &c.hz[i % 3]) = hz;
        struct verdict v = run(&c);
        bool changes = i % 3 == 2;
        double limit = changes ? 700 : 80; /* while the change is not known yet */
        bool good = v.sound <= limit && v.arrival <= limit && fabs(v.pace - 1) < 0.01;
        print_row(&c, &v);
        if (!good)
            print_message("  ^ too much, or sound at a pace of %.3f\n", v.pace);
        failures += !good;
    }
    assert_int_equal(failures, 0);
}

/* Frames that come before their turn are no earlier for that, however wrong the clock is. */
static void test_b_frames(void **state)
{
    int failures = 0;
    for (size_t i = 0; i < 2 * DRIFTS; i++) {
        struct camera c = {"B-frames", .drift = {drifts[i / 2]}, .b_frames = true,
                           .reports = i % 2 == 1};
        struct verdict v = run(&c);
        bool good = v.sound <= 80 && v.arrival <= 200 && v.skipped <= 1;
        print_row(&c, &v);
        if (!good)
            print_message("  ^ too much\n");
        failures += !good;
    }
    assert_int_equal(failures, 0);
}

/* Sound that begins late: the picture's clock has run away meanwhile, so that equal stamps do not
 * belong together. */
static void test_late_sound(void **state)
{
    static const double pictures[] = {0, -0.16, 0.1};
    for (size_t i = 0; i < 2 * sizeof(pictures) / sizeof(pictures[0]); i++) {
        struct camera c = {"sound from 8 s on", .drift = {pictures[i / 2]}, .reports = i % 2 == 1,
                           .sound_from_us = 8 * S, .acquired_us = 8 * S};
        struct verdict v = run(&c);
        print_row(&c, &v);
        assert_true(v.sound <= 80);
        assert_true(v.arrival <= 80);
        assert_int_equal(v.skipped, 0);
    }
}

/* Frames are sent in order, though two may be reordered, at another rate than is known, and more
 * seldom from the middle on: that is no reason to move anything. */
static void test_order_that_is_declared(void **state)
{
    (void)state;
    static const int64_t intervals_ms[] = {33, 100, 200};
    for (size_t i = 0; i < sizeof(intervals_ms) / sizeof(intervals_ms[0]); i++) {
        int64_t interval = intervals_ms[i] * MS, next[TRACK_COUNT] = {0}, picture_moved = 0;
        struct timeline timeline;
        struct timeline_out out;
        timeline_init(&timeline);
        while (next[TRACK_VIDEO] < 60 * S) {
            enum track track = next[TRACK_VIDEO] <= next[TRACK_AUDIO] ? TRACK_VIDEO : TRACK_AUDIO;
            struct timeline_in in = {
                .track = track,
                .pts_us = next[track],
                .dts_us = TIMELINE_NONE,
                .duration_us = track == TRACK_AUDIO ? 20 * MS : 0,
                .reorder_frames = track == TRACK_AUDIO ? 0 : 2,
                .received_us = ARRIVAL + next[track],
            };
            timeline_map(&timeline, &in, &out);
            int64_t moved = out.pts_us - in.received_us;
            if (track == TRACK_VIDEO)
                picture_moved = moved;
            assert_true(llabs(moved) <= 10 * MS && llabs(moved - picture_moved) <= 10 * MS);
            assert_true(fabs(out.pace - 1) < 0.01);
            next[track] += track == TRACK_AUDIO   ? 20 * MS
                           : next[track] < 30 * S ? interval
                                                  : 2 * interval;
        }
    }
}

/* A start with packets that waited for the connection: both tracks are corrected at one speed. */
static void test_late_start(void **state)
{
    static const struct camera cameras[] = {
        {"160 ms at once", .begins_us = 160 * MS, .acquired_us = 1},
        {"160 ms at once, reports", .begins_us = 160 * MS, .acquired_us = 1, .reports = true},
    };
    for (size_t i = 0; i < sizeof(cameras) / sizeof(cameras[0]); i++) {
        struct verdict v = run(&cameras[i]);
        print_row(&cameras[i], &v);
        assert_true(v.sound <= 6);
        assert_true(v.arrival <= 200);
        assert_int_equal(v.skipped, 0);
    }
}

/* Reports that tell of sound 300 ms too early are believed, whatever its arrival says. */
static void test_reports_win(void **state)
{
    static const struct camera cameras[] = {
        {"sound 300 ms early", .reports = true, .apart_us = 300 * MS, .acquired_us = 20 * S},
        {"sound 300 ms early, 5 % slow",
         {0, -0.05},
         .reports = true,
         .apart_us = 300 * MS,
         .acquired_us = 20 * S},
        {"sound 300 ms early, slow picture",
         {-0.16, 0},
         .reports = true,
         .apart_us = 300 * MS,
         .acquired_us = 20 * S},
    };
    for (size_t i = 0; i < sizeof(cameras) / sizeof(cameras[0]); i++) {
        struct verdict v = run(&cameras[i]);
        print_row(&cameras[i], &v);
        assert_true(v.sound <= 40);
        assert_int_equal(v.skipped, 0);
    }
}

/* @return packets that jump or are left out once a stall of a perfect camera is over for a second.
 */
static int disturbed_after_stall(int64_t from_us, int64_t to_us, bool sound)
{
    struct timeline timeline;
    int64_t next_us[TRACK_COUNT] = {0};
    int disturbed = 0;
    timeline_init(&timeline);
    while (next_us[TRACK_VIDEO] < 15 * S) {
        bool is_sound = sound && next_us[TRACK_AUDIO] < next_us[TRACK_VIDEO];
        enum track track = is_sound ? TRACK_AUDIO : TRACK_VIDEO;
        int64_t sent_us = next_us[track];
        struct timeline_in in = {.track = track,
                                 .pts_us = sent_us,
                                 .dts_us = TIMELINE_NONE,
                                 .duration_us = is_sound ? 21333 : 40 * MS};
        struct timeline_out out;
        in.received_us = ARRIVAL + (sent_us >= from_us && sent_us < to_us ? to_us : sent_us);
        timeline_map(&timeline, &in, &out);
        disturbed += sent_us > to_us + S && (out.jumped || out.history);
        next_us[track] += in.duration_us;
    }
    return disturbed;
}

/* A camera is perfect but for one stall in its first seconds: nothing arrives, then all at once. */
static void test_early_stall(void **state)
{
    int failures = 0;
    for (int i = 0; i < 20 * 25 * 2; i++) {
        int64_t from_us = 60 * MS + i % 20 * 100 * MS, long_us = (i / 20 % 25 + 1) * 200 * MS;
        bool sound = i >= 20 * 25;
        int disturbed = disturbed_after_stall(from_us, from_us + long_us, sound);
        if (disturbed > 10)
            print_message("stall of %lld ms at %lld ms, sound %d: %d packets disturbed\n",
                          (long long)(long_us / MS), (long long)(from_us / MS), sound, disturbed);
        failures += disturbed > 10;
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_video),
        cmocka_unit_test(test_audio),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_both_differently),
        cmocka_unit_test(test_fastest),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_reports_win),
        cmocka_unit_test(test_stuck_reports),
        cmocka_unit_test(test_late_start),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_early_stall),
        cmocka_unit_test(test_b_frames),
        cmocka_unit_test(test_order_that_is_declared),
        cmocka_unit_test(test_late_sound),
    };
    return cmocka_run_group_tests_name("timeline drift", tests, NULL, NULL);
}
