/* Test help: a picture in memory as the source of a JPEG. */
#ifndef TEST_UNIT_RGB_SOURCE_H
#define TEST_UNIT_RGB_SOURCE_H

#include "worker/pictures/jpeg.h"

struct rgb_picture {
    const uint8_t *rgb;
    uint32_t width;
};

static inline const uint8_t *rgb_rows(void *ctx, uint32_t y, size_t *stride)
{
    const struct rgb_picture *p = ctx;
    *stride = (size_t)p->width * 3;
    return p->rgb + y * *stride;
}

/* As jpeg_encode(). @param rgb  width * height * 3 bytes. */
static inline int encode_rgb(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t quality,
                             int64_t taken_us, struct jpeg **jpeg)
{
    struct rgb_picture picture = {rgb, width};
    const struct jpeg_source source = {rgb_rows, &picture};
    return jpeg_encode(&source, width, height, quality, taken_us, jpeg);
}

#endif /* TEST_UNIT_RGB_SOURCE_H */
