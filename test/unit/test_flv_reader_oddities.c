/* worker/flv_reader: what servers and publishers really send. */
#include "test/unit/flv_reader_rig.h"

/* ZLMediaKit, node-media-server: the sequence header is at 0, frames at the stream's time. */
static void test_sequence_header_at_zero(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    VIDEO(&f, 500000, KEY);
    VIDEO(&f, 500040, INTER);
    AUDIO(&f, 500050, "\x7e\xd5\xd5");
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 4);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_PCM_ALAW);
    end(&rig, &f);
}

/* Sound that comes after its time: announced where a key frame begins anew. */
static void test_late_audio(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    for (uint32_t ts = 0; ts < 1500; ts += 40)
        VIDEO(&f, ts, INTER);
    AUDIO(&f, 1500, AAC_CONFIG);
    AUDIO(&f, 1500, AAC_FRAME);
    VIDEO(&f, 1540, INTER);
    int before = 1 + 38 + 1;
    VIDEO(&f, 1580, KEY);
    AUDIO(&f, 1600, AAC_FRAME);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, before + 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    assert_tracks(&rig.event[before], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    assert_true(rig.event[before + 1].packet.key);
    assert_int_equal(rig.event[before + 2].packet.track, TRACK_AUDIO);
    end(&rig, &f);
}

/* AAC-LC, 16 kHz, mono, 11 bytes in all. */
#define ADTS "\xff\xf1\x60\x40\x01\x7f\xfc\x01\x02\x03\x04"

static void test_audio_of_many_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *config, *frame;
        size_t config_len, frame_len;
        enum AVCodecID codec;
        int sample_rate, channels;
    } kinds[] = {
#define KIND(config, frame, ...) {config, frame, sizeof(config) - 1, sizeof(frame) - 1, __VA_ARGS__}
        KIND("", "\xaf\1" ADTS, AV_CODEC_ID_AAC, 16000, 1),
        KIND("\x90mp4a\x12\x10", "\x91mp4a\1\2", AV_CODEC_ID_AAC, 44100, 2),
        KIND("", "\x91mp4a" ADTS, AV_CODEC_ID_AAC, 16000, 1),
        KIND("\x90OpusOpusHead\1\1\0\0\x80\xbb\0\0\0\0\0", "\x91Opus\1", AV_CODEC_ID_OPUS, 48000,
             1),
        KIND("\x90"
             "fLaCfLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0\0\0\0\0"
             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
             "\x91"
             "fLaC\1",
             AV_CODEC_ID_FLAC, 44100, 2),
        KIND("",
             "\x91"
             "ac-3\x0b\x77",
             AV_CODEC_ID_AC3, 48000, 2),
        KIND("",
             "\x91"
             "ec-3\x0b\x77",
             AV_CODEC_ID_EAC3, 48000, 2),
        KIND("", "\x91.mp3\xff\xfb", AV_CODEC_ID_MP3, 48000, 2),
        /* One track with a number; several; a modifier in front. */
        KIND("\x95\0mp4a\0\x12\x10", "\x95\1mp4a\0\1", AV_CODEC_ID_AAC, 44100, 2),
        KIND("\x95\x10mp4a\0\0\0\2\x12\x10\1\0\0\2\x14\x08", "\x95\x11mp4a\1\0\0\1\7\0\0\0\1\5",
             AV_CODEC_ID_AAC, 44100, 2),
        KIND("\x97\2\1\2\3\5\x20mp4a\0\0\0\2\x12\x10", "\x97\0\1\1mp4a\5", AV_CODEC_ID_AAC, 44100,
             2),
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 5);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        if (kinds[i].config_len > 0)
            put_tag(&f, 8, 0, kinds[i].config, kinds[i].config_len);
        VIDEO(&f, 0, KEY);
        put_tag(&f, 8, 0, kinds[i].frame, kinds[i].frame_len);
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, 3);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, kinds[i].codec);
        assert_int_equal(rig.event[0].sample_rate, kinds[i].sample_rate);
        assert_int_equal(rig.event[0].channels, kinds[i].channels);
        assert_int_equal(rig.event[2].packet.track, TRACK_AUDIO);
        const uint8_t last = (uint8_t)kinds[i].frame[kinds[i].frame_len - 1];
        assert_int_equal(rig.event[2].packet.data[rig.event[2].packet.len - 1], last);
        end(&rig, &f);
    }
}

#define VPS "\x40\x01\x0c\x01"
#define HVCC "\1\1\x60\0\0\0\x90\0\0\0\0\0\x3c\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\1\x20\0\1\0\4" VPS

/* The number says one codec, the parameter sets the other. */
static void test_codec_under_the_wrong_number(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, "\x17\0\0\0\0" HVCC);
    VIDEO(&f, 0, "\x17\1\0\0\0\0\0\0\3\x26\x01\xaf");
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 2);
    assert_tracks(&rig.event[0], AV_CODEC_ID_HEVC, AV_CODEC_ID_NONE);
    end(&rig, &f);

    put_header(&f, 1);
    put_metadata(&f, 12, 0);
    VIDEO(&f, 0, "\x1c\0\0\0\0" AVCC(SPS_A, "\xff"));
    VIDEO(&f, 0, "\x1c\1\0\0\0\0\0\0\3\x65\x88\x84");
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    end(&rig, &f);

    put_header(&f, 1); /* without a sequence header */
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, "\x17\1\0\0\0\0\0\0\4" VPS "\0\0\0\3\x26\x01\xaf");
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_tracks(&rig.event[0], AV_CODEC_ID_HEVC, AV_CODEC_ID_NONE);
    end(&rig, &f);
}

/* A message of type 22, as some servers pass it on over HTTP. */
static void test_aggregate(void **state)
{
    (void)state;
    struct flv all = {.data = NULL};
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    VIDEO(&all, 100, AVC_CONFIG(SPS_A));
    AUDIO(&all, 100, AAC_CONFIG);
    VIDEO(&all, 100, KEY);
    AUDIO(&all, 120, AAC_FRAME);
    VIDEO(&all, 140, INTER);
    TEXT(&all, "\x09\0\xff"); /* cut */
    put_header(&f, 5);
    put_tag(&f, 22, 5000, all.data, all.len);
    VIDEO(&f, 5080, INTER);
    assert_int_equal(feed(&rig, &f, 7), 0);
    assert_int_equal(rig.count, 5);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    const int64_t dts[] = {5000, 5020, 5040, 5080};
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig.event[1 + i].packet.dts, dts[i]);
    free(all.data);
    end(&rig, &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence_header_at_zero),
        cmocka_unit_test(test_late_audio),
        cmocka_unit_test(test_audio_of_many_kinds),
        cmocka_unit_test(test_codec_under_the_wrong_number),
        cmocka_unit_test(test_aggregate),
    };
    return cmocka_run_group_tests_name("flv_reader_oddities", tests, NULL, NULL);
}
