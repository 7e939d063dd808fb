/* worker/flv_reader: tags in every chunking, sound and broken, to packets. */
#include "test/unit/flv_reader_rig.h"

static void test_h264_and_aac_in_every_chunking(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    put_header(&f, 5);
    put_metadata(&f, 7, 10);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    AUDIO(&f, 0, AAC_CONFIG);
    VIDEO(&f, 0xfffff0, KEY);
    AUDIO(&f, 0xfffff8, AAC_FRAME);
    VIDEO(&f, 0x1000018, INTER);
    VIDEO(&f, 0x1000019, "\x27\2\0\0\0"); /* end of sequence */
    VIDEO(&f, 0x1000020, "\x57\1");       /* command */
    for (size_t chunk = 1; chunk < f.len + 1; chunk++) {
        struct rig rig = {.count = 0};
        assert_int_equal(feed(&rig, &f, chunk), 0);
        assert_int_equal(rig.count, 4);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
        assert_int_equal(rig.event[0].sample_rate, 44100);
        assert_int_equal(rig.event[0].channels, 2);
        assert_int_equal(rig.event[0].extradata_len, 40);
        assert_packet(&rig.event[1], TRACK_VIDEO, 0xfffff0, 0xfffff0 + 40, &KEY[5], 7);
        assert_packet(&rig.event[2], TRACK_AUDIO, 0xfffff8, 0xfffff8, &AAC_FRAME[2], 3);
        assert_packet(&rig.event[3], TRACK_VIDEO, 0x1000018, 0x1000016, &INTER[5], 7);
        assert_false(rig.event[1].packet.lost_before);
        assert_true(rig.alive);
        clear(&rig);
    }
    free(f.data);
}

static void test_other_audio(void **state)
{
    (void)state;
    const struct {
        const char *data;
        enum AVCodecID codec;
        int sample_rate;
        int channels;
    } cases[] = {
        {"\x72\xd5\xd5", AV_CODEC_ID_PCM_ALAW, 8000, 1},
        {"\x82\xff\xff", AV_CODEC_ID_PCM_MULAW, 8000, 1},
        {"\x2b\xff\xfb", AV_CODEC_ID_MP3, 22050, 2},
        {"\xe2\xff\xfb", AV_CODEC_ID_MP3, 8000, 1},
        {"\x07\1\2", AV_CODEC_ID_PCM_S16LE, 11025, 2},
        {"\x38\x80\x81", AV_CODEC_ID_PCM_U8, 22050, 1},
        {"\x1e\1\2", AV_CODEC_ID_ADPCM_SWF, 44100, 1},
        {"\x4f\1\2", AV_CODEC_ID_NELLYMOSER, 16000, 1},
        {"\x53\1\2", AV_CODEC_ID_NELLYMOSER, 8000, 1},
        {"\x6a\1\2", AV_CODEC_ID_NELLYMOSER, 22050, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 5);
        put_tag(&f, 8, 0, cases[i].data, 3);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        VIDEO(&f, 0, KEY);
        assert_int_equal(feed(&rig, &f, 7), 0);
        assert_int_equal(rig.count, 3);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, cases[i].codec);
        assert_int_equal(rig.event[0].sample_rate, cases[i].sample_rate);
        assert_int_equal(rig.event[0].channels, cases[i].channels);
        assert_packet(&rig.event[1], TRACK_AUDIO, 0, 0, cases[i].data + 1, 2);
        end(&rig, &f);
    }
}

static void test_hevc_in_both_dialects(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 12, 0);
    VIDEO(&f, 0, "\x1c\0\0\0\0\1config");
    VIDEO(&f, 40, "\x1c\1\0\0\5frame");
    assert_int_equal(feed(&rig, &f, 3), 0);
    assert_int_equal(rig.count, 2);
    assert_tracks(&rig.event[0], AV_CODEC_ID_HEVC, AV_CODEC_ID_NONE);
    assert_int_equal(rig.event[0].extradata_len, 7);
    assert_packet(&rig.event[1], TRACK_VIDEO, 40, 45, "frame", 5);
    end(&rig, &f);

    put_header(&f, 1);
    put_metadata(&f, 0x68766331, 0);
    VIDEO(&f, 0, "\x90hvc1\1config");
    VIDEO(&f, 40, "\x91hvc1\xff\xff\xffone");
    VIDEO(&f, 80, "\xa3hvc1three");
    VIDEO(&f, 90, "\x94hvc1metadata");
    VIDEO(&f, 90, "\x92hvc1");
    assert_int_equal(feed(&rig, &f, 3), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_HEVC, AV_CODEC_ID_NONE);
    assert_packet(&rig.event[1], TRACK_VIDEO, 40, 39, "one", 3);
    assert_packet(&rig.event[2], TRACK_VIDEO, 80, 80, "three", 5);
    end(&rig, &f);
}

static void test_audio_by_its_announcement(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};

    /* onMetaData without audio: not at all … */
    put_header(&f, 5);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    VIDEO(&f, 0, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 2);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    end(&rig, &f);

    /* … but what is announced after all is believed. */
    put_header(&f, 5);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    AUDIO(&f, 0, AAC_CONFIG);
    VIDEO(&f, 0, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 2);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    end(&rig, &f);
}

static void test_audio_is_waited_for_a_second(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};

    /* Nothing known: one second of real time, whatever the time stamps say, then all at once. */
    put_header(&f, 1);
    VIDEO(&f, 5000, AVC_CONFIG(SPS_A));
    for (uint32_t ts = 5000; ts < 15000; ts += 400) /* a server's burst */
        VIDEO(&f, ts, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    rig.later_us = 999999;
    empty(&f);
    VIDEO(&f, 15000, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 0);
    assert_false(rig.alive);
    rig.later_us = 1000000;
    empty(&f);
    VIDEO(&f, 15000, KEY); /* time stamps that stand still do not matter */
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 28);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    for (int i = 0; i < 26; i++)
        assert_int_equal(rig.event[1 + i].packet.dts, 5000 + 400 * i);
    end(&rig, &f);
}

static void test_audio_within_that_second(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};

    /* Audio within that second; AAC without its configuration does not count. */
    put_header(&f, 1);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    AUDIO(&f, 0, AAC_FRAME);
    VIDEO(&f, 0, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 0);
    clear(&rig);
    AUDIO(&f, 900, AAC_CONFIG);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    end(&rig, &f);

    /* The end of the stream, audio that is not ours. */
    put_header(&f, 5);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    VIDEO(&f, 0, KEY);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 0);
    assert_int_equal(flv_reader_finish(rig.reader, &rig.alive), 0);
    assert_int_equal(rig.count, 2);
    assert_true(rig.alive);
    clear(&rig);
    AUDIO(&f, 0, "\xb2speex");
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    assert_int_equal(rig.no_audio, IPC_NO_AUDIO_UNSUPPORTED_CODEC);
    end(&rig, &f);
}

static void test_new_sequence_header(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    AUDIO(&f, 0, AAC_CONFIG);
    VIDEO(&f, 0, KEY);
    VIDEO(&f, 40, AVC_CONFIG(SPS_A)); /* the same: nothing */
    AUDIO(&f, 40, AAC_CONFIG);
    VIDEO(&f, 80, AVC_CONFIG(SPS_B));
    VIDEO(&f, 80, KEY);
    assert_int_equal(feed(&rig, &f, 5), 0);
    assert_int_equal(rig.count, 4);
    const struct media_packet *sets = &rig.event[2].packet;
    assert_int_equal(sets->form, MEDIA_ANNEX_B);
    assert_false(sets->last);
    assert_int_equal(sets->pts, 80);
    assert_int_equal(sets->len, 4 + 24 + 4 + 5);
    assert_memory_equal(sets->data, "\0\0\0\1" SPS_B, 28);
    assert_memory_equal(sets->data + sets->len - 9, "\0\0\0\1" PPS, 9);
    assert_packet(&rig.event[3], TRACK_VIDEO, 80, 120, &KEY[5], 7);
    clear(&rig);

    VIDEO(&f, 120, "\x17\0\0\0\0" AVCC(SPS_A, "\xfd")); /* 2-byte lengths */
    VIDEO(&f, 120, "\x17\1\0\0\0\0\3\x65\x88\x84");
    AUDIO(&f, 120, "\xaf\0\x15\x88"); /* 8 kHz mono */
    VIDEO(&f, 160, "\x1c\0\0\0\0\1hevc");
    VIDEO(&f, 160, "\x1c\1\0\0\0frame");
    assert_int_equal(feed(&rig, &f, 5), 0);
    assert_int_equal(rig.count, 9);
    assert_tracks(&rig.event[4], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    assert_int_equal(rig.event[5].packet.len, 5);
    assert_audio_alone(&rig.event[6], AV_CODEC_ID_AAC);
    assert_int_equal(rig.event[6].sample_rate, 8000);
    assert_int_equal(rig.event[6].channels, 1);
    assert_tracks(&rig.event[7], AV_CODEC_ID_HEVC, AV_CODEC_ID_AAC);
    end(&rig, &f);
}

static void test_errors(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};

    put(&f, "<!DOCTYPE html>", 15);
    assert_int_equal(feed(&rig, &f, 4), -EPROTO);
    end(&rig, &f);

    put_header(&f, 4); /* a picture may come later: how long that may take is the caller's affair */
    AUDIO(&f, 0, AAC_CONFIG);
    for (uint32_t ts = 0; ts < 30000; ts += 20)
        AUDIO(&f, ts, AAC_FRAME);
    assert_int_equal(feed(&rig, &f, 100), 0);
    assert_true(flv_reader_has_seen(rig.reader, TRACK_AUDIO));
    assert_false(flv_reader_has_seen(rig.reader, TRACK_VIDEO));
    end(&rig, &f);

    put_header(&f, 1);
    VIDEO(&f, 0, "\x18no codec");
    assert_int_equal(feed(&rig, &f, 100), -ENOTSUP);
    end(&rig, &f);
    put_header(&f, 1);
    VIDEO(&f, 0,
          "\x90"
          "vvc1x");
    assert_int_equal(feed(&rig, &f, 100), -ENOTSUP);
    end(&rig, &f);

    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    VIDEO(&f, 0, KEY);
    rig.refuse = -ENOMEM;
    assert_int_equal(feed(&rig, &f, 100), -ENOMEM);
    end(&rig, &f);
}

static void assert_picture(const struct event *e, int64_t pts, const char *data, size_t len)
{
    assert_false(e->tracks);
    assert_int_equal(e->packet.form, MEDIA_RAW);
    assert_int_equal(e->packet.pts, pts);
    assert_int_equal(e->packet.len, len);
    assert_memory_equal(e->packet.data, data, len);
}

/* Codecs without NAL units: whole pictures, without composition time. */
static void test_other_codecs(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0,
          "\x90"
          "av01"
          "\x81\0\x0c\0");
    VIDEO(&f, 40,
          "\x91"
          "av01"
          "\x32\1\x10");
    VIDEO(&f, 80,
          "\x93"
          "av01"
          "\x32\1\x30");
    assert_int_equal(feed(&rig, &f, 100), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_AV1, AV_CODEC_ID_NONE);
    assert_int_equal(rig.event[0].extradata_len, 4);
    assert_picture(&rig.event[1], 40, "\x32\1\x10", 3);
    assert_picture(&rig.event[2], 80, "\x32\1\x30", 3);
    end(&rig, &f);

    put_header(&f, 1);
    put_metadata(&f, 2, 0);
    VIDEO(&f, 0,
          "\x12"
          "\0\0\x84\1");
    VIDEO(&f, 40,
          "\x22"
          "\0\0\x84\2");
    assert_int_equal(feed(&rig, &f, 100), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_FLV1, AV_CODEC_ID_NONE);
    assert_picture(&rig.event[2], 40, "\0\0\x84\2", 4);
    end(&rig, &f);

    /* AV1 by number, with a composition time. */
    put_header(&f, 1);
    put_metadata(&f, 13, 0);
    VIDEO(&f, 0, "\x1d\0\0\0\0\x81\0\x0c\0");
    VIDEO(&f, 40, "\x1d\1\0\0\0\x32\1\x10");
    assert_int_equal(feed(&rig, &f, 100), 0);
    assert_int_equal(rig.count, 2);
    assert_tracks(&rig.event[0], AV_CODEC_ID_AV1, AV_CODEC_ID_NONE);
    assert_picture(&rig.event[1], 40, "\x32\1\x10", 3);
    end(&rig, &f);
}

/* FLV's old codecs: the whole tag is a picture, and the container says which are key frames. */
static void test_old_codecs(void **state)
{
    static const struct {
        uint8_t id;
        enum AVCodecID codec;
    } ids[] = {{2, AV_CODEC_ID_FLV1},
               {3, AV_CODEC_ID_FLASHSV},
               {4, AV_CODEC_ID_VP6F},
               {5, AV_CODEC_ID_VP6A},
               {6, AV_CODEC_ID_FLASHSV2}};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        char key[] = "\x10picture", inter[] = "\x20other";
        key[0] = (char)(key[0] | ids[i].id);
        inter[0] = (char)(inter[0] | ids[i].id);
        put_header(&f, 1);
        put_metadata(&f, ids[i].id, 0);
        put_tag(&f, 9, 0, key, sizeof(key) - 1);
        put_tag(&f, 9, 40, inter, sizeof(inter) - 1);
        assert_int_equal(feed(&rig, &f, 100), 0);
        assert_int_equal(rig.count, 3);
        assert_tracks(&rig.event[0], ids[i].codec, AV_CODEC_ID_NONE);
        assert_picture(&rig.event[1], 0, "picture", 7);
        assert_picture(&rig.event[2], 40, "other", 5);
        assert_true(rig.event[1].packet.key);
        assert_false(rig.event[2].packet.key);
        end(&rig, &f);
    }
}

static void test_garbage_between_tags(void **state)
{
    (void)state;
    for (size_t garbage = 1; garbage < 300; garbage += 7) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 1);
        put_metadata(&f, 7, 0);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        VIDEO(&f, 0, KEY);
        /* Looks like tags again and again, the first time with a size that leads far. */
        for (size_t i = 0; i < garbage; i++)
            put(&f, &"\xff\11\0\0\x40\0\0\0\0\0\0\0\11\0\0\4\0\0\0\0\0\0\0"[i % 23], 1);
        for (uint32_t i = 1; i <= 8; i++) /* enough to tell a wrong guess from a tag */
            VIDEO(&f, 40 * i, INTER);
        assert_int_equal(feed(&rig, &f, 50), 0);
        assert_int_equal(rig.count, 10);
        assert_true(rig.event[2].packet.lost_before);
        assert_false(rig.event[3].packet.lost_before);
        assert_int_equal(rig.event[3].packet.dts, 80);
        end(&rig, &f);
    }
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    for (size_t i = 0; i < FLV_READER_SKIP_MAX + 100; i += 10)
        put(&f, "0123456789", 10);
    assert_int_equal(feed(&rig, &f, 4096), -EPROTO);
    end(&rig, &f);
}

static void test_wrong_previous_tag_sizes(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    for (uint32_t i = 0; i < 5; i++) {
        VIDEO(&f, i * 40, KEY);
        memset(f.data + f.len - 4, 0, 4);
    }
    assert_int_equal(feed(&rig, &f, 9), 0);
    assert_int_equal(rig.count, 6);
    for (int i = 1; i < 6; i++)
        assert_false(rig.event[i].packet.lost_before);
    end(&rig, &f);
}

static void test_parameter_sets_in_band_only(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, INTER);
    assert_int_equal(feed(&rig, &f, 9), 0);
    assert_int_equal(rig.count, 0);
    clear(&rig);
    VIDEO(&f, 40, KEY);
    assert_int_equal(feed(&rig, &f, 9), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    assert_int_equal(rig.event[0].extradata_len, 0);
    end(&rig, &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h264_and_aac_in_every_chunking),
        cmocka_unit_test(test_other_audio),
        cmocka_unit_test(test_hevc_in_both_dialects),
        cmocka_unit_test(test_audio_by_its_announcement),
        cmocka_unit_test(test_audio_is_waited_for_a_second),
        cmocka_unit_test(test_audio_within_that_second),
        cmocka_unit_test(test_new_sequence_header),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_other_codecs),
        cmocka_unit_test(test_old_codecs),
        cmocka_unit_test(test_garbage_between_tags),
        cmocka_unit_test(test_wrong_previous_tag_sizes),
        cmocka_unit_test(test_parameter_sets_in_band_only),
    };
    return cmocka_run_group_tests_name("flv_reader", tests, NULL, NULL);
}
