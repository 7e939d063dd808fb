/*
 * worker/camera/ingest: AAC that is passed through, of cameras whose sound's clock is wrong by up
 * to a half.  Five minutes each, at a simulated clock.  INGEST_VERBOSE=1 prints what is measured.
 *
 * Sound cannot be stretched here: whole frames are repeated or dropped.  Where more than two a
 * second are missing, silence fills them.  Each frame holds its number, so that the test knows
 * which one it got back.
 */
#include "common/bytes.h"
#include "worker/camera/ingest.h"

#include <libavutil/log.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/sample_video.h"

#define S INT64_C(1000000)
#define SECONDS 300
#define ACQUIRED (5 * S)
#define ARRIVAL (1000 * S) /* of the first packet */
#define PICTURE_US 40000
#define MARK 0x01 /* first byte of our frames, which begin no silent frame */

struct run {
    int rate;             /* of the sound, Hz */
    int64_t frame_us;     /* 1024 samples */
    double drift;         /* the sound's clock gains so much */
    int wrong;            /* number of a picture whose composition time is wrong; 0: none */
    int64_t sent_us;      /* real time of the packet that is being pushed */
    int64_t last_us;      /* time of the last frame that came out; INT64_MIN: none */
    uint32_t last_number; /* of it */
    int64_t lead_us[2];   /* output minus real time of each track's newest frame */
    int64_t arrival_us;   /* the worst distance from output to arrival */
    int64_t apart_us;     /* the worst distance from picture to sound */
    int64_t gap_us;       /* the worst gap or overlap between two frames of sound */
    unsigned silent;      /* frames of silence */
    unsigned repeated, dropped, pictures;
    int64_t adjusted_us,
        between_us; /* when frames were last repeated or dropped; the least time between */
};

static int64_t larger(int64_t most, int64_t value)
{
    return llabs(value) > most ? llabs(value) : most;
}

static void judge_lead(struct run *r, enum track track, int64_t pts_us)
{
    r->lead_us[track] = pts_us - ARRIVAL - r->sent_us;
    if (r->sent_us < ACQUIRED)
        return;
    r->arrival_us = larger(r->arrival_us, r->lead_us[track]);
    r->apart_us = larger(r->apart_us, r->lead_us[TRACK_VIDEO] - r->lead_us[TRACK_AUDIO]);
}

static void note_adjustment(struct run *r)
{
    if (r->adjusted_us != 0 && r->sent_us - r->adjusted_us > 0 &&
        r->sent_us - r->adjusted_us < r->between_us)
        r->between_us = r->sent_us - r->adjusted_us;
    r->adjusted_us = r->sent_us;
}

static void take_sound(struct run *r, const struct frame *f)
{
    bool steady = r->sent_us >= ACQUIRED;
    if (r->last_us != INT64_MIN && steady)
        r->gap_us = larger(r->gap_us, f->pts_us - r->last_us - r->frame_us);
    r->last_us = f->pts_us;
    if (f->len != 5 || f->data[0] != MARK) {
        r->silent += steady;
        return;
    }
    uint32_t number = bytes_get32(f->data + 1);
    if (steady && number != r->last_number + 1)
        note_adjustment(r);
    r->repeated += steady && number == r->last_number;
    r->dropped += steady && number > r->last_number + 1 ? number - r->last_number - 1 : 0;
    r->last_number = number;
    judge_lead(r, TRACK_AUDIO, f->pts_us);
}

static void on_frame(void *ctx, struct frame *f)
{
    struct run *r = ctx;
    if (f->track == TRACK_AUDIO) {
        take_sound(r, f);
    } else {
        r->pictures++;
        judge_lead(r, TRACK_VIDEO, f->dts_us);
    }
    frame_unref(&f);
}

static void on_tracks(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio)
{
    const struct run *r = ctx;
    assert_int_equal(camera_audio, AV_CODEC_ID_AAC);
    assert_int_equal(audio->sample_rate, r->rate);
}

static AVCodecParameters *new_par(enum AVCodecID codec, int rate)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    par->codec_id = codec;
    par->sample_rate = rate;
    av_channel_layout_default(&par->ch_layout, 1);
    return par;
}

static void push_picture(const struct media_sink *sink, const struct sample *pictures,
                         struct run *r, int number)
{
    const AVPacket *unit = pictures->unit[number % pictures->count];
    struct media_packet packet = {
        .track = TRACK_VIDEO,
        .form = MEDIA_ANNEX_B,
        .last = true,
        .data = unit->data,
        .len = (size_t)unit->size,
        .pts = (int64_t)number * PICTURE_US,
        .dts = AV_NOPTS_VALUE,
        .received_us = ARRIVAL + r->sent_us,
    };
    if (r->wrong > 0)
        packet.dts = packet.pts;
    if (r->wrong > 0 && number == r->wrong)
        packet.pts += 5 * S;
    (void)sink->on_packet(sink->ctx, &packet);
}

static void push_sound(const struct media_sink *sink, const struct run *r, uint32_t number)
{
    uint8_t data[5 + AV_INPUT_BUFFER_PADDING_SIZE] = {MARK};
    bytes_put32(data + 1, number);
    struct media_packet packet = {
        .track = TRACK_AUDIO,
        .form = MEDIA_RAW,
        .data = data,
        .len = 5,
        .pts = (int64_t)(number - 1) * r->frame_us,
        .dts = AV_NOPTS_VALUE,
        .received_us = ARRIVAL + r->sent_us,
    };
    (void)sink->on_packet(sink->ctx, &packet);
}

static struct run run(const struct sample *pictures, int rate, double drift, int wrong)
{
    struct run r = {.rate = rate,
                    .frame_us = 1024000000 / rate,
                    .drift = drift,
                    .wrong = wrong,
                    .last_us = INT64_MIN,
                    .between_us = INT64_MAX};
    struct ingest *ingest = ingest_new();
    const struct media_sink *sink = ingest_sink(ingest);
    AVCodecParameters *video = new_par(AV_CODEC_ID_H264, 0),
                      *audio = new_par(AV_CODEC_ID_AAC, rate);
    const struct media_track tracks[] = {{video, {1, 1000000}}, {audio, {1, 1000000}}};
    uint32_t sounds = 0;
    ingest_connect(ingest, &(struct ingest_output){on_tracks, on_frame, &r});
    assert_int_equal(sink->on_tracks(sink->ctx, &tracks[0], &tracks[1]), 0);
    for (int number = 0; number < SECONDS * 25; number++) {
        int64_t picture_us = (int64_t)number * PICTURE_US;
        for (;;) {
            r.sent_us = llrint((double)(sounds * r.frame_us) / (1 + drift));
            if (r.sent_us >= picture_us)
                break;
            push_sound(sink, &r, ++sounds);
        }
        r.sent_us = picture_us;
        push_picture(sink, pictures, &r, number);
    }
    avcodec_parameters_free(&video);
    avcodec_parameters_free(&audio);
    ingest_free(&ingest);
    return r;
}

static void test_passed_through(void **state)
{
    static const int rates[] = {16000, 48000};
    static const double drifts[] = {-0.5,  -0.25, -0.1, -0.03, -0.01, -0.001, 0,
                                    0.001, 0.01,  0.03, 0.1,   0.25,  0.5};
    struct sample pictures = sample_encode(AV_CODEC_ID_H264, 25, 64, 64, "keyint=25:bframes=0");
    int failures = 0;
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(drifts) / sizeof(drifts[0]); i++) {
        double drift = drifts[i / 2];
        int rate = rates[i % 2];
        struct run r = run(&pictures, rate, drift, 0);
        bool good = r.arrival_us <= 200000 && r.apart_us <= 200000 && r.gap_us <= 1100 &&
                    (fabs(drift) > (rate > 16000 ? 0.03 : 0.1) || r.silent == 0) &&
                    r.pictures >= (SECONDS - 1) * 25 &&
                    (fabs(drift) > 0.001 || r.repeated + r.dropped == 0);
        if (getenv("INGEST_VERBOSE") != NULL || !good)
            print_message(
                "%d Hz, drift %+6.1f %%: output to arrival %lld ms, picture to sound %lld ms, "
                "gap %lld us, %u silent, %u repeated, %u dropped, %lld ms between\n",
                rate, drift * 100, (long long)r.arrival_us / 1000, (long long)r.apart_us / 1000,
                (long long)r.gap_us, r.silent, r.repeated, r.dropped,
                (long long)(r.between_us == INT64_MAX ? -1 : r.between_us / 1000));
        failures += !good;
    }
    assert_int_equal(failures, 0);
    sample_free(&pictures);
}

/* One picture is to be shown five seconds too late: no sound is lost for that. */
static void test_wrong_composition(void **state)
{
    struct sample pictures = sample_encode(AV_CODEC_ID_H264, 25, 64, 64, "keyint=25:bframes=0");
    (void)state;
    struct run r = run(&pictures, 16000, 0, 250);
    assert_int_equal(r.silent, 0);
    assert_int_equal(r.repeated + r.dropped, 0);
    assert_true(r.gap_us <= 1100);
    sample_free(&pictures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passed_through),
        cmocka_unit_test(test_wrong_composition),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("ingest drift", tests, NULL, NULL);
}
