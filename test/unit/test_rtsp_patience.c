/* worker/rtsp/rtsp_patience: how long a camera may be without media. */
#include "worker/rtsp/rtsp_patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000)

static struct ipc_limits limits = {.connect_timeout_ms = 10000, .stall_timeout_ms = 5000};

static void test_deadlines(void **state)
{
    struct rtsp_patience p = {&limits, 100 * S, 0, 0};
    char text[64];
    (void)state;
    assert_int_equal(rtsp_patience_deadline(&p), 110 * S);
    rtsp_patience_text(&p, "play", text, sizeof(text));
    assert_string_equal(text, "no media within 10000 ms, state: play");
    rtsp_patience_accept(&p, 103 * S);
    assert_int_equal(rtsp_patience_deadline(&p), 108 * S);
    limits.stall_timeout_ms = 1000; /* at once */
    assert_int_equal(rtsp_patience_deadline(&p), 104 * S);
    limits.stall_timeout_ms = 5000;
    rtsp_patience_text(&p, "play", text, sizeof(text));
    assert_string_equal(text, "no media for 5000 ms");
}

static void test_farewell(void **state)
{
    struct rtsp_patience p = {&limits, 100 * S, 0, 0};
    (void)state;
    rtsp_patience_bye(&p, 101 * S); /* before it has sent anything: some do */
    assert_int_equal(rtsp_patience_deadline(&p), 110 * S);
    rtsp_patience_accept(&p, 103 * S);
    rtsp_patience_bye(&p, 104 * S);
    rtsp_patience_bye(&p, 106 * S); /* said again: no longer */
    assert_int_equal(rtsp_patience_deadline(&p), 105 * S);
    rtsp_patience_accept(&p, 107 * S); /* it goes on */
    assert_int_equal(rtsp_patience_deadline(&p), 112 * S);
    rtsp_patience_bye(&p, 111 * S + S / 2); /* never later than without */
    assert_int_equal(rtsp_patience_deadline(&p), 112 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_farewell),
    };
    return cmocka_run_group_tests_name("rtsp_patience", tests, NULL, NULL);
}
