#include "worker/pictures/camera_jpeg.h"

#include "common/bytes.h"
#include "worker/pictures/exif.h"

#include <stdlib.h>
#include <string.h>

#define SOI_BYTES 2
#define JFIF_MARKER 0xFFE0u
#define EXIF_MARKER 0xFFE1u

/* Does a segment of this kind come before the picture's other headers? */
static bool begins_with(const struct frame *frame, unsigned marker)
{
    size_t pos = SOI_BYTES;
    while (pos + 4 <= frame->len) {
        unsigned next = bytes_get16(frame->data + pos);
        if (next == marker)
            return true;
        if (next != JFIF_MARKER)
            return false;
        pos += 2u + bytes_get16(frame->data + pos + 2);
    }
    return false;
}

struct jpeg *camera_jpeg_make(const struct frame *frame, int64_t taken_us)
{
    const struct codec_config *config = frame->config;
    if (config->codec != AV_CODEC_ID_MJPEG || frame->damaged || frame->len < SOI_BYTES ||
        config->width <= 0 || config->height <= 0)
        return NULL;
    uint8_t exif[EXIF_BYTES];
    bool adds = taken_us != 0 && !begins_with(frame, EXIF_MARKER);
    size_t exif_len = adds ? exif_write(exif, taken_us) : 0;
    struct jpeg *jpeg = malloc(sizeof(*jpeg) + frame->len + exif_len);
    if (jpeg == NULL)
        return NULL;
    atomic_init(&jpeg->refs, 1);
    jpeg->width = (uint32_t)config->width;
    jpeg->height = (uint32_t)config->height;
    jpeg->len = frame->len + exif_len;
    memcpy(jpeg->data, frame->data, SOI_BYTES);
    if (exif_len > 0)
        memcpy(jpeg->data + SOI_BYTES, exif, exif_len);
    memcpy(jpeg->data + SOI_BYTES + exif_len, frame->data + SOI_BYTES, frame->len - SOI_BYTES);
    return jpeg;
}
