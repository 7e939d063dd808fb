/* Audio against time: gaps, steps, jitter, jumps, and a camera that connects again. */
#include "test/unit/audio_session.h"

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
            if (audio_verbose())
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
        cmocka_unit_test(test_gaps),   cmocka_unit_test(test_steps),
        cmocka_unit_test(test_jitter), cmocka_unit_test(test_long_hole),
        cmocka_unit_test(test_reset),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("audio time", tests, NULL, NULL);
}
