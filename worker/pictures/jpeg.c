/* See jpeg.h. */
#include "worker/pictures/jpeg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

#define HEAD_BYTES 4096 /* headers and tables, generously */

/* A struct jpeg under construction.  Never larger than the picture and the headers: noise at
 * quality 100 comes near that, and an encoder that goes beyond is stopped. */
struct output {
    struct jpeg *jpeg;
    size_t capacity;
    size_t capacity_max;
    int error;
};

static int reserve(struct output *o, size_t capacity)
{
    struct jpeg *grown = realloc(o->jpeg, sizeof(*grown) + capacity);
    if (grown == NULL)
        return -ENOMEM;
    o->jpeg = grown;
    o->capacity = capacity;
    return 0;
}

static void on_bytes(void *ctx, void *data, int size)
{
    struct output *o = ctx;
    if (o->error != 0 || size <= 0)
        return;
    size_t len = o->jpeg->len + (size_t)size;
    if (len > o->capacity_max)
        o->error = -ENOMEM;
    else if (len > o->capacity) {
        size_t twice = o->capacity * 2;
        o->error = reserve(o, twice < o->capacity_max ? twice : o->capacity_max);
    }
    if (o->error != 0)
        return;
    memcpy(o->jpeg->data + o->jpeg->len, data, (size_t)size);
    o->jpeg->len = len;
}

int jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t quality,
                struct jpeg **jpeg)
{
    if (width == 0 || height == 0 || width > JPEG_SIDE_MAX || height > JPEG_SIDE_MAX)
        return -EINVAL;
    if (quality < 1 || quality > 100)
        return -EINVAL;

    size_t pixels = (size_t)width * height;
    struct output o = {.capacity_max = pixels * 6 + HEAD_BYTES};
    o.error = reserve(&o, pixels / 4 + HEAD_BYTES); /* 2 bits per pixel: quality 85 needs less */
    if (o.error != 0)
        return o.error;
    atomic_init(&o.jpeg->refs, 1);
    o.jpeg->len = 0;
    if (stbi_write_jpg_to_func(on_bytes, &o, (int)width, (int)height, 3, rgb, (int)quality) == 0 &&
        o.error == 0)
        o.error = -EINVAL;
    if (o.error != 0) {
        free(o.jpeg);
        return o.error;
    }
    if (reserve(&o, o.jpeg->len) != 0) { /* give back what was not needed */
        free(o.jpeg);
        return -ENOMEM;
    }
    *jpeg = o.jpeg;
    return 0;
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
