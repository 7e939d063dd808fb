/* See jpeg.h.  What both compressors share: bounds, memory, EXIF. */
#include "worker/pictures/exif.h"
#include "worker/pictures/jpeg_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 4096 /* headers and tables, generously */
#define BLOCK_SIDE 16   /* with subsampled chroma */
#define SOI_BYTES 2

static int set_capacity(struct jpeg_output *o, size_t capacity)
{
    struct jpeg *grown = realloc(o->jpeg, sizeof(*grown) + capacity);
    if (grown == NULL)
        return -ENOMEM;
    o->jpeg = grown;
    o->capacity = capacity;
    return 0;
}

int jpeg_output_reserve(struct jpeg_output *output, size_t len)
{
    size_t needed = output->jpeg->len + len;
    if (needed <= output->capacity)
        return 0;
    if (needed > output->capacity_max)
        return -ENOMEM;
    size_t twice = output->capacity * 2;
    size_t capacity = twice > needed ? twice : needed;
    return set_capacity(output, capacity < output->capacity_max ? capacity : output->capacity_max);
}

/* The compressor wrote after exif_len bytes of room, but SOI belongs before the EXIF segment. */
static void put_exif(struct jpeg *jpeg, const uint8_t *exif, size_t exif_len)
{
    memmove(jpeg->data, jpeg->data + exif_len, SOI_BYTES);
    memcpy(jpeg->data + SOI_BYTES, exif, exif_len);
}

int jpeg_encode(const struct jpeg_source *source, uint32_t width, uint32_t height, uint32_t quality,
                int64_t taken_us, struct jpeg **jpeg)
{
    if (width == 0 || height == 0 || width > JPEG_SIDE_MAX || height > JPEG_SIDE_MAX)
        return -EINVAL;
    if (quality < 1 || quality > 100)
        return -EINVAL;

    uint8_t exif[EXIF_BYTES];
    size_t exif_len = taken_us != 0 ? exif_write(exif, taken_us) : 0;
    size_t pixels = (size_t)width * height;
    size_t padded = (size_t)(width + BLOCK_SIDE) * (height + BLOCK_SIDE);
    struct jpeg_output o = {.capacity_max = padded * 6 + HEAD_BYTES};
    int rc =
        set_capacity(&o, pixels / 4 + HEAD_BYTES); /* 2 bits per pixel: quality 85 needs less */
    if (rc != 0)
        return rc;
    atomic_init(&o.jpeg->refs, 1);
    o.jpeg->width = width;
    o.jpeg->height = height;
    o.jpeg->len = exif_len;
    rc = jpeg_compress(source, width, height, quality, &o);
    if (rc == 0) {
        put_exif(o.jpeg, exif, exif_len);
        rc = set_capacity(&o, o.jpeg->len); /* give back what was not needed */
    }
    if (rc != 0)
        free(o.jpeg);
    else
        *jpeg = o.jpeg;
    return rc;
}

struct jpeg *jpeg_ref(struct jpeg *jpeg)
{
    atomic_fetch_add_explicit(&jpeg->refs, 1, memory_order_relaxed);
    return jpeg;
}

void jpeg_unref(struct jpeg **jpeg)
{
    struct jpeg *j = *jpeg;
    *jpeg = NULL;
    if (j != NULL && atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) == 1)
        free(j);
}
