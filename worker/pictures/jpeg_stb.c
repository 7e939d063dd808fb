/* See jpeg.h.  The only file that includes stb_image_write. */
#include "worker/pictures/jpeg_private.h"

#include <errno.h>
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

int jpeg_compress(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t quality,
                  struct jpeg_output *output)
{
    struct writer w = {.output = output};
    int ok = stbi_write_jpg_to_func(on_bytes, &w, (int)width, (int)height, 3, rgb, (int)quality);
    if (w.error != 0)
        return w.error;
    return ok != 0 ? 0 : -EINVAL;
}
