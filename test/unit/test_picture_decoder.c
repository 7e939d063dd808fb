/* worker/picture_decoder: the newest picture, never a broken one. */
#include "worker/pictures/picture_decoder.h"

#include "test/unit/encode_video.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define WIDTH 256
#define HEIGHT 144

static void encode(struct encoded *e, enum AVCodecID codec, int gop, int b_frames,
                   const char *params)
{
    struct video_spec spec = {.codec = codec,
                              .format = AV_PIX_FMT_YUV420P,
                              .width = WIDTH,
                              .height = HEIGHT,
                              .pictures = 40,
                              .gop = gop,
                              .b_frames = b_frames,
                              .params = params,
                              .matrix = AVCOL_SPC_UNSPECIFIED,
                              .range = AVCOL_RANGE_UNSPECIFIED,
                              .paint = encode_paint_number};
    encode_video(&spec, e);
}

static int newest_number(struct picture_decoder *d, struct picture *p)
{
    if (!picture_decoder_newest(d, p))
        return -1;
    assert_int_equal(p->frame->width, WIDTH);
    assert_int_equal(p->frame->height, HEIGHT);
    return encode_read_number(p->frame);
}

/* After each frame the newest picture in display order is there, whatever the frame types; late
 * says how many frames may pass before the first one. */
static void check_newest(const struct encoded *e, int first, int late)
{
    struct picture_decoder *d = picture_decoder_new();
    int newest = -1, newest_at = -1;
    for (int i = first; i < e->count; i++) {
        assert_int_equal(picture_decoder_feed(d, e->frames[i], (uint64_t)i, i == first), 0);
        if (e->number[i] > newest) {
            newest = e->number[i];
            newest_at = i;
        }
        struct picture p;
        int got = newest_number(d, &p);
        if (i - first < late && got == -1)
            continue;
        assert_int_equal(got, newest);
        assert_int_equal(p.stamp.seq, newest_at);
        assert_int_equal(p.stamp.received_us, e->frames[newest_at]->received_us);
    }
    picture_decoder_free(&d);
}

static void test_newest(void **state)
{
    static const struct {
        enum AVCodecID codec;
        int gop, b_frames;
        const char *params;
    } cases[] = {
        {AV_CODEC_ID_H264, 1, 0, NULL},
        {AV_CODEC_ID_H264, 10, 0, NULL},
        {AV_CODEC_ID_H264, 20, 3, "b-pyramid=normal:b-adapt=0"},
        {AV_CODEC_ID_H264, 20, 2, "b-adapt=0:open-gop=1"},
        {AV_CODEC_ID_H264, 20, 0, "slices=4"},
        {AV_CODEC_ID_HEVC, 1, 0, NULL},
        {AV_CODEC_ID_HEVC, 10, 0, NULL},
        {AV_CODEC_ID_HEVC, 20, 3, "b-adapt=0:b-pyramid=1:open-gop=0"},
        {AV_CODEC_ID_HEVC, 20, 3, "b-adapt=0:open-gop=1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct encoded e;
        encode(&e, cases[i].codec, cases[i].gop, cases[i].b_frames, cases[i].params);
        check_newest(&e, 0, cases[i].b_frames > 0);
        encoded_free(&e);
    }
}

/* Start in the middle: at a key frame with leading pictures that cannot be decoded from there. */
static void test_open_gop_start(void **state)
{
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (int c = 0; c < 2; c++) {
        struct encoded e;
        encode(&e, codecs[c], 20, 3, "b-adapt=0:open-gop=1");
        int first = 1;
        while (first < e.count && !e.frames[first]->key)
            first++;
        assert_true(first + 1 < e.count);
        assert_true(e.number[first + 1] < e.number[first]); /* a leading picture follows */
        check_newest(&e, first, 6);
        e.frames[first + 1]->damaged = true; /* nothing shown after the key frame needs it */
        check_newest(&e, first, 6);
        encoded_free(&e);
    }
}

/* Feed frames from..: all must be refused, and the newest picture stay, up to the key frame. */
static void check_refused_until_key(struct picture_decoder *d, const struct encoded *e, int from,
                                    int expect_number)
{
    struct picture p;
    int i = from;
    for (; i < e->count && !e->frames[i]->key; i++) {
        assert_int_equal(picture_decoder_feed(d, e->frames[i], (uint64_t)i, false), -EAGAIN);
        assert_true(picture_decoder_needs_key(d));
        assert_int_equal(newest_number(d, &p), expect_number);
    }
    assert_true(i < e->count);
    assert_int_equal(picture_decoder_feed(d, e->frames[i], (uint64_t)i, false), 0);
    assert_int_equal(newest_number(d, &p), e->number[i]);
}

/* One that has decoded the first four frames. */
static struct picture_decoder *decoder_of_four(const struct encoded *e)
{
    struct picture_decoder *d = picture_decoder_new();
    for (int i = 0; i < 4; i++)
        assert_int_equal(picture_decoder_feed(d, e->frames[i], (uint64_t)i, false), 0);
    return d;
}

static void test_damaged_chain(void **state)
{
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (int c = 0; c < 2; c++) {
        struct encoded e;
        encode(&e, codecs[c], 10, 0, NULL);
        struct picture_decoder *d = decoder_of_four(&e);
        e.frames[4]->damaged = true;
        check_refused_until_key(d, &e, 4, 3);
        picture_decoder_free(&d);

        /* A damaged key frame starts nothing. */
        d = picture_decoder_new();
        struct picture p;
        e.frames[0]->damaged = true;
        assert_int_equal(picture_decoder_feed(d, e.frames[0], 0, false), -EAGAIN);
        assert_int_equal(picture_decoder_feed(d, e.frames[1], 1, false), -EAGAIN);
        assert_false(picture_decoder_newest(d, &p));
        picture_decoder_free(&d);
        encoded_free(&e);
    }
}

/* A frame is missing and nobody says so: the decoder has to invent a reference. */
/* Periodic intra refresh: decoding starts anew at a recovery point, but shows no picture that is
 * not whole. */
static void test_refresh_after_damage(void **state)
{
    enum { POINT = 20, WHOLE = POINT + 14 }; /* as x264 says for this width */
    struct encoded e;
    encode(&e, AV_CODEC_ID_H264, POINT, 0, "intra-refresh=1");
    e.frames[POINT]->key = false;
    e.frames[POINT]->refresh = WHOLE - POINT;
    struct picture_decoder *d = picture_decoder_new();
    struct picture p;
    for (int i = 0; i < e.count; i++) {
        e.frames[i]->damaged = i >= 5 && i < POINT;
        int rc = picture_decoder_feed(d, e.frames[i], (uint64_t)i, false);
        bool lost = i >= 5 && i < POINT;
        assert_int_equal(rc, lost ? -EAGAIN : 0);
        assert_int_equal(picture_decoder_needs_key(d), lost);
        assert_int_equal(picture_decoder_is_current(d), i < POINT || i >= WHOLE);
        assert_int_equal(newest_number(d, &p), i >= 5 && i < WHOLE ? 4 : i);
    }
    picture_decoder_free(&d);
    encoded_free(&e);
}

static void test_missing_frame(void **state)
{
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (int c = 0; c < 2; c++) {
        struct encoded e;
        encode(&e, codecs[c], 10, 0, NULL);
        struct picture_decoder *d = decoder_of_four(&e);
        check_refused_until_key(d, &e, 5, 3);
        picture_decoder_free(&d);

        /* Known to be missing. */
        d = decoder_of_four(&e);
        assert_int_equal(picture_decoder_feed(d, e.frames[5], 5, true), -EAGAIN);
        check_refused_until_key(d, &e, 6, 3);
        picture_decoder_free(&d);
        encoded_free(&e);
    }
}

/* Bytes changed or missing within a frame, and nobody says so. */
static void test_corrupt_payload(void **state)
{
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (int c = 0; c < 2; c++) {
        struct encoded e;
        encode(&e, codecs[c], 10, 0, NULL);
        struct frame *good = e.frames[4];
        assert_true(good->len > 2000);

        /* The HEVC decoder does not notice that a slice ends early. */
        for (int how = c; how < 2; how++) {
            struct frame *bad = frame_new(e.config, good->len);
            memcpy(bad->data, good->data, good->len);
            bad->pts_us = good->pts_us;
            bad->len = good->len / 2; /* the second half lost */
            if (how == 0) {           /* lengths made to fit */
                size_t nal = bad->len - 4;
                bad->data[1] = (uint8_t)(nal >> 16);
                bad->data[2] = (uint8_t)(nal >> 8);
                bad->data[3] = (uint8_t)nal;
            }
            e.frames[4] = bad;
            struct picture_decoder *d = decoder_of_four(&e);
            check_refused_until_key(d, &e, 4, 3);
            picture_decoder_free(&d);
            frame_unref(&bad);
        }
        e.frames[4] = good;
        encoded_free(&e);
    }
}

static void test_config_change(void **state)
{
    struct encoded h264, hevc;
    encode(&h264, AV_CODEC_ID_H264, 10, 0, NULL);
    encode(&hevc, AV_CODEC_ID_HEVC, 10, 0, NULL);
    struct picture_decoder *d = picture_decoder_new();
    struct picture p;
    assert_int_equal(picture_decoder_feed(d, h264.frames[0], 0, false), 0);
    assert_int_equal(picture_decoder_feed(d, h264.frames[1], 1, false), 0);
    assert_int_equal(picture_decoder_feed(d, hevc.frames[1], 2, false), -EAGAIN);
    assert_int_equal(newest_number(d, &p), 1);
    assert_int_equal(picture_decoder_feed(d, hevc.frames[10], 3, false), 0);
    assert_int_equal(newest_number(d, &p), 10);
    assert_int_equal(p.stamp.seq, 3);
    picture_decoder_free(&d);
    encoded_free(&h264);
    encoded_free(&hevc);
}

/* Payloads from the network: nothing in them may do harm. */
static void test_hostile_payload(void **state)
{
    struct encoded e;
    encode(&e, AV_CODEC_ID_H264, 10, 0, NULL);
    static const uint8_t payloads[][8] = {
        {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0x65}, {0, 0, 0, 1, 0x06}, {0, 0, 0, 1, 0x65},
        {0x65},
    };
    static const size_t lens[] = {4, 5, 5, 5, 1};
    struct picture p;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct picture_decoder *d = picture_decoder_new();
        struct frame *f = frame_new(e.config, lens[i]);
        memcpy(f->data, payloads[i], lens[i]);
        f->key = true;
        assert_int_equal(picture_decoder_feed(d, f, 0, false), -EAGAIN);
        assert_false(picture_decoder_newest(d, &p));
        frame_unref(&f);
        picture_decoder_free(&d);
    }
    encoded_free(&e);
}

/* Address space that this process has had at most. */
static long peak_memory_kb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kb = -1;
    assert_non_null(file);
    while (kb < 0 && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmPeak: %ld", &kb) != 1)
            kb = -1;
    (void)fclose(file);
    assert_true(kb > 0);
    return kb;
}

/* Parameter sets of 16000 by 16000 pixels, in a camera's first hundred bytes. */
static void test_claimed_size(void **state)
{
    (void)state;
    static const uint8_t record[] = {0x01, 0x42, 0xc0, 0x33, 0xff, 0xe1, 0x00, 0x0b, 0x67,
                                     0x42, 0xc0, 0x33, 0xda, 0x00, 0x3e, 0x80, 0x07, 0xd1,
                                     0x90, 0x01, 0x00, 0x04, 0x68, 0xce, 0x38, 0x80};
    static const uint8_t payload[] = {0x00, 0x00, 0x00, 0x0c, 0x65, 0x88, 0x84, 0xaa,
                                      0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0x80};
    struct codec_config *config =
        codec_config_new(TRACK_VIDEO, AV_CODEC_ID_H264, record, sizeof(record));
    struct frame *f = frame_new(config, sizeof(payload));
    memcpy(f->data, payload, sizeof(payload));
    f->key = true;
    struct picture_decoder *d = picture_decoder_new();
    struct picture p;
    long before_kb = peak_memory_kb();
    assert_int_equal(picture_decoder_feed(d, f, 0, false), -EAGAIN);
    assert_true(peak_memory_kb() - before_kb < 100L * 1024); /* a picture would be 375 MiB */
    assert_false(picture_decoder_newest(d, &p));
    picture_decoder_free(&d);
    frame_unref(&f);
    codec_config_unref(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest),
        cmocka_unit_test(test_open_gop_start),
        cmocka_unit_test(test_refresh_after_damage),
        cmocka_unit_test(test_damaged_chain),
        cmocka_unit_test(test_missing_frame),
        cmocka_unit_test(test_corrupt_payload),
        cmocka_unit_test(test_config_change),
        cmocka_unit_test(test_hostile_payload),
        cmocka_unit_test(test_claimed_size),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("picture_decoder", tests, NULL, NULL);
}
