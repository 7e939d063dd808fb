/* worker/pictures/jpeg, whichever compression is linked, and worker/pictures/exif. */
#include "worker/pictures/jpeg.h"

#include "test/unit/read_jpeg.h"
#include "test/unit/rgb_source.h"
#include "worker/pictures/exif.h"
#include "worker/pictures/snapshot_render.h"

#include <errno.h>
#include <libavutil/log.h>
#include <math.h>

static void test_sizes_and_qualities(void **state)
{
    enum { W = 50, H = 37 };
    uint8_t rgb[W * H * 3];
    for (size_t i = 0; i < sizeof(rgb); i++)
        rgb[i] = (uint8_t)(i * 7919 >> 4); /* noise: as large as a JPEG gets */
    size_t last = 0;
    static const uint32_t qualities[] = {1, 50, 85, 91, 100};
    for (size_t i = 0; i < 5; i++) {
        struct jpeg *jpeg;
        assert_int_equal(encode_rgb(rgb, W, H, qualities[i], 0, &jpeg), 0);
        assert_true(jpeg->len > last);
        last = jpeg->len;
        free(read_jpeg(jpeg, W, H));
        struct jpeg *second = jpeg_ref(jpeg);
        jpeg_unref(&jpeg);
        assert_null(jpeg);
        assert_int_equal(second->data[0], 0xff);
        assert_int_equal(second->width, W);
        assert_int_equal(second->height, H);
        jpeg_unref(&second);
    }
    struct jpeg *none = NULL;
    assert_int_equal(encode_rgb(rgb, 0, H, 85, 0, &none), -EINVAL);
    assert_int_equal(encode_rgb(rgb, W, JPEG_SIDE_MAX + 1, 85, 0, &none), -EINVAL);
    assert_int_equal(encode_rgb(rgb, W, H, 0, 0, &none), -EINVAL);
    assert_int_equal(encode_rgb(rgb, W, H, 101, 0, &none), -EINVAL);
    assert_int_equal(encode_rgb(rgb, 1, 1, 85, 0, &none), 0);
    jpeg_unref(&none);
    jpeg_unref(&none);
}

/* What jpeg_encode() accepts, the compressor takes. */
static void test_largest_sides(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{JPEG_SIDE_MAX, 1}, {1, JPEG_SIDE_MAX}};
    uint8_t *rgb = calloc(JPEG_SIDE_MAX, 3);
    for (size_t i = 0; i < 2; i++) {
        struct jpeg *jpeg = NULL;
        assert_int_equal(encode_rgb(rgb, sizes[i][0], sizes[i][1], 85, 0, &jpeg), 0);
        assert_int_equal(jpeg->width, sizes[i][0]);
        jpeg_unref(&jpeg);
    }
    free(rgb);
    const struct snapshot_picture picture = {.width = 65535, .height = 2160};
    struct render_failure f = render_failure(-EFBIG, &picture);
    assert_int_equal(f.error, HTTP_ERROR_BAD_PARAMETER);
    assert_string_equal(f.text, "width, height: the camera's picture has 65535x2160 pixels, "
                                "a JPEG at most 65500x65500");
}

/* Smooth colours with an edge, as cameras see them. */
static void paint(uint8_t *rgb, int width, int height)
{
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t *p = rgb + ((size_t)y * width + x) * 3;
            double wave = 60 * sin(x / 17.0) * cos(y / 23.0);
            p[0] = (uint8_t)(128 + wave);
            p[1] = (uint8_t)(x > width / 2 ? 200 : 90);
            p[2] = (uint8_t)(128 - wave / 2);
        }
    }
}

static double psnr(const uint8_t *a, const uint8_t *b, size_t len)
{
    double sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 10 * log10(255.0 * 255.0 * (double)len / sum);
}

/* Rows and columns that do not fill a block of 16, too. */
static void test_picture_comes_back(void **state)
{
    (void)state;
    static const int sizes[][2] = {{320, 192}, {323, 181}, {77, 45}};
    static const struct {
        uint32_t quality;
        double db;
    } limits[] = {{60, 30}, {75, 32}, {85, 33}, {95, 39}};
    for (size_t i = 0; i < 3; i++) {
        int w = sizes[i][0], h = sizes[i][1];
        size_t len = (size_t)w * h * 3;
        uint8_t *rgb = malloc(len);
        paint(rgb, w, h);
        for (size_t q = 0; q < 4; q++) {
            struct jpeg *jpeg;
            assert_int_equal(encode_rgb(rgb, (uint32_t)w, (uint32_t)h, limits[q].quality, 0, &jpeg),
                             0);
            uint8_t *back = read_jpeg(jpeg, w, h);
            double db = psnr(rgb, back, len);
            if (db < limits[q].db)
                fail_msg("%dx%d, quality %u: %.1f dB", w, h, limits[q].quality, db);
            free(back);
            jpeg_unref(&jpeg);
        }
        free(rgb);
    }
}

static void test_exif(void **state)
{
    (void)state;
    uint8_t rgb[16 * 16 * 3] = {0};
    struct jpeg *jpeg;
    /* 2026-11-27 12:34:56.789 */
    assert_int_equal(encode_rgb(rgb, 16, 16, 85, INT64_C(1795782896789012), &jpeg), 0);
    assert_memory_equal(jpeg->data, "\xff\xd8\xff\xe1", 4);
    size_t segment = (size_t)jpeg->data[4] << 8 | jpeg->data[5];
    assert_int_equal(jpeg->data[4 + segment], 0xff); /* the next marker follows */
    assert_memory_equal(jpeg->data + 6, "Exif\0", 6);
    assert_non_null(memmem(jpeg->data, 4 + segment, "2026:11:27 12:34:56", 20));
    assert_non_null(memmem(jpeg->data, 4 + segment, "789", 4));
    assert_non_null(memmem(jpeg->data, 4 + segment, "+00:00", 7));
    free(read_jpeg(jpeg, 16, 16));
    jpeg_unref(&jpeg);

    uint8_t buf[EXIF_BYTES];
    assert_true(exif_write(buf, 1) > 0);
    assert_int_equal(exif_write(buf, -1), 0);
    assert_int_equal(exif_write(buf, INT64_MAX), 0); /* the year 294247 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_qualities),
        cmocka_unit_test(test_largest_sides),
        cmocka_unit_test(test_picture_comes_back),
        cmocka_unit_test(test_exif),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("jpeg", tests, NULL, NULL);
}
