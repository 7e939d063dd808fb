/* audio_fill(): silence for a camera that sends no sound, sends it late, or stops. */
#include "test/unit/audio_session.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_any_audio),
        cmocka_unit_test(test_late_audio),
        cmocka_unit_test(test_audio_goes_and_comes),
        cmocka_unit_test(test_lagging_audio),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("audio fill", tests, NULL, NULL);
}
