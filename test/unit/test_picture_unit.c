/* worker/video/picture_unit, picture_header and av1: pictures that libavcodec's encoders made. */
#include "worker/video/picture_unit.h"

#include "worker/video/av1.h"
#include "worker/video/picture_header.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PICTURES 12
#define GOP 5

/* What an encoder made. */
struct clip {
    AVPacket *packets[PICTURES];
    size_t count;
    uint8_t extradata[4096];
    size_t extradata_len;
};

struct kind {
    const char *encoder;
    enum AVCodecID codec;
    int width;
    int height;
    bool global_header;
    int b_frames;
};

static void take(AVCodecContext *enc, struct clip *c)
{
    AVPacket *pkt = av_packet_alloc();
    while (avcodec_receive_packet(enc, pkt) == 0) {
        assert_true(c->count < PICTURES);
        c->packets[c->count++] = av_packet_clone(pkt);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
}

static bool is_screen_video(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_FLASHSV || codec == AV_CODEC_ID_FLASHSV2;
}

static enum AVPixelFormat format_of(enum AVCodecID codec)
{
    if (codec == AV_CODEC_ID_MJPEG)
        return AV_PIX_FMT_YUVJ420P;
    return is_screen_video(codec) ? AV_PIX_FMT_BGR24 : AV_PIX_FMT_YUV420P;
}

/* Another grey for each line and, in the upper quarter, for each picture: Screen Video of which
 * everything changes is a key frame. */
static void draw(AVFrame *f, int number)
{
    for (int p = 0; p < 3 && f->data[p] != NULL; p++)
        for (int y = 0; y < (p == 0 ? f->height : f->height / 2); y++)
            memset(f->data[p] + (ptrdiff_t)y * f->linesize[p],
                   40 + y + (y < f->height / 4 ? number * 7 : 0),
                   (size_t)(p == 0 ? f->linesize[p] : f->width / 2));
}

static bool encode(const struct kind *k, struct clip *c)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(k->encoder);
    memset(c, 0, sizeof(*c));
    if (codec == NULL)
        return false; /* this libavcodec was built without it */
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    enc->width = k->width;
    enc->height = k->height;
    enc->pix_fmt = format_of(k->codec);
    enc->time_base = (AVRational){1, 25};
    enc->gop_size = GOP;
    enc->max_b_frames = k->b_frames;
    enc->thread_count = 1;
    enc->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    if (k->global_header)
        enc->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary *options = NULL;
    if (k->codec == AV_CODEC_ID_VP8 || k->codec == AV_CODEC_ID_VP9 || k->codec == AV_CODEC_ID_AV1) {
        enc->bit_rate = 200000;
        enc->keyint_min = GOP;
        av_dict_set(&options, "lag-in-frames", "0", 0);
        av_dict_set(&options, "deadline", "realtime", 0);
        av_dict_set(&options, "usage", "realtime", 0);
        av_dict_set(&options, "cpu-used", "8", 0);
    }
    assert_int_equal(avcodec_open2(enc, codec, &options), 0);
    av_dict_free(&options);
    AVFrame *f = av_frame_alloc();
    for (int i = 0; i < PICTURES; i++) {
        f->width = k->width;
        f->height = k->height;
        f->format = enc->pix_fmt;
        f->pts = i;
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        draw(f, i);
        assert_int_equal(avcodec_send_frame(enc, f), 0);
        av_frame_unref(f);
        take(enc, c);
    }
    (void)avcodec_send_frame(enc, NULL);
    take(enc, c);
    av_frame_free(&f);
    c->extradata_len = (size_t)enc->extradata_size;
    assert_true(c->extradata_len <= sizeof(c->extradata));
    if (c->extradata_len > 0)
        memcpy(c->extradata, enc->extradata, c->extradata_len);
    avcodec_free_context(&enc);
    assert_int_equal(c->count, PICTURES);
    return true;
}

static void clip_free(struct clip *c)
{
    for (size_t i = 0; i < c->count; i++)
        av_packet_free(&c->packets[i]);
}

/* --- frames --------------------------------------------------------------- */

struct result {
    struct frame *frames[PICTURES * 2];
    size_t count;
};

static void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    struct result *r = ctx;
    assert_true(r->count < sizeof(r->frames) / sizeof(r->frames[0]));
    frame->pts_us = pts;
    r->frames[r->count++] = frame;
}

static void result_clear(struct result *r)
{
    while (r->count > 0)
        frame_unref(&r->frames[--r->count]);
}

static bool push(struct picture_unit *pu, const AVPacket *pkt, bool lost)
{
    const struct media_packet packet = {.track = TRACK_VIDEO,
                                        .form = MEDIA_RAW,
                                        .key = (pkt->flags & AV_PKT_FLAG_KEY) != 0,
                                        .data = pkt->data,
                                        .len = (size_t)pkt->size,
                                        .pts = pkt->pts,
                                        .dts = AV_NOPTS_VALUE,
                                        .received_us = 1,
                                        .lost_before = lost};
    return picture_unit_push(pu, &packet);
}

static const struct kind kinds[] = {
    {"mjpeg", AV_CODEC_ID_MJPEG, 176, 144, false, 0},
    {"mpeg4", AV_CODEC_ID_MPEG4, 178, 130, false, 0},
    {"mpeg4", AV_CODEC_ID_MPEG4, 178, 130, true, 0},
    {"h263", AV_CODEC_ID_H263, 176, 144, false, 0},
    {"h263p", AV_CODEC_ID_H263, 180, 132, false, 0},
    {"flv", AV_CODEC_ID_FLV1, 178, 130, false, 0},
    {"flashsv", AV_CODEC_ID_FLASHSV, 178, 130, false, 0},
    {"flashsv2", AV_CODEC_ID_FLASHSV2, 192, 128, false, 0},
    {"libvpx", AV_CODEC_ID_VP8, 178, 130, false, 0},
    {"libvpx-vp9", AV_CODEC_ID_VP9, 178, 130, false, 0},
    {"libaom-av1", AV_CODEC_ID_AV1, 178, 130, false, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void decode_alone(const struct frame *key)
{
    const AVCodec *codec = avcodec_find_decoder(key->config->codec);
    AVCodecContext *dec = avcodec_alloc_context3(codec);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    size_t len = key->config->record_len;
    dec->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (len > 0)
        memcpy(dec->extradata, key->config->record, len);
    dec->extradata_size = (int)len;
    dec->thread_count = 1;
    assert_int_equal(avcodec_open2(dec, codec, NULL), 0);
    assert_int_equal(av_new_packet(pkt, (int)key->len), 0);
    memcpy(pkt->data, key->data, key->len);
    assert_int_equal(avcodec_send_packet(dec, pkt), 0);
    (void)avcodec_send_packet(dec, NULL);
    assert_int_equal(avcodec_receive_frame(dec, f), 0);
    assert_int_equal(f->width, key->config->width);
    assert_int_equal(f->height, key->config->height);
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&dec);
}

/* Every codec: key frames where the encoder says so, the size, and a configuration that is enough
 * to decode each key frame alone. */
static void test_every_codec(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        struct clip c;
        struct result r = {.count = 0};
        const struct access_unit_events events = {on_frame, &r};
        if (!encode(k, &c))
            continue;
        size_t extradata_len = k->global_header ? c.extradata_len : 0;
        struct picture_unit *pu = picture_unit_new(k->codec, extradata_len > 0 ? c.extradata : NULL,
                                                   extradata_len, &events);
        assert_non_null(pu);
        for (size_t j = 0; j < c.count; j++)
            assert_true(push(pu, c.packets[j], false));
        assert_int_equal(r.count, PICTURES);
        for (size_t j = 0; j < r.count; j++) {
            bool key = (c.packets[j]->flags & AV_PKT_FLAG_KEY) != 0;
            assert_int_equal(r.frames[j]->key, key);
            assert_false(r.frames[j]->damaged);
            assert_ptr_equal(r.frames[j]->config, r.frames[0]->config);
            assert_int_equal(r.frames[j]->config->width, k->width);
            assert_int_equal(r.frames[j]->config->height, k->height);
            assert_int_equal(r.frames[j]->config->codec, k->codec);
            if (key)
                decode_alone(r.frames[j]);
        }
        picture_unit_free(&pu);
        result_clear(&r);
        clip_free(&c);
    }
}

/* Decoding starts at a key frame; what follows a loss is damaged up to the next one. */
static void test_start_and_damage(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        struct clip c;
        struct result r = {.count = 0};
        const struct access_unit_events events = {on_frame, &r};
        if (k->global_header || !encode(k, &c))
            continue;
        struct picture_unit *pu = picture_unit_new(k->codec, NULL, 0, &events);
        size_t first_key = 1;
        while ((c.packets[first_key]->flags & AV_PKT_FLAG_KEY) == 0)
            first_key++;
        if (k->codec == AV_CODEC_ID_MPEG4 || k->codec == AV_CODEC_ID_AV1) {
            (void)push(pu, c.packets[0], false); /* the configuration may be here only */
            result_clear(&r);
            picture_unit_restart(pu, NULL, 0);
        }
        for (size_t j = 1; j < first_key; j++)
            assert_true(push(pu, c.packets[j], false));
        assert_int_equal(r.count, 0);
        bool intra = k->codec == AV_CODEC_ID_MJPEG;
        if (!intra && k->codec != AV_CODEC_ID_MPEG4) {
            assert_true(push(pu, c.packets[first_key], true)); /* whole, whatever came before */
            assert_int_equal(r.count, 1);
            assert_true(push(pu, c.packets[first_key + 1], false));
            assert_true(push(pu, c.packets[first_key + 2], true));
            assert_true(push(pu, c.packets[first_key + 3], false));
            static const bool damaged[] = {false, false, true, true};
            for (size_t j = 0; j < 4; j++)
                assert_int_equal(r.frames[j]->damaged, damaged[j]);
        }
        picture_unit_free(&pu);
        result_clear(&r);
        clip_free(&c);
    }
}

/* Each picture is whole by itself. */
static void test_jpeg_is_never_damaged(void **state)
{
    struct clip c;
    struct result r = {.count = 0};
    const struct access_unit_events events = {on_frame, &r};
    assert_true(encode(&kinds[0], &c));
    struct picture_unit *pu = picture_unit_new(AV_CODEC_ID_MJPEG, NULL, 0, &events);
    assert_true(push(pu, c.packets[0], true));
    c.packets[1]->data[1] = 0; /* no SOI */
    assert_false(push(pu, c.packets[1], false));
    assert_true(push(pu, c.packets[2], false));
    assert_int_equal(r.count, 2);
    assert_true(r.frames[1]->key && !r.frames[1]->damaged);
    picture_unit_free(&pu);
    result_clear(&r);
    clip_free(&c);
}

/* Pictures that come in another order than they are shown in change the configuration, once: at a
 * key frame, because decoders begin anew with it. */
static void test_reordering(void **state)
{
    static const struct kind k = {"mpeg4", AV_CODEC_ID_MPEG4, 176, 144, true, 2};
    struct clip c;
    struct result r = {.count = 0};
    const struct access_unit_events events = {on_frame, &r};
    assert_true(encode(&k, &c));
    struct picture_unit *pu = picture_unit_new(k.codec, c.extradata, c.extradata_len, &events);
    for (size_t j = 0; j < c.count; j++)
        (void)push(pu, c.packets[j], false);
    assert_int_equal(r.frames[0]->config->reorder_frames, 0);
    const struct codec_config *last = r.frames[r.count - 1]->config;
    assert_int_equal(last->reorder_frames, 1);
    unsigned changes = 0;
    for (size_t j = 1; j < r.count; j++) {
        bool changed = r.frames[j]->config != r.frames[j - 1]->config;
        assert_true(!changed || r.frames[j]->key);
        changes += changed;
    }
    assert_int_equal(changes, 1);
    picture_unit_free(&pu);
    result_clear(&r);
    clip_free(&c);
}

/* A camera cannot make its configuration as large as it likes. */
static void test_configuration_is_bounded(void **state)
{
    static const struct kind k = {"mpeg4", AV_CODEC_ID_MPEG4, 176, 144, true, 0};
    static const uint8_t user_data[4] = {0, 0, 1, 0xB2};
    const size_t filler = 100000;
    struct clip c;
    struct result r = {.count = 0};
    const struct access_unit_events events = {on_frame, &r};
    assert_true(encode(&k, &c));
    size_t key_len = (size_t)c.packets[0]->size;
    AVPacket *pkt = av_packet_alloc();
    assert_int_equal(av_new_packet(pkt, (int)(c.extradata_len + filler + key_len)), 0);
    memset(pkt->data, 'x', (size_t)pkt->size);
    memcpy(pkt->data, c.extradata, c.extradata_len);
    memcpy(pkt->data + c.extradata_len, user_data, sizeof(user_data));
    memcpy(pkt->data + c.extradata_len + filler, c.packets[0]->data, key_len);

    struct picture_unit *pu =
        picture_unit_new(k.codec, pkt->data, c.extradata_len + filler, &events);
    assert_true(push(pu, c.packets[0], false));
    assert_true(push(pu, pkt, false));
    assert_int_equal(r.count, 0);
    picture_unit_restart(pu, c.extradata, c.extradata_len);
    assert_true(push(pu, c.packets[0], false));
    assert_int_equal(r.count, 1);
    picture_unit_free(&pu);
    result_clear(&r);
    av_packet_free(&pkt);
    clip_free(&c);
}

/* AV1CodecConfigurationRecord: profile 0, 8 bits, 4:2:0; the sequence header follows. */
static void test_av1_record(void **state)
{
    struct clip c;
    struct picture_header h;
    uint8_t head[AV1_RECORD_HEAD];
    if (!encode(&kinds[KINDS - 1], &c))
        skip();
    assert_true(
        picture_header_read(AV_CODEC_ID_AV1, c.packets[0]->data, (size_t)c.packets[0]->size, &h));
    assert_true(av1_record_head(head, h.config, h.config_len));
    assert_int_equal(head[0], 0x81);
    assert_int_equal(head[1] >> 5, 0);
    assert_in_range(head[1] & 0x1F, 0, 4); /* 178x130: level 2.0 is enough, 3.0 allowed */
    assert_int_equal(head[2] & ~3, 0x0C);
    assert_int_equal(head[3], 0);
    assert_int_equal(h.config[0] >> 3, 1); /* OBU_SEQUENCE_HEADER */
    assert_false(av1_record_head(head, h.config, 3));
    clip_free(&c);
}

/* 5.3.1 and 4.10.5: the last OBU may have no size; a size may take eight bytes. */
static void test_av1_sizes(void **state)
{
    static const struct {
        const char *data;
        size_t len;
        bool has_frame, key;
    } cases[] = {
        {"\x32\x02\x10\x00", 4, true, true},
        {"\x30\x10\x00", 3, true, true},
        {"\x30\x30\x00", 3, true, false},
        {"\x12\x00\x30\x10", 4, true, true},
        {"\x32\x82\x80\x80\x80\x80\x80\x80\x00\x10\x00", 11, true, true},
        {"\x32\x82\x80\x80\x80\x80\x80\x80\x80\x00\x10\x00", 12, false, false},
        {"\x32\x03\x10\x00", 4, false, false},
        {"\x34", 1, false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct av1_picture picture;
        assert_int_equal(av1_read_picture((const uint8_t *)cases[i].data, cases[i].len, &picture),
                         cases[i].has_frame);
        assert_int_equal(picture.key, cases[i].key);
    }
}

/* The cropping before the frame is not the decoder's, but its extradata. */
static void test_vp6(void **state)
{
    static const struct {
        enum AVCodecID codec;
        const char *data;
        size_t len, skip;
        bool key;
        int width, height;
    } good[] = {
        /* cropping 2 x 10; quantizer 20, sub-version 8, 4 rows, 5 columns */
        {AV_CODEC_ID_VP6F, "\x2a\x28\x46\x04\x05\x04\x05", 7, 1, true, 78, 54},
        {AV_CODEC_ID_VP6F, "\x00\x28\x40\x12\x34\x04\x05\x04\x05", 9, 1, true, 80, 64},
        {AV_CODEC_ID_VP6F, "\x00\x29\x46\x12\x34\x04\x05\x04\x05", 9, 1, true, 80, 64},
        {AV_CODEC_ID_VP6F, "\x2a\xa8\x00", 3, 1, false, 0, 0},
        {AV_CODEC_ID_VP6A, "\x2a\x00\x00\x09\x28\x46\x04\x05\x04\x05", 10, 1, true, 78, 54},
    };
    static const struct {
        enum AVCodecID codec;
        const char *data;
        size_t len;
    } bad[] = {
        {AV_CODEC_ID_VP6F, "", 0},
        {AV_CODEC_ID_VP6F, "\x2a\xa8", 2},
        {AV_CODEC_ID_VP6F, "\x2a\x28\x46\x04", 4},
        {AV_CODEC_ID_VP6F, "\x2a\x28\x46\x00\x05\x04\x05", 7},
        {AV_CODEC_ID_VP6A, "\x2a\x00\x00\x09\x28", 5},
        {AV_CODEC_ID_FLASHSV, "\x31\x40\x30", 3},
        {AV_CODEC_ID_FLASHSV2, "\x31\x40\x30\x00", 4},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct picture_header h;
        const uint8_t *data = (const uint8_t *)good[i].data;
        assert_true(picture_header_read(good[i].codec, data, good[i].len, &h));
        assert_int_equal(h.key, good[i].key);
        assert_int_equal(h.skip, good[i].skip);
        assert_int_equal(h.width, good[i].width);
        assert_int_equal(h.height, good[i].height);
        assert_int_equal(h.config_len, good[i].key ? 1 : 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct picture_header h;
        assert_false(
            picture_header_read(bad[i].codec, (const uint8_t *)bad[i].data, bad[i].len, &h));
    }
}

static void test_other_codecs(void **state)
{
    const struct access_unit_events events = {on_frame, NULL};
    assert_null(picture_unit_new(AV_CODEC_ID_H264, NULL, 0, &events));
    assert_null(picture_unit_new(AV_CODEC_ID_H261, NULL, 0, &events));
}

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec),
        cmocka_unit_test(test_start_and_damage),
        cmocka_unit_test(test_jpeg_is_never_damaged),
        cmocka_unit_test(test_reordering),
        cmocka_unit_test(test_configuration_is_bounded),
        cmocka_unit_test(test_av1_record),
        cmocka_unit_test(test_av1_sizes),
        cmocka_unit_test(test_vp6),
        cmocka_unit_test(test_other_codecs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
