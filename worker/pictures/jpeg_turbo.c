/* See jpeg.h.  The only file that includes libjpeg-turbo. */
#include "worker/pictures/jpeg_private.h"

#include <errno.h>
#include <turbojpeg.h>

/* Above this quality chroma is not subsampled, as in stb_image_write. */
#define SUBSAMPLED_QUALITY_MAX 90

int jpeg_compress(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t quality,
                  struct jpeg_output *output)
{
    int sampling = quality > SUBSAMPLED_QUALITY_MAX ? TJSAMP_444 : TJSAMP_420;
    size_t worst = tjBufSize((int)width, (int)height, sampling);
    tjhandle tj = tjInitCompress();
    if (tj == NULL)
        return -ENOMEM;
    /* Pages that are not written to take no memory, and jpeg.c gives them back. */
    int rc = jpeg_output_reserve(output, worst);
    if (rc == 0) {
        struct jpeg *jpeg = output->jpeg;
        uint8_t *at = jpeg->data + jpeg->len;
        unsigned long len = worst;
        if (tjCompress2(tj, rgb, (int)width, 0, (int)height, TJPF_RGB, &at, &len, sampling,
                        (int)quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) == 0)
            jpeg->len += len;
        else
            rc = -EINVAL;
    }
    (void)tjDestroy(tj);
    return rc;
}
