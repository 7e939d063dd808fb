/* Audio against time: a camera whose two clocks, of samples and of time stamps, drift apart. */
#include "test/unit/audio_session.h"

static void test_skew(void **state)
{
    static const double skews[] = {0.01, -0.01, 0.001, -0.0001};
    for (int w = 0; w < 2; w++) {
        for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++)
            run_skewed(&ways[w], skews[i], 60, 0, 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skew),
    };
    av_log_set_level(AV_LOG_WARNING);
    return cmocka_run_group_tests_name("audio skew", tests, NULL, NULL);
}
