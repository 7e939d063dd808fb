/* See jpeg.h.  The only file that includes stb_image_write. */
#include "worker/pictures/jpeg_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

struct writer {
    struct jpeg_output *output;
    int error;
};

static void on_bytes(void *ctx, void *data, int size)
{
    struct writer *w = ctx;
    if (w->error != 0 || size <= 0)
        return;
    w->error = jpeg_output_reserve(w->output, (size_t)size);
    if (w->error != 0)
        return;
    struct jpeg *jpeg = w->output->jpeg;
    memcpy(jpeg->data + jpeg->len, data, (size_t)size);
    jpeg->len += (size_t)size;
}

/* It takes whole pictures. */
static uint8_t *collect(const struct jpeg_source *source, uint32_t width, uint32_t height)
{
    size_t row = (size_t)width * 3;
    uint8_t *rgb = malloc(row * height);
    for (uint32_t y = 0; rgb != NULL && y < height; y += JPEG_ROWS) {
        size_t stride;
        const uint8_t *rows = source->rows(source->ctx, y, &stride);
        if (rows == NULL) {
            free(rgb);
            return NULL;
        }
        for (uint32_t i = 0; i < JPEG_ROWS && y + i < height; i++)
            memcpy(rgb + (y + i) * row, rows + i * stride, row);
    }
    return rgb;
}

int jpeg_compress(const struct jpeg_source *source, uint32_t width, uint32_t height,
                  uint32_t quality, struct jpeg_output *output)
{
    struct writer w = {.output = output};
    uint8_t *rgb = collect(source, width, height);
    if (rgb == NULL)
        return -ENOTSUP;
    int ok = stbi_write_jpg_to_func(on_bytes, &w, (int)width, (int)height, 3, rgb, (int)quality);
    free(rgb);
    if (w.error != 0)
        return w.error;
    return ok != 0 ? 0 : -EINVAL;
}
