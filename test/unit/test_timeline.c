/*
 * The output clock against simulated cameras: each defect of the table is put into the time stamps
 * of a stream whose true times are known, and the output is compared with the truth.
 */
#include "worker/video/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000)
#define MS INT64_C(1000)
#define FRAME (40 * MS)
#define PACKET (20 * MS) /* G.711 as cameras send it */
#define ARRIVAL (5000 * S)
#define AV_MAX (80 * MS)

/* One packet of the simulated camera. */
struct packet {
    enum track track;
    int number;         /* of its track, in decode order */
    int64_t capture_us; /* when picture or sound was taken: the truth for pts */
    int64_t sent_us;    /* when the camera hands it to the network */
    struct timeline_in in;
};

struct camera;
typedef void defect_fn(const struct camera *camera, struct packet *packet);

struct camera {
    const char *name;
    defect_fn *defect; /* NULL: none */
    int b_frames;      /* between two P-frames */
    int declared_reorder;
    bool has_dts;
    bool no_audio;
    int jitter_ms; /* of the arrival */
    int64_t seconds;
    int64_t duration_us; /* nominal, of video; 0: unknown */
    /* What is expected of the output. */
    int jumps_max;
    int misplaced_max;    /* packets further than AV_MAX from the other track */
    int64_t exact_us;     /* if set: A/V offset of the last second is right to this */
    int64_t squeezed_max; /* packets that had to be pushed to keep dts growing */
    bool offset_kept;     /* A/V offset in the end as in the beginning, to the microsecond */
};

static uint32_t random_state;

static int64_t random_below(int64_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return n > 0 ? (int64_t)(random_state >> 8) % n : 0;
}

/* Decode order of a GOP with b B-frames between anchors: 0, b+1, 1..b, 2b+2, ... */
static int display_index(int decode_index, int b)
{
    if (b == 0 || decode_index == 0)
        return decode_index;
    int group = (decode_index - 1) / (b + 1), in_group = (decode_index - 1) % (b + 1);
    return in_group == 0 ? (group + 1) * (b + 1) : group * (b + 1) + in_group;
}

static struct packet make_packet(const struct camera *c, enum track track, int number)
{
    struct packet p = {.track = track, .number = number};
    int64_t distance = track == TRACK_VIDEO ? FRAME : PACKET;
    int shown = track == TRACK_VIDEO ? display_index(number, c->b_frames) : number;
    p.capture_us = shown * distance;
    p.sent_us = number * distance + (track == TRACK_AUDIO ? 10 * MS : 0);
    p.in.track = track;
    p.in.pts_us = p.capture_us;
    p.in.dts_us = TIMELINE_NONE;
    if (c->has_dts)
        p.in.dts_us = track == TRACK_VIDEO && c->b_frames > 0 ? (number - 1) * FRAME : p.in.pts_us;
    p.in.duration_us = track == TRACK_VIDEO ? c->duration_us : PACKET;
    p.in.reorder_frames = track == TRACK_VIDEO ? c->declared_reorder : 0;
    p.in.received_us = ARRIVAL + p.sent_us + random_below(c->jitter_ms * MS);
    if (c->defect != NULL)
        c->defect(c, &p);
    return p;
}

static void shift(struct packet *p, int64_t by_us)
{
    if (p->in.pts_us != TIMELINE_NONE)
        p->in.pts_us += by_us;
    if (p->in.dts_us != TIMELINE_NONE)
        p->in.dts_us += by_us;
}

/* What is checked along the way. */
struct verdict {
    int64_t last_dts[TRACK_COUNT];
    int64_t delay[TRACK_COUNT]; /* output pts - truth, of the newest packet */
    bool seen[TRACK_COUNT];
    int jumps, misplaced, squeezed;
    int64_t worst_end_us; /* A/V error in the last second */
    int64_t offset_us;    /* A/V offset after the first second, as it is kept from then on */
    bool offset_changed;  /* ... in the last second */
};

static void judge(struct verdict *v, const struct camera *c, const struct packet *p,
                  const struct timeline_out *out)
{
    enum track track = p->track, other = track == TRACK_VIDEO ? TRACK_AUDIO : TRACK_VIDEO;

    assert_true(out->pts_us >= out->dts_us);
    v->jumps += out->jumped;
    if (out->history && track == TRACK_AUDIO)
        return; /* left out */
    if (v->seen[track]) {
        int64_t step = out->dts_us - v->last_dts[track];
        assert_true(step >= MS);
        v->squeezed += step == MS;
        /* A gap of one track alone is no step of the output. */
        if (step > S && !(v->seen[other] && out->dts_us <= v->last_dts[other] + S))
            fail_msg("%s: track %d packet %d steps by %lld us", c->name, track, p->number,
                     (long long)step);
    }
    v->last_dts[track] = out->dts_us;
    if (out->history)
        return;
    v->delay[track] = out->pts_us - p->capture_us;
    v->seen[track] = true;
    if (v->seen[other]) {
        int64_t offset = v->delay[TRACK_VIDEO] - v->delay[TRACK_AUDIO];
        int64_t error = llabs(offset);
        if (p->capture_us < S)
            v->offset_us = offset;
        else if (p->capture_us > (c->seconds - 1) * S && offset != v->offset_us)
            v->offset_changed = true;
        v->misplaced += error > AV_MAX;
        if (p->capture_us > (c->seconds - 1) * S && error > v->worst_end_us)
            v->worst_end_us = error;
    }
}

/* Packets in the order in which they arrive: by the time of sending. */
static struct verdict run(const struct camera *c)
{
    struct timeline timeline;
    struct verdict v = {0};
    int number[TRACK_COUNT] = {0};
    int64_t received = 0;

    random_state = 1;
    timeline_init(&timeline);
    for (;;) {
        struct packet video = make_packet(c, TRACK_VIDEO, number[TRACK_VIDEO]);
        struct packet audio = make_packet(c, TRACK_AUDIO, number[TRACK_AUDIO]);
        struct packet *p = c->no_audio || video.sent_us <= audio.sent_us ? &video : &audio;
        struct timeline_out out;
        number[p->track]++;
        if (p->sent_us > c->seconds * S)
            break;
        if (p->in.received_us < 0) /* the defect lost it */
            continue;
        if (p->in.received_us < received)
            p->in.received_us = received;
        received = p->in.received_us;
        timeline_map(&timeline, &p->in, &out);
        judge(&v, c, p, &out);
    }
    assert_int_equal(v.jumps, timeline.jumps);
    return v;
}

static void drop(struct packet *p)
{
    p->in.received_us = -1;
}

/* --- the defects -------------------------------------------------------- */

static bool between(const struct packet *p, int64_t from_s, int64_t to_s)
{
    return p->sent_us >= from_s * S && p->sent_us < to_s * S;
}

static void video_pts_missing_some(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && p->number % 7 == 3)
        p->in.pts_us = p->in.dts_us = TIMELINE_NONE;
}
static void video_pts_missing_all(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO)
        p->in.pts_us = p->in.dts_us = TIMELINE_NONE;
}
static void all_missing(const struct camera *c, struct packet *p)
{
    p->in.pts_us = p->in.dts_us = TIMELINE_NONE;
}
static void equal_pairs(const struct camera *c, struct packet *p)
{
    if (p->number % 2 == 1)
        shift(p, -(p->track == TRACK_VIDEO ? FRAME : PACKET));
}
static void stuck_at_zero(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO)
        p->in.pts_us = 0;
}
static void sometimes_back(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && p->number % 125 == 60)
        shift(p, -90 * MS);
}
static void back_half_second(const struct camera *c, struct packet *p)
{
    if (p->sent_us >= 10 * S)
        shift(p, -500 * MS);
}
static void back_an_hour(const struct camera *c, struct packet *p)
{
    if (p->sent_us >= 10 * S)
        shift(p, -3600 * S);
}
static void forth_an_hour(const struct camera *c, struct packet *p)
{
    if (p->sent_us >= 10 * S)
        shift(p, 3600 * S);
}
static void video_forth_an_hour(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && p->sent_us >= 10 * S)
        shift(p, 3600 * S);
}
static void one_bad_stamp(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && p->number == 250)
        shift(p, 7200 * S);
    if (p->track == TRACK_AUDIO && p->number == 700)
        shift(p, -7200 * S);
}
static void jump_every_second(const struct camera *c, struct packet *p)
{
    shift(p, p->capture_us / S * 10 * S);
}
static void report_moves_both(const struct camera *c, struct packet *p)
{
    if (p->sent_us >= (p->track == TRACK_VIDEO ? 5 * S : 8 * S + 10 * MS))
        shift(p, 1234567 * MS);
}
/* Bases apart by far; true relation known from the report on. */
static void report_moves_together(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_AUDIO && p->sent_us < 6 * S)
        shift(p, 40000 * S + 321 * MS);
}
static void report_small(const struct camera *c, struct packet *p)
{
    if (p->sent_us >= (p->track == TRACK_VIDEO ? 5 * S : 6 * S))
        shift(p, 300 * MS);
}
/* Unrelated bases, then the same shift of both. */
static void bases_apart_then_both(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_AUDIO)
        shift(p, -9000 * S);
    int64_t moved = p->track == TRACK_VIDEO ? 9 * S : 7 * S;
    if (p->sent_us >= moved)
        shift(p, 500 * S);
    if (p->sent_us >= moved - 200 * MS && p->sent_us < moved)
        drop(p); /* so that a guess cannot be exact */
}
static void bases_apart(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_AUDIO)
        shift(p, 86400 * S);
}
/* One bad time stamp where the other track's offset is no help. */
static void bases_apart_one_bad(const struct camera *c, struct packet *p)
{
    bases_apart(c, p);
    one_bad_stamp(c, p);
    if (p->track == TRACK_VIDEO ? p->number > 250 && p->number < 255
                                : p->number > 700 && p->number < 705)
        drop(p);
}
static void clock_fast(const struct camera *c, struct packet *p)
{
    shift(p, p->in.pts_us / 100);
}
static void clock_slow(const struct camera *c, struct packet *p)
{
    shift(p, -p->in.pts_us / 100);
}
static int64_t wrapped(int64_t us, int64_t rate, int64_t start)
{
    uint32_t ticks = (uint32_t)(us * rate / S + start);
    return (int64_t)ticks * S / rate;
}
/* RTP time stamps as on the wire: 32 bits, wrapping after 10 s (video) and 15 s (audio). */
static void rtp_wraps(const struct camera *c, struct packet *p)
{
    int64_t rate = p->track == TRACK_VIDEO ? 90000 : 8000;
    int64_t seconds = p->track == TRACK_VIDEO ? 10 : 15;
    p->in.pts_us = wrapped(p->capture_us, rate, (INT64_C(1) << 32) - seconds * rate);
    p->in.wrap_us = (INT64_C(1) << 32) * S / rate;
}
static void rtp_wraps_untold(const struct camera *c, struct packet *p)
{
    rtp_wraps(c, p);
    p->in.wrap_us = 0;
}
static void frames_lost(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && p->number % 50 >= 45)
        drop(p);
}
/* Video waits 4 s for a key frame, audio goes on: no time may be taken out. */
static void video_gap(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_VIDEO && between(p, 10, 14))
        drop(p);
}
static void audio_gap(const struct camera *c, struct packet *p)
{
    if (p->track == TRACK_AUDIO && between(p, 10, 70))
        drop(p);
}
/* Audio clock stands still while muted. */
static void audio_gap_clock_stands(const struct camera *c, struct packet *p)
{
    audio_gap(c, p);
    if (p->track == TRACK_AUDIO && p->sent_us >= 70 * S)
        shift(p, -60 * S);
}
static void both_pause(const struct camera *c, struct packet *p)
{
    if (between(p, 10, 14))
        drop(p);
}
/* The network stands still for 4 s, then everything comes at once. */
static void network_stall(const struct camera *c, struct packet *p)
{
    if (between(p, 10, 14))
        p->in.received_us = ARRIVAL + 14 * S;
}
/* The first 5 s come in one go, as from a server with a GOP cache. */
static void burst_at_start(const struct camera *c, struct packet *p)
{
    if (p->sent_us < 5 * S)
        p->in.received_us = ARRIVAL + 5 * S;
}
static void audio_stamped_in_fours(const struct camera *c, struct packet *p)
{
    if (p->track != TRACK_AUDIO)
        return;
    if (p->number % 4 != 0)
        p->in.pts_us = TIMELINE_NONE;
    p->in.received_us = ARRIVAL + (p->number / 4 * 4 + 4) * PACKET;
}
static void runs_backward(const struct camera *c, struct packet *p)
{
    p->in.pts_us = -p->in.pts_us;
}
static void nonsense(const struct camera *c, struct packet *p)
{
    static const int64_t values[] = {INT64_MAX, INT64_MIN + 1, INT64_MAX / 2, -S, 0, TIMELINE_NONE};
    if (random_below(3) == 0)
        p->in.pts_us = values[random_below(6)];
    if (random_below(3) == 0)
        p->in.dts_us = values[random_below(6)];
    if (random_below(5) == 0)
        p->in.wrap_us = values[random_below(6)];
}

#define ANY 1000000

static const struct camera cameras[] = {
    {"clean", .seconds = 30, .exact_us = 1},
    {"clean, jitter", .jitter_ms = 30, .seconds = 30, .exact_us = 1},
    {"clean, dts", .has_dts = true, .seconds = 30, .exact_us = 1},
    {"b-frames", .b_frames = 2, .declared_reorder = 1, .seconds = 30, .exact_us = 1},
    {"b-frames, dts", .b_frames = 2, .has_dts = true, .seconds = 30, .exact_us = 1},
    {"b-frames not declared", .b_frames = 2, .seconds = 30, .exact_us = 1, .squeezed_max = 8,
     .misplaced_max = 10},
    {"7 b-frames not declared", .b_frames = 7, .seconds = 30, .exact_us = 1, .squeezed_max = 30,
     .misplaced_max = 60},
    {"no audio", .no_audio = true, .seconds = 30},
    {"frame rate unknown", .duration_us = -1, .jitter_ms = 30, .seconds = 30, .exact_us = 1},
    {"some video stamps missing", video_pts_missing_some, .jitter_ms = 30, .seconds = 30},
    {"some video stamps missing, b-frames", video_pts_missing_some, .b_frames = 2,
     .declared_reorder = 1, .seconds = 30, .misplaced_max = ANY, .squeezed_max = ANY,
     .exact_us = 200 * MS},
    {"all video stamps missing", video_pts_missing_all, .jitter_ms = 30, .seconds = 30},
    {"all video stamps missing, no rate", video_pts_missing_all, .duration_us = -1, .jitter_ms = 30,
     .seconds = 30, .squeezed_max = 5},
    {"no stamps at all", all_missing, .jitter_ms = 30, .seconds = 30},
    {"no stamps at all, wrong rate", all_missing, .duration_us = 33333, .seconds = 30},
    {"equal pairs", equal_pairs, .jitter_ms = 10, .seconds = 30, .squeezed_max = ANY},
    {"equal pairs, dts", equal_pairs, .has_dts = true, .seconds = 30, .squeezed_max = ANY},
    {"stuck at zero", stuck_at_zero, .jitter_ms = 30, .seconds = 30},
    {"sometimes back", sometimes_back, .seconds = 30, .squeezed_max = 12, .exact_us = 1,
     .misplaced_max = 20},
    {"sometimes back, dts", sometimes_back, .has_dts = true, .seconds = 30, .squeezed_max = 12,
     .exact_us = 1, .misplaced_max = 20},
    {"back half a second", back_half_second, .seconds = 30, .squeezed_max = 45, .exact_us = 1,
     .misplaced_max = 45, .jumps_max = 2},
    {"back an hour", back_an_hour, .jitter_ms = 30, .seconds = 30, .exact_us = 1, .jumps_max = 2},
    {"back an hour, dts", back_an_hour, .has_dts = true, .seconds = 30, .exact_us = 1,
     .jumps_max = 2},
    {"back an hour, b-frames", back_an_hour, .b_frames = 2, .declared_reorder = 1, .jitter_ms = 30,
     .seconds = 30, .exact_us = 1, .jumps_max = 2, .squeezed_max = 8, .misplaced_max = 5},
    {"forth an hour", forth_an_hour, .jitter_ms = 30, .seconds = 30, .exact_us = 1, .jumps_max = 2},
    {"forth an hour, b-frames", forth_an_hour, .b_frames = 2, .declared_reorder = 1, .seconds = 30,
     .exact_us = 1, .jumps_max = 2, .squeezed_max = 8, .misplaced_max = 5},
    {"video alone forth", video_forth_an_hour, .jitter_ms = 30, .seconds = 30, .jumps_max = 1},
    {"one bad stamp", one_bad_stamp, .jitter_ms = 30, .seconds = 30, .exact_us = 1, .jumps_max = 4},
    {"one bad stamp, dts", one_bad_stamp, .has_dts = true, .seconds = 30, .exact_us = 1,
     .jumps_max = 4},
    {"one bad stamp, b-frames", one_bad_stamp, .b_frames = 2, .declared_reorder = 1, .seconds = 30,
     .exact_us = 1, .jumps_max = 4, .misplaced_max = 4, .squeezed_max = 2},
    {"a jump every second", jump_every_second, .jitter_ms = 30, .seconds = 30, .exact_us = 1,
     .jumps_max = 62},
    {"sender report moves both", report_moves_both, .jitter_ms = 30, .seconds = 30, .exact_us = 1,
     .jumps_max = 2},
    {"sender report brings together", report_moves_together, .jitter_ms = 30, .seconds = 30,
     .exact_us = 1, .jumps_max = 1, .squeezed_max = 5},
    {"small sender report", report_small, .seconds = 30, .exact_us = 1, .jumps_max = 2},
    {"bases apart", bases_apart, .jitter_ms = 30, .seconds = 30},
    {"bases apart, then both move", bases_apart_then_both, .jitter_ms = 30, .seconds = 30,
     .jumps_max = 2, .offset_kept = true},
    {"bases apart, one bad stamp", bases_apart_one_bad, .jitter_ms = 30, .seconds = 30,
     .jumps_max = 4, .offset_kept = true},
    {"clock 1 % fast", clock_fast, .jitter_ms = 30, .seconds = 3600, .exact_us = 36 * S},
    {"clock 1 % slow", clock_slow, .jitter_ms = 30, .seconds = 3600, .exact_us = 36 * S},
    {"32-bit wrap", rtp_wraps, .jitter_ms = 30, .seconds = 30, .jumps_max = 2},
    {"32-bit wrap, b-frames", rtp_wraps, .b_frames = 2, .declared_reorder = 1, .seconds = 30,
     .jumps_max = 2},
    {"32-bit wrap, untold", rtp_wraps_untold, .jitter_ms = 30, .seconds = 30, .jumps_max = 2},
    {"frames lost", frames_lost, .jitter_ms = 30, .seconds = 30, .exact_us = 1},
    {"video gap", video_gap, .jitter_ms = 30, .seconds = 30, .exact_us = 1},
    {"audio gap", audio_gap, .jitter_ms = 30, .seconds = 90, .exact_us = 1},
    {"audio gap, its clock stands", audio_gap_clock_stands, .jitter_ms = 30, .seconds = 90,
     .jumps_max = 1},
    {"both pause", both_pause, .jitter_ms = 30, .seconds = 30, .exact_us = 1, .jumps_max = 2,
     .misplaced_max = 1},
    {"network stall", network_stall, .jitter_ms = 30, .seconds = 30, .exact_us = 1},
    {"burst at start", burst_at_start, .seconds = 30, .exact_us = 1, .squeezed_max = 160,
     .misplaced_max = 30},
    {"runs backward", runs_backward, .seconds = 30, .jumps_max = ANY, .squeezed_max = ANY,
     .misplaced_max = ANY, .exact_us = S},
    {"nonsense", nonsense, .jitter_ms = 30, .seconds = 30, .jumps_max = ANY, .squeezed_max = ANY,
     .misplaced_max = ANY, .exact_us = 10 * S},
    {"nonsense, dts, b-frames", nonsense, .b_frames = 2, .declared_reorder = 99, .has_dts = true,
     .jitter_ms = 30, .seconds = 30, .jumps_max = ANY, .squeezed_max = ANY, .misplaced_max = ANY,
     .exact_us = 10 * S},
    {"audio stamped in fours", audio_stamped_in_fours, .seconds = 30, .exact_us = 1},
};

static void test_defects(void **state)
{
    int failures = 0;
    for (size_t i = 0; i < sizeof(cameras) / sizeof(cameras[0]); i++) {
        struct camera c = cameras[i];
        c.duration_us = c.duration_us < 0 ? 0 : c.duration_us == 0 ? FRAME : c.duration_us;
        struct verdict v = run(&c);
        int64_t end_max = c.exact_us > 0 ? c.exact_us : AV_MAX;
        bool good = !(c.offset_kept && v.offset_changed) && v.jumps <= c.jumps_max &&
                    v.misplaced <= c.misplaced_max && v.squeezed <= c.squeezed_max &&
                    v.worst_end_us <= end_max;
        if (!good || getenv("TIMELINE_VERBOSE") != NULL)
            print_message(
                "%-36s jumps %d, misplaced %d, squeezed %d, at the end off by %lld us%s\n", c.name,
                v.jumps, v.misplaced, v.squeezed, (long long)v.worst_end_us,
                good ? "" : "  <- too much");
        failures += !good;
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defects),
    };
    return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
