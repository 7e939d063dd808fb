/*
 * Audio against time: an hour of clocks that drift apart.  It takes as long as all other cases
 * together, so it is a program of its own.
 */
#include "test/unit/audio_session.h"

/* An hour with a clock 0.05 % off, as cheap crystals are: unrepaired, that is 1.8 s in the end. */
static void test_hour(void **state)
{
    run_skewed(&ways[0], 0.0005, 3600, 20, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hour),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("audio hour", tests, NULL, NULL);
}
