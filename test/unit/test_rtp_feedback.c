/* worker/rtp/rtp_feedback: a key frame is asked for, byte by byte as the RFCs have it. */
#include "worker/rtp/rtp_feedback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_request(void **state)
{
    uint8_t packet[32 + RTP_FEEDBACK_BYTES] = {0x81, 201, 0,   7,   'o', 'w',
                                               'n',  '!', 'c', 'a', 'm', '!'};
    static const uint8_t expected[RTP_FEEDBACK_BYTES] = {
        /* PLI, RFC 4585 section 6.1 */
        0x81, 206, 0, 2, 'o', 'w', 'n', '!', 'c', 'a', 'm', '!',
        /* FIR, RFC 5104 section 4.3.1.1 */
        0x84, 206, 0, 4, 'o', 'w', 'n', '!', 0, 0, 0, 0, 'c', 'a', 'm', '!', 7, 0, 0, 0};
    (void)state;
    assert_int_equal(rtp_feedback_ask_key_frame(packet, 32, 7), sizeof(packet));
    assert_memory_equal(packet + 32, expected, sizeof(expected));
}

/* Whom to ask is not known yet. */
static void test_no_report_block(void **state)
{
    uint8_t packet[64] = {0x80, 201, 0, 1};
    (void)state;
    assert_int_equal(rtp_feedback_ask_key_frame(packet, 8, 1), 8);
    assert_int_equal(rtp_feedback_ask_key_frame(packet, 32, 1), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_no_report_block),
    };
    return cmocka_run_group_tests_name("rtp_feedback", tests, NULL, NULL);
}
