/* worker/flv/flv_sound: the format of sound whose headers are wrong or missing. */
#include "worker/flv/flv_sound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A reader of one track. */
struct reader {
    struct flv_sound sound;
    AVCodecParameters known;
    bool is_known;
    bool settled;
    int changes;
    uint32_t first_ms; /* when the format became known */
};

static void read(struct reader *r, uint32_t ts_ms, const uint8_t *body, size_t len)
{
    struct flv_tag tag = {
        .type = FLV_TAG_AUDIO, .ts_ms = ts_ms, .data = body, .len = len, .track = -1};
    struct flv_unit unit;
    assert_int_equal(flv_tag_read_unit(&tag, &unit), 0);
    if (flv_sound_read(&r->sound, &tag, &unit, r->is_known ? &r->known : NULL, !r->settled) !=
        FLV_SOUND_NEW)
        return;
    if (!r->is_known)
        r->first_ms = ts_ms;
    r->is_known = true;
    r->changes++;
    r->known.codec_id = unit.codec;
    r->known.sample_rate = (int)unit.sample_rate;
    r->known.ch_layout.nb_channels = (int)unit.channels;
}

/* Two seconds of frames of so many bytes, all with the same stamps' distance but for the jitter. */
static void read_frames(struct reader *r, uint32_t from_ms, const char *head, size_t len,
                        uint32_t step_us, uint32_t jitter_ms)
{
    uint8_t body[2000] = {0};
    size_t head_len = strlen(head);
    for (size_t i = 0; i < head_len; i++)
        body[i] = (uint8_t)head[i];
    body[head_len] = 0x21; /* of AAC: a pair of channels */
    for (uint32_t i = 0; i * step_us < 2000000; i++) {
        uint32_t ts_ms = from_ms + i * step_us / 1000 + (i % 2 == 1 ? jitter_ms : 0);
        read(r, ts_ms, body, head_len + len);
    }
}

static void test_g711(void **state)
{
    static const struct {
        const char *head;
        size_t len; /* of 40 ms */
        int rate, channels, changes;
        uint32_t first_ms;
    } cases[] = {
        {"\x7e", 320, 8000, 1, 1, 0},   /* as it should be */
        {"\x8f", 320, 8000, 1, 1, 400}, /* mono, called stereo */
        {"\x71", 640, 8000, 2, 1, 400}, /* stereo */
        {"\x72", 640, 16000, 1, 2, 0},  /* 16 kHz, which the header cannot say */
        {"\x72", 500, 8000, 1, 1, 0},   /* a clock half as fast again is no other format */
        {"\x7e", 10, 8000, 1, 1, 0},    /* nearly no sound */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t jitter_ms = 0; jitter_ms <= 20; jitter_ms += 10) {
            struct reader r = {.changes = 0};
            read_frames(&r, 4294966000u, cases[i].head, cases[i].len, 40000, jitter_ms);
            read_frames(&r, 4294966000u + 2000, cases[i].head, cases[i].len, 40000, jitter_ms);
            assert_int_equal(r.known.sample_rate, cases[i].rate);
            assert_int_equal(r.known.ch_layout.nb_channels, cases[i].channels);
            assert_int_equal(r.changes, cases[i].changes);
            assert_true(r.first_ms - 4294966000u - cases[i].first_ms <= 40);
        }
    }
}

/* Nobody waits for a format any more: the header counts until there is a better one. */
static void test_g711_that_comes_late(void **state)
{
    (void)state;
    struct reader r = {.settled = true};
    read_frames(&r, 0, "\x8f", 320, 40000, 0);
    assert_int_equal(r.changes, 1);
    read_frames(&r, 2000, "\x8f", 320, 40000, 0);
    assert_int_equal(r.first_ms, 0);
    assert_int_equal(r.changes, 2);
    assert_int_equal(r.known.ch_layout.nb_channels, 1);
}

/* Stamps of the arrival, and a publisher that was cut off: no other format. */
static void test_g711_that_was_cut_off(void **state)
{
    (void)state;
    uint8_t body[321] = {0x7e};
    for (uint32_t off_ms = 0; off_ms < 3000; off_ms += 40) {
        for (uint32_t cut_at = 1000; cut_at < 1800; cut_at += 40) {
            struct reader r = {.changes = 0};
            for (uint32_t ms = 0; ms < 6000; ms += 40) {
                bool waits = ms >= cut_at && ms < cut_at + off_ms;
                read(&r, waits ? cut_at + off_ms : ms, body, sizeof(body));
            }
            assert_int_equal(r.changes, 1);
            assert_int_equal(r.known.sample_rate, 8000);
        }
    }
}

/* As much as fits into tags, and stamps that stand still. */
static void test_nonsense(void **state)
{
    (void)state;
    static uint8_t body[1 << 20] = {0x7f};
    struct reader r = {.changes = 0};
    for (uint32_t i = 0; i < 5000; i++)
        read(&r, i / 1000 * 400, body, sizeof(body));
    assert_false(r.is_known);
}

/* Headers that contradict each other; gaps. */
static void test_g711_headers_that_change(void **state)
{
    (void)state;
    struct reader r = {.changes = 0};
    uint8_t body[321] = {0x7e};
    for (uint32_t i = 0; i < 50; i++) {
        body[0] = i % 2 == 0 ? 0x7e : 0x7f;
        read(&r, i * 40, body, sizeof(body));
    }
    assert_int_equal(r.changes, 1);
    memset(&r, 0, sizeof(r));
    body[0] = 0x7f;
    for (uint32_t i = 0; i < 50; i++)
        read(&r, i * 600, body, sizeof(body));
    assert_false(r.is_known);
}

static void test_aac_without_configuration(void **state)
{
    static const int rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct reader r = {.changes = 0};
        read_frames(&r, 7000, "\xae\x01", 200, (uint32_t)(1024000000u / (unsigned)rates[i]),
                    rates[i] > 20000 ? 15 : 30);
        assert_int_equal(r.known.sample_rate, rates[i]);
        assert_int_equal(r.known.ch_layout.nb_channels, 2);
        assert_int_equal(r.changes, 1);
        assert_true(r.first_ms - 7000 >= 900 && r.first_ms - 7000 < 1200);
    }
    struct reader r = {.changes = 0};
    read_frames(&r, 0, "\xae\x01", 200, 20000, 0); /* frames of 960 samples */
    assert_false(r.is_known);
    read(&r, 2040, (const uint8_t *)"\xaf\0\x12\x10", 4);
    assert_int_equal(r.known.sample_rate, 44100);

    memset(&r, 0, sizeof(r)); /* it has one, which says that this is something else */
    read(&r, 0, (const uint8_t *)"\xaf\0\xff\xff", 4);
    read_frames(&r, 0, "\xae\x01", 200, 64000, 0);
    assert_false(r.is_known);
}

/* Frames tell: tag headers that vary say nothing. */
static void test_mp3_headers_that_change(void **state)
{
    (void)state;
    struct reader r = {.changes = 0};
    for (uint32_t i = 0; i < 50; i++)
        read(&r, i * 26,
             i % 2 == 0 ? (const uint8_t *)"\x2e\xff\xfb" : (const uint8_t *)"\x2b\xff\xfb", 3);
    assert_int_equal(r.changes, 1);
}

static void test_opus(void **state)
{
    (void)state;
    struct reader r = {.changes = 0};
    read(&r, 0, (const uint8_t *)"\xdf\xfc\1\2", 4); /* ZLMediaKit */
    assert_int_equal(r.known.codec_id, AV_CODEC_ID_OPUS);
    assert_int_equal(r.known.sample_rate, 48000);
    read(&r, 20, (const uint8_t *)"\xdf\0OpusHead\1\1\0\0\x80\xbb\0\0\0\0\0", 21);
    assert_int_equal(r.known.ch_layout.nb_channels, 1);
    read(&r, 20, (const uint8_t *)"\xdf\1\xfc\1\2", 5);
    assert_int_equal(r.changes, 2);
    struct flv_tag tag = {
        .type = FLV_TAG_AUDIO, .data = (const uint8_t *)"\xdf\1\xfc\1\2", .len = 5, .track = -1};
    struct flv_unit unit;
    assert_int_equal(flv_tag_read_unit(&tag, &unit), 0);
    assert_int_equal(unit.len, 3);
    memset(&r, 0, sizeof(r));
    read(&r, 0, (const uint8_t *)"\x91Opus\xfc\1\2", 8);
    assert_true(r.is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_g711),
        cmocka_unit_test(test_g711_that_comes_late),
        cmocka_unit_test(test_g711_that_was_cut_off),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_g711_headers_that_change),
        cmocka_unit_test(test_aac_without_configuration),
        cmocka_unit_test(test_mp3_headers_that_change),
        cmocka_unit_test(test_opus),
    };
    return cmocka_run_group_tests_name("flv_sound", tests, NULL, NULL);
}
