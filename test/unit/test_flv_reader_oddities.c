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

/* Two pictures, more than a second apart: the reader has waited for sound. */
static void put_waited_for(struct rig *rig, struct flv *f)
{
    VIDEO(f, 0, AVC_CONFIG(SPS_A));
    VIDEO(f, 0, KEY);
    assert_int_equal(feed(rig, f, 1000), 0);
    assert_int_equal(rig->count, 0);
    rig->later_us = 1100000;
    empty(f);
    VIDEO(f, 40, INTER);
    assert_int_equal(feed(rig, f, 1000), 0);
    assert_int_equal(rig->count, 3);
    empty(f);
}

/* Sound that nobody promised comes after its time: it is announced alone, and no picture is lost.
 */
static void test_late_audio(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    put_waited_for(&rig, &f);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    AUDIO(&f, 1500, AAC_CONFIG);
    AUDIO(&f, 1500, AAC_FRAME);
    VIDEO(&f, 1540, INTER);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 6);
    assert_audio_alone(&rig.event[3], AV_CODEC_ID_AAC);
    assert_int_equal(rig.event[4].packet.track, TRACK_AUDIO);
    assert_int_equal(rig.event[5].packet.track, TRACK_VIDEO);
    end(&rig, &f);
}

/* onMetaData or frames without a configuration promise sound: silence keeps its place. */
static void test_promised_audio(void **state)
{
    (void)state;
    for (int by_frames = 0; by_frames < 2; by_frames++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 1);
        if (by_frames)
            AUDIO(&f, 0, AAC_FRAME);
        else
            put_metadata(&f, 7, 10);
        put_waited_for(&rig, &f);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
        assert_int_equal(rig.event[1].packet.track, TRACK_VIDEO);
        AUDIO(&f, 1500, AAC_FRAME);        /* still without a configuration */
        AUDIO(&f, 1540, "\xaf\0\x14\x08"); /* 16 kHz */
        AUDIO(&f, 1540, AAC_FRAME);
        AUDIO(&f, 1600, "\xaf\0\x14\x08");
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, 5);
        assert_audio_alone(&rig.event[3], AV_CODEC_ID_AAC);
        assert_int_equal(rig.event[3].sample_rate, 16000);
        assert_int_equal(rig.event[4].packet.track, TRACK_AUDIO);
        end(&rig, &f);
    }
}

/* Of two tracks, the first cannot be decoded: in tags of their own, or in one. */
static void test_first_audio_track_unsupported(void **state)
{
    (void)state;
    for (int in_one = 0; in_one < 2; in_one++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 5);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        if (!in_one)
            AUDIO(&f, 0, "\x95\0xxxx\0\1");
        VIDEO(&f, 0, KEY);
        if (in_one) {
            AUDIO(&f, 0, "\x95\x20xxxx\0\0\0\1\7mp4a\1\0\0\2\x14\x08");
            AUDIO(&f, 0, "\x95\x21xxxx\0\0\0\1\7mp4a\1\0\0\1\5");
        } else {
            AUDIO(&f, 0, "\x95\0mp4a\1\x14\x08");
            AUDIO(&f, 0, "\x95\1xxxx\0\7");
            AUDIO(&f, 0, "\x95\1mp4a\1\5");
        }
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, 3);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
        assert_int_equal(rig.event[0].sample_rate, 16000);
        assert_int_equal(rig.event[2].packet.data[0], 5);
        assert_int_equal(rig.no_audio, IPC_NO_AUDIO_NONE);
        end(&rig, &f);
    }
}

/* OBS and others: the first track in tags without a trackId, in either dialect, further ones beside
 * it. */
static void test_tracks_beside_a_plain_one(void **state)
{
    (void)state;
    for (int second_first = 0; second_first < 2; second_first++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 5);
        if (second_first == 1) { /* a server that does not keep their configurations */
            VIDEO(&f, 0, "\xa6\1avc1\1\0\0\0\0\0\0\3\x41\x88\x99");
            AUDIO(&f, 0, "\x95\1mp4a\1\7\7");
        }
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        AUDIO(&f, 0, AAC_CONFIG);
        VIDEO(&f, 0, "\x96\0avc1\1" AVCC(SPS_B, "\xff"));
        AUDIO(&f, 0, "\x95\0mp4a\1\x14\x08");
        for (uint32_t i = 0; i < 4; i++) {
            if (second_first == 0)
                VIDEO(&f, 40 * i, KEY);
            VIDEO(&f, 40 * i, "\x96\1avc1\1\0\0\0\0\0\0\3\x65\x88\x99");
            if (second_first == 1)
                VIDEO(&f, 40 * i, KEY);
            AUDIO(&f, 40 * i, "\x95\1mp4a\1\7\7");
            AUDIO(&f, 40 * i, AAC_FRAME);
            AUDIO(&f, 40 * i, "\x95\1mp4a\2\x08\x08");
        }
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, 9);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
        assert_int_equal(rig.event[0].sample_rate, 44100);
        for (int i = 1; i < 9; i++) {
            const struct media_packet *p = &rig.event[i].packet;
            assert_int_equal(p->data[p->len - 1], p->track == TRACK_VIDEO ? 0x84 : 5);
        }
        end(&rig, &f);
    }
}

/* Why there is no sound. */
static void test_reasons_for_silence(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        size_t len;
        enum ipc_no_audio why;
    } cases[] = {
        {"\xb2speex", 6, IPC_NO_AUDIO_UNSUPPORTED_CODEC},
        {"\x90xxxx\1", 6, IPC_NO_AUDIO_UNSUPPORTED_CODEC},
        {"\xaf\0\xff\xff", 4, IPC_NO_AUDIO_UNREADABLE},
        {"\x94mp4a\1", 6, IPC_NO_AUDIO_NONE}, /* a layout of channels: no codec of its own */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 5);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        put_tag(&f, 8, 0, cases[i].tag, cases[i].len);
        VIDEO(&f, 0, KEY);
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, cases[i].why != IPC_NO_AUDIO_NONE ? 2 : 0);
        assert_int_equal(rig.no_audio, cases[i].why);
        end(&rig, &f);
    }
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
        KIND("", "\xaf" ADTS, AV_CODEC_ID_AAC, 16000, 1), /* without a packet type */
        KIND("", "\xaf\0" ADTS, AV_CODEC_ID_AAC, 16000, 1),
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

/* RTMP's first message, which libavformat took for video (rtmp_opening.h). */
static void test_aggregate_called_video(void **state)
{
    (void)state;
    struct flv all = {.data = NULL};
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    assert_int_equal(feed(&rig, &f, 7), 0);
    flv_reader_expect_aggregate(rig.reader);
    f.len = 0;
    VIDEO(&all, 0, AVC_CONFIG(SPS_A));
    AUDIO(&all, 0, AAC_CONFIG);
    VIDEO(&all, 0, KEY);
    put_tag(&f, 9, 5000, all.data, all.len);
    VIDEO(&f, 5040, INTER);
    assert_int_equal(feed(&rig, &f, 7), 0);
    assert_int_equal(rig.count, 3);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
    assert_int_equal(rig.event[1].packet.dts, 5000);
    assert_int_equal(rig.event[2].packet.dts, 5040);
    free(all.data);
    end(&rig, &f);
}

/* A configuration that is none, when there was one: the stream goes on. */
static void test_broken_video_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        size_t len;
    } broken[] = {
        {"\x17\0\0\0\0", 5},
        {"\x17\0\0\0\0\x01\x42", 7},
        {"\x17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18},
        {"\x17\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 13},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_header(&f, 1);
        put_metadata(&f, 7, 0);
        VIDEO(&f, 0, AVC_CONFIG(SPS_A));
        VIDEO(&f, 0, KEY);
        put_tag(&f, 9, 40, broken[i].tag, broken[i].len);
        VIDEO(&f, 40, INTER);
        VIDEO(&f, 80, KEY);
        assert_int_equal(feed(&rig, &f, 1000), 0);
        assert_int_equal(rig.count, 4);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
        end(&rig, &f);
    }
}

/* Neither a configuration nor a key flag: parameter sets in band tell where decoding begins. */
static void test_neither_configuration_nor_key_flag(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 1);
    put_metadata(&f, 7, 0);
    VIDEO(&f, 0, INTER);
    VIDEO(&f, 40, "\x27\1\0\0\0\0\0\0\x18" SPS_A "\0\0\0\5" PPS "\0\0\0\3\x65\x88\x84");
    VIDEO(&f, 80, INTER);
    assert_int_equal(feed(&rig, &f, 1000), 0);
    assert_int_equal(rig.count, 4);
    assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_NONE);
    end(&rig, &f);
}

/* Write a StreamID into the tags of f from `from` on. */
static void set_stream_id(struct flv *f, size_t from, uint8_t id)
{
    for (size_t at = from; at + 11 <= f->len;) {
        f->data[at + 10] = id;
        at += 11 + ((size_t)f->data[at + 1] << 16 | (size_t)f->data[at + 2] << 8 | f->data[at + 3]);
        at += 4;
    }
}

static void put_stream(struct flv *f)
{
    VIDEO(f, 0, AVC_CONFIG(SPS_A));
    AUDIO(f, 0, AAC_CONFIG);
    for (uint32_t i = 0; i < 6; i++)
        VIDEO(f, 40 * i, KEY);
}

/* RTMP's message stream ID in place of FLV's 0, by itself or in an aggregate. */
static void test_stream_id(void **state)
{
    (void)state;
    for (int aggregate = 0; aggregate < 2; aggregate++) {
        struct flv all = {.data = NULL};
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        put_stream(&all);
        set_stream_id(&all, 0, 7);
        put_header(&f, 5);
        if (aggregate)
            put_tag(&f, 22, 0, all.data, all.len);
        else
            put(&f, all.data, all.len);
        assert_int_equal(feed(&rig, &f, 7), 0);
        assert_int_equal(rig.count, 7);
        assert_tracks(&rig.event[0], AV_CODEC_ID_H264, AV_CODEC_ID_AAC);
        for (int i = 1; i < 7; i++)
            assert_false(rig.event[i].packet.lost_before);
        free(all.data);
        end(&rig, &f);
    }
}

/* With sizes that are wrong as well, the StreamID must stay what it was. */
static void test_stream_id_and_wrong_sizes(void **state)
{
    (void)state;
    struct flv f = {.data = NULL};
    struct rig rig = {.count = 0};
    put_header(&f, 5);
    VIDEO(&f, 0, AVC_CONFIG(SPS_A));
    for (uint32_t i = 0; i < 6; i++) {
        if (i == 0)
            AUDIO(&f, 40 * i, AAC_CONFIG);
        else
            AUDIO(&f, 40 * i, AAC_FRAME);
        VIDEO(&f, 40 * i, KEY);
        memset(f.data + f.len - 4, 0, 4);
    }
    set_stream_id(&f, 13, 7);
    size_t good = f.len;
    VIDEO(&f, 240, KEY);
    f.data[good + 10] = 99;
    assert_int_equal(feed(&rig, &f, 7), 0);
    assert_int_equal(rig.count, 1 + 5 + 6);
    for (int i = 1; i < rig.count; i++)
        assert_false(rig.event[i].packet.lost_before);
    end(&rig, &f);
}

/* AMF3 data, encrypted tags, and what nobody knows: no loss. */
static void test_other_tags(void **state)
{
    (void)state;
    static const int types[] = {15, 0x28, 0x32, 99};
    for (int aggregate = 0; aggregate < 2; aggregate++) {
        struct flv all = {.data = NULL};
        struct flv f = {.data = NULL};
        struct rig rig = {.count = 0};
        VIDEO(&all, 0, AVC_CONFIG(SPS_A));
        AUDIO(&all, 0, AAC_CONFIG);
        for (uint32_t i = 0; i < 4; i++) {
            put_tag(&all, types[i], 40 * i, "secret", 6);
            VIDEO(&all, 40 * i, KEY);
        }
        put_header(&f, 5);
        if (aggregate)
            put_tag(&f, 22, 0, all.data, all.len);
        else
            put(&f, all.data, all.len);
        assert_int_equal(feed(&rig, &f, 7), 0);
        assert_int_equal(rig.count, 5);
        for (int i = 1; i < 5; i++)
            assert_false(rig.event[i].packet.lost_before);
        free(all.data);
        end(&rig, &f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence_header_at_zero),
        cmocka_unit_test(test_late_audio),
        cmocka_unit_test(test_promised_audio),
        cmocka_unit_test(test_first_audio_track_unsupported),
        cmocka_unit_test(test_tracks_beside_a_plain_one),
        cmocka_unit_test(test_reasons_for_silence),
        cmocka_unit_test(test_audio_of_many_kinds),
        cmocka_unit_test(test_codec_under_the_wrong_number),
        cmocka_unit_test(test_aggregate),
        cmocka_unit_test(test_aggregate_called_video),
        cmocka_unit_test(test_broken_video_configuration),
        cmocka_unit_test(test_neither_configuration_nor_key_flag),
        cmocka_unit_test(test_stream_id),
        cmocka_unit_test(test_stream_id_and_wrong_sizes),
        cmocka_unit_test(test_other_tags),
    };
    return cmocka_run_group_tests_name("flv_reader_oddities", tests, NULL, NULL);
}
