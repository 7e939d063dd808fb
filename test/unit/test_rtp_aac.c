/* worker/rtp_aac: what a payload is shows by its lengths. */
#include "worker/rtp/rtp_aac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define USUAL "mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3"
/* AAC-LC, 16 kHz, mono, 11 bytes in all. */
#define ADTS "\xff\xf1\x60\x40\x01\x7f\xfc\x01\x02\x03\x04"

static size_t read(struct rtp_aac_frame *frames, const char *payload, size_t len)
{
    return rtp_aac_read(frames, (const uint8_t *)payload, len);
}

#define READ(frames, payload) read((frames), (payload), sizeof(payload) - 1)

static void test_descriptions(void **state)
{
    (void)state;
    assert_true(rtp_aac_is_readable("MPEG4-GENERIC", USUAL));
    assert_true(rtp_aac_is_readable("mpeg4-generic", ""));
    assert_true(rtp_aac_is_readable("mpeg4-generic", "mode=AAC-hbr;config=1408"));
    assert_false(rtp_aac_is_readable("mpeg4-generic", "mode=AAC-lbr;sizelength=6;indexlength=2"));
    assert_true(rtp_aac_is_readable("MP4A-LATM", "cpresent=0;config="));
    assert_true(rtp_aac_is_readable("MP4A-LATM", ""));
    assert_false(rtp_aac_is_readable("MP4A-LATM", "cpresent=0;config=400028103fc0"));
    assert_false(rtp_aac_is_readable("PCMA", ""));
    assert_false(rtp_aac_lacks_config("mpeg4-generic", ""));
}

static void test_payloads(void **state)
{
    (void)state;
    struct rtp_aac_frame frames[RTP_AAC_FRAMES_MAX];
    assert_int_equal(READ(frames, "\0\x10\0\x18"
                                  "abc"),
                     1);
    assert_memory_equal(frames[0].data, "abc", 3);
    assert_int_equal(READ(frames, "\0\x20\0\x08\0\x10"
                                  "abc"),
                     2);
    assert_memory_equal(frames[1].data, "bc", 2);
    assert_int_equal(READ(frames, ADTS), 1);
    assert_int_equal(frames[0].len, 11);
    assert_int_equal(READ(frames, ADTS ADTS), 1); /* the reader of ADTS takes them apart */
    assert_int_equal(frames[0].len, 22);
    assert_int_equal(READ(frames, "\3"
                                  "abc"),
                     1); /* LATM */
    assert_memory_equal(frames[0].data, "abc", 3);
    assert_int_equal(READ(frames, "\0\x10\0\x20"
                                  "abc"),
                     0);
    assert_int_equal(READ(frames, ADTS "\xff"), 0);
    assert_int_equal(READ(frames, "\xff\xff"), 0);
    assert_int_equal(read(frames, "", 0), 0);
    static char latm[2 + 300]; /* two bytes of length */
    latm[0] = (char)0xff;
    latm[1] = 45;
    assert_int_equal(read(frames, latm, sizeof(latm)), 1);
    assert_int_equal(frames[0].len, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_payloads),
    };
    return cmocka_run_group_tests_name("rtp_aac", tests, NULL, NULL);
}
