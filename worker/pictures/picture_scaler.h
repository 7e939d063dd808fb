/*
 * Converts a decoded picture to 8-bit RGB of a given size, with colours as the stream describes
 * them.  Worker; one thread at a time (a job of the snapshot module), never the loop thread.
 *
 * Matrix: BT.601, BT.709, BT.2020 (non-constant luminance), SMPTE 240M, FCC as signalled (ITU-T
 * H.273); when nothing is signalled, BT.709 for pictures wider than 1024 or higher than 576 pixels
 * and BT.601 below, as browsers and players guess.  Range as signalled, limited when it is not.
 * Transfer characteristics are left as they are: HDR is not mapped to SDR.
 */
#ifndef WORKER_PICTURE_SCALER_H
#define WORKER_PICTURE_SCALER_H

#include "worker/pictures/jpeg.h"

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stdint.h>

/* Part of a picture, pixels.  width 0: all of it. */
struct picture_crop {
    uint32_t x;
    uint32_t y;
    uint32_t width;
    uint32_t height;
};

struct picture_scaler;

/** @return never NULL; takes next to no memory until used.  Caller owns; picture_scaler_free(). */
struct picture_scaler *picture_scaler_new(void);
void picture_scaler_free(struct picture_scaler **scaler);

/**
 * Compute an answer's size: as requested, with the aspect ratio kept if one side is 0; never larger
 * than the source, never under one pixel.  Pure.
 *
 * @param width,height  in: as requested; out: to be used.  Pixels; 0, 0: as the source.
 */
void picture_scaler_fit(int source_width, int source_height, uint32_t *width, uint32_t *height);

/** Does the crop lie within a picture of that size?  Pure. */
bool picture_crop_fits(const struct picture_crop *crop, int width, int height);

/**
 * Cut out, convert and scale.  Where neither the size nor the pixel format forbids it, bands of
 * JPEG_ROWS rows are converted one by one, so that the whole result never exists.
 *
 * @param picture  one more reference is held until picture_scaler_end().
 * @param crop  lies within the picture.  If chroma is subsampled, pixels at its edges may have the
 *              colour of the pixel to the left or above.
 * @param width,height  the result's size, pixels.
 * @param rows  the result, until picture_scaler_end().
 * @return 0; -ENOTSUP a pixel format that cannot be converted; -ENOMEM.
 */
int picture_scaler_begin(struct picture_scaler *scaler, const AVFrame *picture,
                         const struct picture_crop *crop, uint32_t width, uint32_t height,
                         struct jpeg_source *rows);

/** Let go of the picture. */
void picture_scaler_end(struct picture_scaler *scaler);

#endif /* WORKER_PICTURE_SCALER_H */
