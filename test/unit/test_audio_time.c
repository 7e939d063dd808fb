/*
 * Audio against time: gaps, overlaps, clocks that drift apart, silence for a camera that sends
 * none. AUDIO_VERBOSE=1 prints what is measured.
 */
#include "test/unit/audio_tools.h"

#include <stdio.h>

static bool verbose(void)
{
    return getenv("AUDIO_VERBOSE") != NULL;
}

/* The two ways of making AAC: by transcoding, and by sending on. */
static const struct camera_audio ways[] = {
    {.encoder = "pcm_alaw", .sample_rate = 8000, .channels = 1, .bursts = true},
    {.encoder = "aac", .sample_rate = 16000, .channels = 1, .bit_rate = 48000, .bursts = true},
};

struct session {
    struct camera_audio camera;
    struct audio *audio;
    struct output out;
};

static void session_open_sparse(struct session *s, const struct camera_audio *camera, int seconds,
                                int every)
{
    memset(s, 0, sizeof(*s));
    s->camera = *camera;
    camera_audio_open(&s->camera);
    assert_int_equal(audio_open(&s->audio, s->camera.par, output_take, &s->out), 0);
    output_open(&s->out, audio_config(s->audio), seconds, every);
}

static void session_open(struct session *s, const struct camera_audio *camera, int seconds)
{
    session_open_sparse(s, camera, seconds, 0);
}

static void session_close(struct session *s)
{
    audio_close(&s->audio);
    output_close(&s->out);
    camera_audio_close(&s->camera);
}

/* Make the camera's next packet.  @return its time in the camera's samples, in seconds. */
static double next_packet(struct session *s)
{
    camera_audio_next(&s->camera);
    return (double)s->camera.packet->pts / s->camera.sample_rate;
}

static void push_at(struct session *s, double time_s)
{
    int64_t pts_us = START + llrint(time_s * 1e6);
    const AVPacket *p = s->camera.packet;
    assert_int_equal(audio_push(s->audio, p->data, (size_t)p->size, pts_us, pts_us), 0);
}

static double onset_error_ms(const struct session *s, int second)
{
    return (output_onset(&s->out, second + 0.3, second + 0.9) - (second + 0.5)) * 1000;
}

/* A packet lost, 200 ms lost, 2 s lost: silence there, everything else where it was. */
static void test_gaps(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct session s;
        session_open(&s, &ways[w], 12);
        for (double t = 0; t < 11;) {
            t = next_packet(&s);
            bool lost = (t > 1.9 && t < 1.97) || (t > 3.0 && t < 3.2) || (t > 5.1 && t < 7.1);
            if (!lost)
                push_at(&s, t);
        }
        for (int second = 0; second < 10; second++) {
            if (second == 5 || second == 6)
                continue;
            double error = onset_error_ms(&s, second);
            if (verbose())
                print_message("%s, second %d: off by %.1f ms\n", s.camera.encoder, second, error);
            assert_true(fabs(error) < 12);
        }
        assert_true(output_onset(&s.out, 5.2, 6.9) < 0);
        assert_true(s.out.worst_gap_us <= 5 * MS);
        session_close(&s);
    }
}

/* Time stamps that step forward and stay there, then back: silence, then sound dropped. */
static void test_steps(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct session s;
        session_open(&s, &ways[w], 12);
        for (double t = 0; t < 9;) {
            t = next_packet(&s);
            push_at(&s, t + (t > 3.1 && t < 6.1 ? 0.3 : 0));
        }
        assert_true(fabs(onset_error_ms(&s, 2)) < 5);
        assert_true(fabs(onset_error_ms(&s, 4) - 300) < 12);
        assert_true(fabs(onset_error_ms(&s, 8)) < 12);
        assert_true(s.out.worst_gap_us <= 7 * MS);
        session_close(&s);
    }
}

/* Time stamps rounded to milliseconds and trembling by 5 ms: none of it reaches the output. */
static void test_jitter(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct session s;
        unsigned random = 1;
        session_open(&s, &ways[w], 21);
        for (double t = 0; t < 20;) {
            t = next_packet(&s);
            random = random * 1664525u + 1013904223u;
            push_at(&s, floor(t * 1000) / 1000 + (double)(random >> 24) / 256 * 0.01 - 0.005);
        }
        for (int second = 2; second < 19; second++)
            assert_true(fabs(onset_error_ms(&s, second)) < 6);
        assert_true(s.out.worst_gap_us <= 1 * MS);
        session_close(&s);
    }
}

/*
 * The camera's samples run at one clock, its time stamps at another that is fast by skew.  For
 * every second the sound must be where the time stamps say.
 */
static void run_skewed(const struct camera_audio *camera, double skew, int seconds, int every,
                       double max_ms)
{
    struct session s;
    double worst = 0, last = 0;
    struct camera_audio sparse = *camera;
    sparse.burst_every = every;
    session_open_sparse(&s, &sparse, seconds + 2, every);
    for (double t = 0; t * (1 + skew) < seconds + 1;) {
        t = next_packet(&s);
        push_at(&s, t * (1 + skew));
    }
    for (int second = 1; second < seconds - 1; second++) {
        /* A burst begins at .5 of the camera's second, which is then: */
        double truth = (second + 0.5) * (1 + skew);
        if (every > 0 && second % every != 0)
            continue;
        last = (output_onset(&s.out, truth - 0.2, truth + 0.2) - truth) * 1000;
        worst = fmax(worst, fabs(last));
        if (truth > seconds - 1)
            break;
    }
    if (verbose())
        print_message("%s, skew %+.2f %%, %d s: worst %.1f ms, at the end %.1f ms\n",
                      camera->encoder, skew * 100, seconds, worst, last);
    assert_true(worst < max_ms);
    assert_true(fabs(last) < 6);
    assert_true(s.out.worst_gap_us <= 1 * MS);
    session_close(&s);
}

static void test_skew(void **state)
{
    static const double skews[] = {0.01, -0.01, 0.001, -0.0001};
    for (int w = 0; w < 2; w++) {
        for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++)
            run_skewed(&ways[w], skews[i], 60, 0, 20);
    }
}

/* An hour with a clock 0.05 % off, as cheap crystals are: unrepaired, that is 1.8 s in the end. */
static void test_hour(void **state)
{
    run_skewed(&ways[0], 0.0005, 3600, 20, 12);
}

/* --- audio_fill() --------------------------------------------------------- */

struct filling {
    struct session s;
    int64_t worst_lag_us;  /* of what went out behind the video */
    int64_t worst_lead_us; /* how far it ran ahead */
};

static void filling_open(struct filling *f, const struct camera_audio *camera, int seconds)
{
    memset(f, 0, sizeof(*f));
    session_open(&f->s, camera, seconds);
    f->worst_lead_us = INT64_MIN;
}

/*
 * Video from one time to another, and audio if there is any, as late as it arrives.  Lags are
 * judged once a second is over: until then what was there before may run out.
 */
static void play(struct filling *f, double from_s, double to_s, bool audio, double late_s)
{
    for (int i = (int)lround(from_s * 25); i < lround(to_s * 25); i++) {
        int64_t pts_us = START + i * 40 * MS;
        assert_int_equal(audio_fill(f->s.audio, pts_us, pts_us), 0);
        while (audio && (double)f->s.camera.samples / f->s.camera.sample_rate < i / 25.0 - late_s)
            push_at(&f->s, next_packet(&f->s));
        if (i / 25.0 > from_s + 1 && f->s.out.frames > 0) {
            int64_t lag = pts_us - f->s.out.end_us;
            f->worst_lag_us = lag > f->worst_lag_us ? lag : f->worst_lag_us;
            f->worst_lead_us = -lag > f->worst_lead_us ? -lag : f->worst_lead_us;
        }
    }
}

/* The camera's sound that nobody hears, so that what comes next is in time. */
static void skip_sound(struct filling *f, double to_s)
{
    while ((double)f->s.camera.samples / f->s.camera.sample_rate < to_s)
        camera_audio_next(&f->s.camera);
}

/* Frames of 64 ms at 16 kHz; the encoder holds back two, and what is sent on waits for a whole one.
 */
#define FILL_LAG_MAX (400 * MS)

static void test_never_any_audio(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct filling f;
        filling_open(&f, &ways[w], 11);
        play(&f, 0, 10, false, 0);
        assert_true(f.s.out.first_us <= START && f.s.out.first_us > START - 100 * MS);
        assert_true(f.worst_lag_us < FILL_LAG_MAX);
        assert_true(f.worst_lead_us < -100 * MS);
        assert_true(f.s.out.worst_gap_us <= 1);
        assert_true(output_level(&f.s.out, 1000, 9 * f.s.out.sample_rate) < 1e-4);
        assert_true(f.s.out.bytes * 8 / 10 < 5000); /* silence is cheap */
        session_close(&f.s);
    }
}

static void test_late_audio(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct filling f;
        filling_open(&f, &ways[w], 11);
        play(&f, 0, 4.2, false, 0);
        skip_sound(&f, 4.2);
        play(&f, 4.2, 10, true, 0.1);
        assert_true(output_onset(&f.s.out, 1.1, 4) < 0);
        for (int second = 5; second < 9; second++)
            assert_true(fabs(onset_error_ms(&f.s, second)) < 12);
        assert_true(f.s.out.worst_gap_us <= 5 * MS);
        assert_true(f.worst_lag_us < FILL_LAG_MAX);
        session_close(&f.s);
    }
}

static void test_audio_goes_and_comes(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct filling f;
        filling_open(&f, &ways[w], 21);
        play(&f, 0, 5.2, true, 0.1);
        play(&f, 5.2, 12.2, false, 0);
        skip_sound(&f, 12.2);
        play(&f, 12.2, 20, true, 0.1);
        assert_true(fabs(onset_error_ms(&f.s, 3)) < 12);
        assert_true(output_onset(&f.s.out, 6.2, 11.9) < 0);
        for (int second = 13; second < 19; second++)
            assert_true(fabs(onset_error_ms(&f.s, second)) < 12);
        assert_true(f.s.out.worst_gap_us <= 5 * MS);
        assert_true(f.worst_lag_us < 1300 * MS);
        session_close(&f.s);
    }
}

/* Sound that comes 1.8 s behind the picture is heard all the same, and in its place. */
static void test_lagging_audio(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct filling f;
        filling_open(&f, &ways[w], 31);
        play(&f, 0, 30, true, 1.8);
        for (int second = 4; second < 27; second++)
            assert_true(fabs(onset_error_ms(&f.s, second)) < 12);
        assert_true(f.s.out.worst_gap_us <= 5 * MS);
        session_close(&f.s);
    }
}

/* An hour without audio_fill(), or a jump of the video: the hole is left, not filled. */
static void test_long_hole(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct session s;
        session_open(&s, &ways[w], 5);
        for (double t = 0; t < 2;)
            push_at(&s, t = next_packet(&s));
        int64_t frames = s.out.frames;
        assert_int_equal(audio_fill(s.audio, START + 3600 * S, 0), 0);
        push_at(&s, 3600);
        next_packet(&s);
        push_at(&s, 3601);
        assert_true(s.out.frames < frames + 60);
        assert_true(s.out.end_us > START + 3599 * S);
        session_close(&s);
    }
}

/* Reconnected: the decoder forgets, the output goes on. */
static void test_reset(void **state)
{
    for (int w = 0; w < 2; w++) {
        struct session s;
        session_open(&s, &ways[w], 9);
        for (double t = 0; t < 8;) {
            t = next_packet(&s);
            push_at(&s, t);
            if (t > 3.2 && t < 3.3)
                audio_reset(s.audio);
        }
        for (int second = 1; second < 7; second++)
            assert_true(fabs(onset_error_ms(&s, second)) < 5);
        assert_true(s.out.worst_gap_us <= 1 * MS);
        session_close(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaps),          cmocka_unit_test(test_steps),
        cmocka_unit_test(test_jitter),        cmocka_unit_test(test_skew),
        cmocka_unit_test(test_hour),          cmocka_unit_test(test_never_any_audio),
        cmocka_unit_test(test_late_audio),    cmocka_unit_test(test_audio_goes_and_comes),
        cmocka_unit_test(test_lagging_audio), cmocka_unit_test(test_long_hole),
        cmocka_unit_test(test_reset),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("audio time", tests, NULL, NULL);
}
