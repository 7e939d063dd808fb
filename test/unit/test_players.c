/* master/players: which player needs H.264. */
#include "master/players.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_players(void **state)
{
    static const struct {
        const char *user_agent;
        bool needs_h264;
    } cases[] = {
        {"Lavf/59.27.100", true},
        {"Lavf/60.3.100", true},
        {"Lavf/60.15.101", true},
        {"Lavf53.32.100", true},
        {"Lavf/60.16.100", false},
        {"Lavf/61.7.100", false},
        {"VLC/3.0.24 LibVLC/3.0.24", true},
        {"Doorbell/1.2 LibVLC/3.0.18", true},
        {"VLC/4.0.0-dev LibVLC/4.0.0-dev", false},
        {"GStreamer souphttpsrc 1.22.0 libsoup/3.2.3", true},
        {"GStreamer souphttpsrc 1.26.2 libsoup/3.6.5", true},
        {"GStreamer souphttpsrc 1.28.0 libsoup/3.6.5", false},
        {"GStreamer curlhttpsrc libcurl/7.88.1", false},
        {"Kodi/20.0-RC2 (Macintosh; Mac OS X 12_6) App_Bitness/64 "
         "Version/20.0-RC2-(19.90.905)-Git:20230111-21ec545866",
         true},
        {"Kodi/21.1 (Windows NT 10.0; Win64; x64) App_Bitness/64 Version/21.1", true},
        {"Kodi/22.0-BETA1 (X11; Linux x86_64) App_Bitness/64 Version/22.0", false},
        {"libmpv", false},
        {"CAM-HTTPFLV", false},
        {"curl/7.88.1", false},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/156.0.0.0 Safari/537.36",
         false},
        {"NotLavf/1.0", false},
        {"Lavf", false},
        {"Lavf/", false},
        {"VLC/", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (players_need_h264(cases[i].user_agent) != cases[i].needs_h264)
            fail_msg("%s", cases[i].user_agent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_players)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
