/* worker/pictures/picture_scaler and worker/pictures/jpeg together with the decoder: colours come
 * out as they went in, whatever the matrix, range, depth and subsampling; sizes. */
#include "worker/pictures/picture_scaler.h"

#include "test/unit/encode_video.h"
#include "test/unit/read_jpeg.h"
#include "test/unit/rgb_source.h"
#include "worker/pictures/jpeg.h"
#include "worker/pictures/picture_decoder.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WIDTH 512
#define HEIGHT 128
#define BARS 8
#define LEVELS 3 /* the most that a colour may be off, of 255 */

/* 75 % bars, and two colours nobody would notice being wrong in a grey picture. */
static const uint8_t bars[BARS][3] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191},
                                      {0, 191, 0},     {191, 0, 191}, {191, 0, 0},
                                      {0, 0, 191},     {200, 120, 60}};

/* ITU-R BT.601, BT.709, BT.2020: Kr and Kb. */
static void luma_weights(enum AVColorSpace matrix, double *kr, double *kb)
{
    *kr = 0.299, *kb = 0.114;
    if (matrix == AVCOL_SPC_BT709)
        *kr = 0.2126, *kb = 0.0722;
    if (matrix == AVCOL_SPC_BT2020_NCL)
        *kr = 0.2627, *kb = 0.0593;
}

static void put_sample(AVFrame *f, int plane, int x, int y, int value, bool deep)
{
    uint8_t *row = f->data[plane] + y * f->linesize[plane];
    if (deep) {
        row[2 * x] = (uint8_t)value;
        row[2 * x + 1] = (uint8_t)(value >> 8);
    } else {
        row[x] = (uint8_t)value;
    }
}

static int quantise(double v, double offset, double scale, int depth)
{
    double max = (1 << depth) - 1;
    double q = floor((v * scale + offset) * (depth == 8 ? 1 : (1 << (depth - 8))) + 0.5);
    return (int)(q < 0 ? 0 : q > max ? max : q);
}

/* ctx: the matrix to paint with, which is not always the one that is signalled. */
static void paint_bars(AVFrame *f, int number, const struct video_spec *spec)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(spec->format);
    const enum AVColorSpace *matrix = spec->ctx;
    int depth = d->comp[0].depth;
    bool full = spec->range == AVCOL_RANGE_JPEG;
    double kr, kb;
    luma_weights(*matrix, &kr, &kb);
    for (int p = 0; p < 3; p++) {
        int sx = p == 0 ? 0 : d->log2_chroma_w, sy = p == 0 ? 0 : d->log2_chroma_h;
        for (int y = 0; y < spec->height >> sy; y++)
            for (int x = 0; x < spec->width >> sx; x++) {
                const uint8_t *c = bars[(x << sx) * BARS / spec->width];
                double r = c[0] / 255.0, g = c[1] / 255.0, b = c[2] / 255.0;
                double l = kr * r + (1 - kr - kb) * g + kb * b;
                double v = p == 0   ? l
                           : p == 1 ? (b - l) / (2 * (1 - kb))
                                    : (r - l) / (2 * (1 - kr));
                int q = p == 0 ? quantise(v, full ? 0 : 16, full ? 255 : 219, depth)
                               : quantise(v, 128, full ? 255 : 224, depth);
                put_sample(f, p, x, y, q, depth > 8);
            }
    }
}

/* The middle of each bar. */
static void check_bars(const uint8_t *rgb, int width, int height, const char *what)
{
    for (int i = 0; i < BARS; i++) {
        const uint8_t *p =
            rgb + ((size_t)height / 2 * width + (2 * i + 1) * width / (2 * BARS)) * 3;
        for (int c = 0; c < 3; c++)
            if (abs(p[c] - bars[i][c]) > LEVELS)
                fail_msg("%s, bar %d: %d %d %d instead of %d %d %d", what, i, p[0], p[1], p[2],
                         bars[i][0], bars[i][1], bars[i][2]);
    }
}

static const struct picture_crop whole = {.width = 0};

/* @param rgb  set to width * height * 3 bytes; Borrowed until the next call. */
static int scale(struct picture_scaler *s, const AVFrame *picture, const struct picture_crop *crop,
                 uint32_t width, uint32_t height, const uint8_t **rgb)
{
    static uint8_t all[1280 * 720 * 3];
    struct jpeg_source source;
    size_t stride;
    assert_true((size_t)width * height * 3 <= sizeof(all));
    int rc = picture_scaler_begin(s, picture, crop, width, height, &source);
    for (uint32_t y = 0; rc == 0 && y < height; y += JPEG_ROWS) {
        const uint8_t *rows = source.rows(source.ctx, y, &stride);
        assert_non_null(rows);
        for (uint32_t i = 0; i < JPEG_ROWS && y + i < height; i++)
            memcpy(all + (size_t)(y + i) * width * 3, rows + i * stride, (size_t)width * 3);
    }
    picture_scaler_end(s);
    *rgb = all;
    return rc;
}

static void check_colours(const struct video_spec *spec, const char *what)
{
    struct encoded e;
    encode_video(spec, &e);
    struct picture_decoder *d = picture_decoder_new();
    struct picture_scaler *s = picture_scaler_new();
    for (int i = 0; i < e.count; i++)
        assert_int_equal(picture_decoder_feed(d, e.frames[i], (uint64_t)i, i == 0), 0);
    struct picture p;
    assert_true(picture_decoder_newest(d, &p));
    if (spec->range != AVCOL_RANGE_JPEG) /* full range 8-bit has pixel formats of its own */
        assert_int_equal(p.frame->format, spec->format);

    static const int widths[] = {1, 2};
    for (int i = 0; i < 2; i++) { /* as it is, and half as large */
        int w = spec->width / widths[i], h = spec->height / widths[i];
        const uint8_t *rgb;
        assert_int_equal(scale(s, p.frame, &whole, (uint32_t)w, (uint32_t)h, &rgb), 0);
        check_bars(rgb, w, h, what);
        struct jpeg *jpeg;
        assert_int_equal(encode_rgb(rgb, (uint32_t)w, (uint32_t)h, 85, 0, &jpeg), 0);
        uint8_t *back = read_jpeg(jpeg, w, h);
        check_bars(back, w, h, what);
        free(back);
        jpeg_unref(&jpeg);
    }
    picture_scaler_free(&s);
    picture_decoder_free(&d);
    encoded_free(&e);
}

static void test_colours(void **state)
{
    static const enum AVPixelFormat formats[] = {
        AV_PIX_FMT_YUV420P,   AV_PIX_FMT_YUV422P,   AV_PIX_FMT_YUV444P,
        AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV422P10, AV_PIX_FMT_YUV444P10,
    };
    static const enum AVColorSpace matrices[] = {AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT709,
                                                 AVCOL_SPC_BT2020_NCL};
    static const enum AVColorRange ranges[] = {AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG};
    static const enum AVCodecID codecs[] = {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC};
    for (size_t i = 0; i < 2 * 6 * 3 * 2; i++) {
        struct video_spec spec = {.codec = codecs[i % 2],
                                  .format = formats[i / 2 % 6],
                                  .width = WIDTH,
                                  .height = HEIGHT,
                                  .pictures = 2,
                                  .gop = 10,
                                  .matrix = matrices[i / 12 % 3],
                                  .range = ranges[i / 36],
                                  .paint = paint_bars};
        spec.ctx = &spec.matrix;
        char what[128];
        (void)snprintf(what, sizeof(what), "%s %s %s %s", avcodec_get_name(spec.codec),
                       av_get_pix_fmt_name(spec.format), av_color_space_name(spec.matrix),
                       av_color_range_name(spec.range));
        check_colours(&spec, what);
    }
}

/* Rows of any length are converted to their end. */
static void test_odd_widths(void **state)
{
    struct picture_scaler *s = picture_scaler_new();
    for (int w = 16; w < 60; w++) {
        AVFrame *f = av_frame_alloc();
        f->width = w;
        f->height = 20;
        f->format = AV_PIX_FMT_YUV420P;
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        for (int p = 0; p < 3; p++)
            memset(f->data[p], p == 0 ? 180 : 128, (size_t)f->linesize[p] * (p == 0 ? 20 : 10));
        const uint8_t *rgb;
        assert_int_equal(scale(s, f, &whole, (uint32_t)w, 20, &rgb), 0);
        for (int i = 0; i < w * 20 * 3; i++)
            assert_in_range(rgb[i], 189, 193);
        av_frame_free(&f);
    }
    picture_scaler_free(&s);
}

/* A part of a picture is what it was in the whole: colours that are guessed by size, too.  Any
 * offset, also where vector code would like another. */
static void test_crop(void **state)
{
    (void)state;
    enum { W = 1280, H = 720 };
    struct picture_scaler *s = picture_scaler_new();
    AVFrame *f = av_frame_alloc();
    f->width = W;
    f->height = H;
    f->format = AV_PIX_FMT_YUV420P;
    assert_int_equal(av_frame_get_buffer(f, 0), 0);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p == 0 ? H : H / 2); y++)
            for (int x = 0; x < (p == 0 ? W : W / 2); x++)
                f->data[p][y * f->linesize[p] + x] = (uint8_t)(p == 0   ? 60 + x / 16 + y / 16
                                                               : p == 1 ? 90 + x / 16
                                                                        : 170);
    const uint8_t *rgb;
    assert_int_equal(scale(s, f, &whole, W, H, &rgb), 0);
    uint8_t *all = malloc((size_t)W * H * 3);
    memcpy(all, rgb, (size_t)W * H * 3);
    for (uint32_t i = 0; i < 40; i++) {
        const struct picture_crop crop = {i * 17, i * 7, 300 + i, 200 + i * 3};
        assert_int_equal(scale(s, f, &crop, crop.width, crop.height, &rgb), 0);
        for (uint32_t y = 0; y < crop.height; y++)
            for (uint32_t x = 0; x < crop.width * 3; x++)
                assert_in_range(rgb[y * crop.width * 3 + x] + 4 -
                                    all[((y + crop.y) * W + crop.x) * 3 + x],
                                0, 8);
    }
    struct picture_crop edge = {W - 16, H - 16, 16, 16};
    assert_true(picture_crop_fits(&edge, W, H));
    assert_int_equal(scale(s, f, &edge, 8, 8, &rgb), 0);
    edge.x++;
    assert_false(picture_crop_fits(&edge, W, H));
    edge = (struct picture_crop){UINT32_MAX, 0, 16, 16};
    assert_false(picture_crop_fits(&edge, W, H));
    free(all);
    av_frame_free(&f);
    picture_scaler_free(&s);
}

/* Nothing signalled: guessed by size. */
static void test_unspecified_matrix(void **state)
{
    static const struct {
        int width, height;
        enum AVColorSpace painted;
    } cases[] = {{704, 576, AVCOL_SPC_SMPTE170M}, {1280, 720, AVCOL_SPC_BT709}};
    for (int i = 0; i < 2; i++) {
        struct video_spec spec = {.codec = AV_CODEC_ID_H264,
                                  .format = AV_PIX_FMT_YUV420P,
                                  .width = cases[i].width,
                                  .height = cases[i].height,
                                  .pictures = 1,
                                  .gop = 10,
                                  .matrix = AVCOL_SPC_UNSPECIFIED,
                                  .range = AVCOL_RANGE_UNSPECIFIED,
                                  .paint = paint_bars,
                                  .ctx = &cases[i].painted};
        check_colours(&spec, "unspecified");
    }
}

static void test_fit(void **state)
{
    static const uint32_t cases[][6] = {
        /* source, wanted, result */
        {1920, 1080, 0, 0, 1920, 1080},     {1920, 1080, 960, 0, 960, 540},
        {1920, 1080, 0, 540, 960, 540},     {1920, 1080, 100, 100, 100, 100},
        {1920, 1080, 7680, 0, 1920, 1080},  {1920, 1080, 0, 4320, 1920, 1080},
        {1920, 1080, 4000, 100, 1920, 100}, {1920, 1080, 641, 0, 641, 361},
        {4096, 16, 16, 0, 16, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t *c = cases[i];
        uint32_t w = c[2], h = c[3];
        picture_scaler_fit((int)c[0], (int)c[1], &w, &h);
        assert_int_equal(w, c[4]);
        assert_int_equal(h, c[5]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),    cmocka_unit_test(test_unspecified_matrix),
        cmocka_unit_test(test_odd_widths), cmocka_unit_test(test_fit),
        cmocka_unit_test(test_crop),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("picture_scaler", tests, NULL, NULL);
}
