/* worker/flv: the bytes of every tag kind, checked one by one and read back by libavformat. */
#include "worker/viewers/flv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavformat/avformat.h>

static const uint8_t record[] = {1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 0};

static struct codec_config *video_new(enum AVCodecID codec)
{
    struct codec_config *c = codec_config_new(TRACK_VIDEO, codec, record, sizeof(record));
    c->width = 1280;
    c->height = 720;
    c->frame_rate_num = 30000;
    c->frame_rate_den = 1001;
    return c;
}

static struct codec_config *audio_new(void)
{
    static const uint8_t asc[] = {0x15, 0x88}; /* LC, 8 kHz, mono */
    struct codec_config *c = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, asc, sizeof(asc));
    c->sample_rate = 8000;
    c->channels = 1;
    return c;
}

static void test_header(void **state)
{
    (void)state;
    uint8_t out[FLV_HEADER_BYTES];
    flv_header(out, true, true);
    assert_memory_equal(out, "FLV\1\5\0\0\0\11\0\0\0\0", 13);
    flv_header(out, true, false);
    assert_int_equal(out[4], 1);
    flv_header(out, false, true);
    assert_int_equal(out[4], 4);
}

static const uint8_t *find(const uint8_t *data, size_t len, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i + n + 9 <= len; i++) {
        if (memcmp(data + i, key, n) == 0 && data[i - 1] == n)
            return data + i + n;
    }
    return NULL;
}

static double number(const uint8_t *data, size_t len, const char *key)
{
    const uint8_t *p = find(data, len, key);
    assert_non_null(p);
    assert_int_equal(p[0], 0);
    uint64_t bits = 0;
    for (int i = 1; i <= 8; i++)
        bits = bits << 8 | p[i];
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool boolean(const uint8_t *data, size_t len, const char *key)
{
    const uint8_t *p = find(data, len, key);
    assert_non_null(p);
    assert_int_equal(p[0], 1);
    return p[1] != 0;
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void test_metadata(void **state)
{
    (void)state;
    struct codec_config *h264 = video_new(AV_CODEC_ID_H264);
    struct codec_config *hevc = video_new(AV_CODEC_ID_HEVC);
    struct codec_config *audio = audio_new();
    uint8_t out[FLV_METADATA_MAX];

    size_t len = flv_metadata(out, h264, audio, FLV_HEVC_ENHANCED);
    assert_int_equal(out[0], 18);
    assert_int_equal(u32(out) & 0xffffff, len - 15);   /* DataSize */
    assert_memory_equal(out + 4, "\0\0\0\0\0\0\0", 7); /* time 0, stream 0 */
    assert_memory_equal(out + 11, "\2\0\12onMetaData\10", 14);
    assert_int_equal(u32(out + 25), 10); /* properties */
    assert_memory_equal(out + len - 7, "\0\0\11", 3);
    assert_int_equal(u32(out + len - 4), len - 4); /* PreviousTagSize */
    assert_true(boolean(out, len, "hasVideo"));
    assert_true(boolean(out, len, "hasAudio"));
    assert_false(boolean(out, len, "stereo"));
    assert_true(number(out, len, "width") == 1280);
    assert_true(number(out, len, "height") == 720);
    assert_true(number(out, len, "framerate") > 29.97 && number(out, len, "framerate") < 29.98);
    assert_true(number(out, len, "videocodecid") == 7);
    assert_true(number(out, len, "audiocodecid") == 10);
    assert_true(number(out, len, "audiosamplerate") == 8000);

    h264->frame_rate_num = 0;
    len = flv_metadata(out, h264, NULL, FLV_HEVC_ENHANCED);
    assert_int_equal(u32(out + 25), 5);
    assert_false(boolean(out, len, "hasAudio"));
    assert_null(find(out, len, "audiocodecid"));
    assert_null(find(out, len, "framerate"));
    assert_null(find(out, len, "duration"));

    len = flv_metadata(out, hevc, NULL, FLV_HEVC_ENHANCED);
    assert_true(number(out, len, "videocodecid") == 0x68766331);
    len = flv_metadata(out, hevc, NULL, FLV_HEVC_LEGACY);
    assert_true(number(out, len, "videocodecid") == 12);
    codec_config_unref(&h264);
    codec_config_unref(&hevc);
    codec_config_unref(&audio);
}

static void assert_config(struct codec_config *config, enum flv_dialect dialect, uint32_t ts_ms,
                          const char *expected, size_t expected_len)
{
    uint8_t out[64];
    size_t len = flv_config(out, config, dialect, ts_ms);
    assert_int_equal(len, flv_config_size(config, dialect));
    assert_int_equal(len, expected_len + config->record_len + 4);
    assert_memory_equal(out, expected, expected_len);
    assert_memory_equal(out + expected_len, config->record, config->record_len);
    assert_int_equal(u32(out + len - 4), len - 4);
    codec_config_unref(&config);
}

static void test_sequence_headers(void **state)
{
    (void)state;
    assert_config(video_new(AV_CODEC_ID_H264), FLV_HEVC_ENHANCED, 0,
                  "\11\0\0\15\0\0\0\0\0\0\0\x17\0\0\0\0", 16);
    assert_config(video_new(AV_CODEC_ID_HEVC), FLV_HEVC_LEGACY, 0x12345678,
                  "\11\0\0\15\x34\x56\x78\x12\0\0\0\x1c\0\0\0\0", 16);
    assert_config(video_new(AV_CODEC_ID_HEVC), FLV_HEVC_ENHANCED, 0,
                  "\11\0\0\15\0\0\0\0\0\0\0\x90hvc1", 16);
    assert_config(video_new(AV_CODEC_ID_AV1), FLV_HEVC_LEGACY, 0,
                  "\11\0\0\15\0\0\0\0\0\0\0\x90"
                  "av01",
                  16);
    assert_config(audio_new(), FLV_HEVC_ENHANCED, 0, "\10\0\0\4\0\0\0\0\0\0\0\xaf\0", 13);
}

static void assert_frame(struct codec_config *config, bool key, enum flv_dialect dialect,
                         uint32_t ts_ms, int32_t cts_ms, const char *expected, size_t expected_len)
{
    uint8_t out[FLV_PREFIX_MAX];
    uint8_t trailer[FLV_TRAILER_BYTES];
    struct frame *frame = frame_new(config, 0x1000);
    frame->key = key;
    assert_int_equal(flv_frame_prefix(out, frame, dialect, ts_ms, cts_ms), expected_len);
    assert_memory_equal(out, expected, expected_len);
    flv_frame_trailer(trailer, frame, expected_len);
    assert_int_equal(u32(trailer), expected_len + 0x1000);
    frame_unref(&frame);
    codec_config_unref(&config);
}

static void test_frames(void **state)
{
    (void)state;
    assert_frame(video_new(AV_CODEC_ID_H264), true, FLV_HEVC_ENHANCED, 0, 0,
                 "\11\0\x10\5\0\0\0\0\0\0\0\x17\1\0\0\0", 16);
    assert_frame(video_new(AV_CODEC_ID_H264), false, FLV_HEVC_LEGACY, 0xfedcba98, 80,
                 "\11\0\x10\5\xdc\xba\x98\xfe\0\0\0\x27\1\0\0\x50", 16);
    assert_frame(video_new(AV_CODEC_ID_HEVC), true, FLV_HEVC_ENHANCED, 5, 0x123456,
                 "\11\0\x10\10\0\0\5\0\0\0\0\x91hvc1\x12\x34\x56", 19);
    assert_frame(video_new(AV_CODEC_ID_HEVC), false, FLV_HEVC_ENHANCED, 5, -2,
                 "\11\0\x10\10\0\0\5\0\0\0\0\xa1hvc1\xff\xff\xfe", 19);
    assert_frame(video_new(AV_CODEC_ID_HEVC), false, FLV_HEVC_LEGACY, 5, 0x7fffffff,
                 "\11\0\x10\5\0\0\5\0\0\0\0\x2c\1\x7f\xff\xff", 16);
    assert_frame(video_new(AV_CODEC_ID_AV1), true, FLV_HEVC_LEGACY, 5, 7,
                 "\11\0\x10\5\0\0\5\0\0\0\0\x91"
                 "av01",
                 16);
    assert_frame(video_new(AV_CODEC_ID_AV1), false, FLV_HEVC_ENHANCED, 5, 0,
                 "\11\0\x10\5\0\0\5\0\0\0\0\xa1"
                 "av01",
                 16);
    assert_frame(audio_new(), true, FLV_HEVC_LEGACY, 0x1000000, 7,
                 "\10\0\x10\2\0\0\0\1\0\0\0\xaf\1", 13);
}

static void test_too_big_for_a_tag(void **state)
{
    (void)state;
    uint8_t out[FLV_PREFIX_MAX];
    struct codec_config *config = video_new(AV_CODEC_ID_HEVC);
    struct frame *frame = frame_new(config, FLV_DATA_MAX - 8);
    assert_int_equal(flv_frame_prefix(out, frame, FLV_HEVC_ENHANCED, 0, 0), 19);
    assert_int_equal(u32(out) & 0xffffff, FLV_DATA_MAX);
    frame->len++;
    assert_int_equal(flv_frame_prefix(out, frame, FLV_HEVC_ENHANCED, 0, 0), 0);
    assert_int_equal(flv_frame_prefix(out, frame, FLV_HEVC_LEGACY, 0, 0), 16);
    frame_unref(&frame);
    codec_config_unref(&config);
}

struct bytes {
    uint8_t data[4096];
    size_t len;
    size_t pos;
};

static int read_bytes(void *opaque, uint8_t *buf, int size)
{
    struct bytes *b = opaque;
    size_t n = b->len - b->pos < (size_t)size ? b->len - b->pos : (size_t)size;
    memcpy(buf, b->data + b->pos, n);
    b->pos += n;
    return n > 0 ? (int)n : AVERROR_EOF;
}

/* An independent reader agrees about sizes, times and payload. */
static void test_libavformat_reads_it(void **state)
{
    (void)state;
    struct bytes *b = calloc(1, sizeof(*b));
    struct codec_config *video = video_new(AV_CODEC_ID_H264);
    struct codec_config *audio = audio_new();
    flv_header(b->data, true, true);
    b->len = FLV_HEADER_BYTES;
    b->len += flv_metadata(b->data + b->len, video, audio, FLV_HEVC_ENHANCED);
    b->len += flv_config(b->data + b->len, video, FLV_HEVC_ENHANCED, 0);
    b->len += flv_config(b->data + b->len, audio, FLV_HEVC_ENHANCED, 0);
    for (int i = 0; i < 8; i++) {
        struct frame *frame = frame_new(i % 2 == 0 ? video : audio, 20 + (size_t)i);
        frame->key = i == 0;
        memset(frame->data, i + 1, frame->len);
        size_t n = flv_frame_prefix(b->data + b->len, frame, FLV_HEVC_ENHANCED,
                                    0xfffff0 + (uint32_t)i * 20, i % 2 == 0 ? 40 : 0);
        memcpy(b->data + b->len + n, frame->data, frame->len);
        flv_frame_trailer(b->data + b->len + n + frame->len, frame, n);
        b->len += n + frame->len + FLV_TRAILER_BYTES;
        frame_unref(&frame);
    }

    av_log_set_level(AV_LOG_QUIET);
    AVFormatContext *fmt = avformat_alloc_context();
    fmt->pb = avio_alloc_context(av_malloc(4096), 4096, 0, b, read_bytes, NULL, NULL);
    fmt->flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN;
    assert_int_equal(avformat_open_input(&fmt, NULL, av_find_input_format("flv"), NULL), 0);
    AVPacket *pkt = av_packet_alloc();
    for (int i = 0; i < 8; i++) {
        assert_int_equal(av_read_frame(fmt, pkt), 0);
        const AVCodecParameters *par = fmt->streams[pkt->stream_index]->codecpar;
        assert_int_equal(par->codec_id, i % 2 == 0 ? AV_CODEC_ID_H264 : AV_CODEC_ID_AAC);
        assert_int_equal(pkt->size, 20 + i);
        assert_int_equal(pkt->data[0], i + 1);
        assert_int_equal(pkt->data[pkt->size - 1], i + 1);
        assert_int_equal(pkt->dts, 0xfffff0 + i * 20);
        assert_int_equal(pkt->pts, 0xfffff0 + i * 20 + (i % 2 == 0 ? 40 : 0));
        assert_int_equal(pkt->flags & AV_PKT_FLAG_KEY, i == 0 || i % 2 != 0);
        av_packet_unref(pkt);
    }
    assert_int_equal(av_read_frame(fmt, pkt), AVERROR_EOF);
    av_packet_free(&pkt);
    av_freep(&fmt->pb->buffer);
    avio_context_free(&fmt->pb);
    avformat_close_input(&fmt);
    codec_config_unref(&video);
    codec_config_unref(&audio);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_sequence_headers),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_too_big_for_a_tag),
        cmocka_unit_test(test_libavformat_reads_it),
    };
    return cmocka_run_group_tests_name("flv", tests, NULL, NULL);
}
