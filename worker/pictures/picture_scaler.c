/* See picture_scaler.h. */
#include "worker/pictures/picture_scaler.h"

#include "common/xalloc.h"
#include "worker/media/av_util.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define RGB_BYTES 3
#define ROW_ALIGN 16 /* pixels: without it swscale's vector code leaves out the end of a row */
#define ROW_SLACK 64 /* bytes: swscale may write a little past the end of the last row */

struct picture_scaler {
    AVFrame *view; /* the part of the picture to scale */
    struct SwsContext *sws;
    uint8_t *rgb;
    size_t rgb_capacity;
    /* sws was made for these. */
    int source_format;
    int source_width;
    int source_height;
    enum AVColorSpace matrix;
    bool full_range;
    uint32_t width;
    uint32_t height;
    bool in_bands;
};

struct picture_scaler *picture_scaler_new(void)
{
    struct picture_scaler *s = xcalloc(1, sizeof(*s));
    s->view = av_frame_alloc();
    if (s->view == NULL)
        abort(); /* small */
    return s;
}

void picture_scaler_free(struct picture_scaler **scaler)
{
    struct picture_scaler *s = *scaler;
    *scaler = NULL;
    if (s == NULL)
        return;
    av_frame_free(&s->view);
    sws_freeContext(s->sws);
    free(s->rgb);
    free(s);
}

void picture_scaler_fit(int source_width, int source_height, uint32_t *width, uint32_t *height)
{
    uint64_t sw = (uint64_t)source_width, sh = (uint64_t)source_height;
    uint64_t w = *width, h = *height;
    assert(sw > 0 && sh > 0);
    if (w == 0 && h == 0) {
        w = sw;
        h = sh;
    } else if (h == 0) {
        w = w < sw ? w : sw;
        h = (w * sh + sw / 2) / sw;
    } else if (w == 0) {
        h = h < sh ? h : sh;
        w = (h * sw + sh / 2) / sh;
    }
    w = w < sw ? w : sw;
    h = h < sh ? h : sh;
    *width = (uint32_t)(w > 0 ? w : 1);
    *height = (uint32_t)(h > 0 ? h : 1);
}

static enum AVColorSpace matrix_of(const AVFrame *p)
{
    if (p->colorspace != AVCOL_SPC_UNSPECIFIED && p->colorspace != AVCOL_SPC_RESERVED)
        return p->colorspace;
    bool hd = p->width > 1024 || p->height > 576;
    return hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
}

static int sws_matrix(enum AVColorSpace matrix)
{
    switch (matrix) {
    case AVCOL_SPC_BT709:
        return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
        return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
        return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return SWS_CS_BT2020;
    default:
        return SWS_CS_ITU601;
    }
}

static bool fits(const struct picture_scaler *s, const struct picture_scaler *wanted)
{
    return s->sws != NULL && s->source_format == wanted->source_format &&
           s->source_width == wanted->source_width && s->source_height == wanted->source_height &&
           s->matrix == wanted->matrix && s->full_range == wanted->full_range &&
           s->width == wanted->width && s->height == wanted->height;
}

/*
 * Without scaling, planar 8-bit 4:2:0 and 4:2:2 have a vector path of their own, twelve times as
 * fast as the general one (1080p: 0.6 ms instead of 7.3).  On x86 it rounds down in each step: the
 * result is 0 to 3 levels too dark.  Adding one level of brightness makes that -2 to +1, mean 0.
 */
static bool has_fast_path(const struct picture_scaler *s)
{
    return (s->source_format == AV_PIX_FMT_YUV420P || s->source_format == AV_PIX_FMT_YUV422P) &&
           (uint32_t)s->source_width == s->width && (uint32_t)s->source_height == s->height;
}

static int make_context(struct picture_scaler *s)
{
    enum AVPixelFormat format = (enum AVPixelFormat)s->source_format;
    if (sws_isSupportedInput(format) <= 0)
        return -ENOTSUP;
    bool same_size =
        (uint32_t)s->source_width == s->width && (uint32_t)s->source_height == s->height;
    /* The general path is off by up to 3 levels without these flags; with them by 1 at most. */
    int flags = has_fast_path(s)
                    ? SWS_POINT
                    : SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | (same_size ? SWS_POINT : SWS_AREA);
    s->in_bands = has_fast_path(s) && s->height % 2 == 0;
    int from_height = s->in_bands ? JPEG_ROWS : s->source_height;
    int to_height = s->in_bands ? JPEG_ROWS : (int)s->height;
    s->sws = sws_getContext(s->source_width, from_height, format, (int)s->width, to_height,
                            AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (s->sws == NULL)
        return -ENOMEM;
    if ((av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB) != 0)
        return 0;
    int brightness = 0;
#if defined(__x86_64__)
    if (has_fast_path(s))
        brightness = (1 << 16) / 255;
#endif
    const int *from = sws_getCoefficients(sws_matrix(s->matrix));
    const int *to = sws_getCoefficients(SWS_CS_DEFAULT);
    if (sws_setColorspaceDetails(s->sws, from, s->full_range, to, 1, brightness, 1 << 16, 1 << 16) <
        0) {
        sws_freeContext(s->sws);
        s->sws = NULL;
        return -ENOTSUP;
    }
    return 0;
}

/* Make a context unless the last one fits. */
static int set_up(struct picture_scaler *s, const AVFrame *p, uint32_t width, uint32_t height)
{
    struct picture_scaler wanted = *s;
    wanted.source_format = av_util_plain_format((enum AVPixelFormat)p->format);
    wanted.full_range = p->color_range == AVCOL_RANGE_JPEG || wanted.source_format != p->format;
    wanted.source_width = p->width;
    wanted.source_height = p->height;
    wanted.matrix = matrix_of(p);
    wanted.width = width;
    wanted.height = height;
    if (fits(s, &wanted))
        return 0;
    sws_freeContext(s->sws);
    wanted.sws = NULL;
    *s = wanted;
    return make_context(s);
}

/* Allocate memory for height rows of stride bytes. */
static int reserve(struct picture_scaler *s, size_t stride, uint32_t height)
{
    size_t size = stride * height + ROW_SLACK;
    if (size <= s->rgb_capacity)
        return 0;
    free(s->rgb);
    s->rgb_capacity = 0;
    s->rgb = malloc(size);
    if (s->rgb == NULL)
        return -ENOMEM;
    s->rgb_capacity = size;
    return 0;
}

bool picture_crop_fits(const struct picture_crop *crop, int width, int height)
{
    uint64_t right = (uint64_t)crop->x + crop->width, bottom = (uint64_t)crop->y + crop->height;
    return crop->width == 0 || (right <= (uint64_t)width && bottom <= (uint64_t)height);
}

/* Refer to a part of the picture; it keeps the matrix that the whole picture would have. */
static int set_view(struct picture_scaler *s, const AVFrame *picture,
                    const struct picture_crop *crop)
{
    av_frame_unref(s->view);
    if (av_frame_ref(s->view, picture) < 0)
        return -ENOMEM;
    s->view->colorspace = matrix_of(picture);
    if (crop->width == 0)
        return 0;
    s->view->crop_left = crop->x;
    s->view->crop_top = crop->y;
    s->view->crop_right = (size_t)picture->width - crop->x - crop->width;
    s->view->crop_bottom = (size_t)picture->height - crop->y - crop->height;
    return av_frame_apply_cropping(s->view, AV_FRAME_CROP_UNALIGNED) < 0 ? -ENOTSUP : 0;
}

static size_t stride_of(const struct picture_scaler *s)
{
    return (size_t)((s->width + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN) * RGB_BYTES;
}

/* Convert so many rows of the view, from y on. */
static bool convert(struct picture_scaler *s, uint32_t y, uint32_t height)
{
    const AVFrame *v = s->view;
    bool chroma_halved = s->source_format == AV_PIX_FMT_YUV420P;
    const uint8_t *from[4] = {0};
    for (int i = 0; i < 4 && v->data[i] != NULL; i++)
        from[i] = v->data[i] + (ptrdiff_t)(i == 0 || !chroma_halved ? y : y / 2) * v->linesize[i];
    uint8_t *const to[4] = {s->rgb};
    const int strides[4] = {(int)stride_of(s)};
    int from_height = s->in_bands ? (int)height : v->height;
    return sws_scale(s->sws, from, v->linesize, 0, from_height, to, strides) == (int)height;
}

static const uint8_t *on_rows(void *ctx, uint32_t y, size_t *stride)
{
    struct picture_scaler *s = ctx;
    uint32_t left = s->height - y;
    *stride = stride_of(s);
    if (!s->in_bands) /* all of it is there */
        return s->rgb + y * *stride;
    return convert(s, y, left < JPEG_ROWS ? left : JPEG_ROWS) ? s->rgb : NULL;
}

int picture_scaler_begin(struct picture_scaler *scaler, const AVFrame *picture,
                         const struct picture_crop *crop, uint32_t width, uint32_t height,
                         struct jpeg_source *rows)
{
    struct picture_scaler *s = scaler;
    assert(picture_crop_fits(crop, picture->width, picture->height));
    int rc = set_view(s, picture, crop);
    if (rc == 0)
        rc = set_up(s, s->view, width, height);
    if (rc == 0)
        rc = reserve(s, stride_of(s), s->in_bands ? JPEG_ROWS : height);
    if (rc == 0 && !s->in_bands && !convert(s, 0, height))
        rc = -ENOTSUP;
    *rows = (struct jpeg_source){on_rows, s};
    return rc;
}

void picture_scaler_end(struct picture_scaler *scaler)
{
    av_frame_unref(scaler->view);
}
