/*
 * RGB to JPEG in memory.  Worker, any thread; takes milliseconds, so never the loop thread.
 *
 * The build chooses one of two compressors: jpeg_turbo.c (libjpeg-turbo) where that is installed,
 * jpeg_stb.c (stb_image_write, 6 times as slow) elsewhere and with `make JPEG=stb`.
 */
#ifndef WORKER_JPEG_H
#define WORKER_JPEG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* libjpeg's JPEG_MAX_DIMENSION.  ITU-T T.81 has 16-bit sizes: 35 more. */
#define JPEG_SIDE_MAX 65500u

/* Immutable once made; shared by everybody who gets it. */
struct jpeg {
    atomic_uint refs;
    uint32_t width; /* pixels */
    uint32_t height;
    size_t len;
    uint8_t data[];
};

#define JPEG_ROWS 16 /* rows of one band */

/* Where the picture comes from, a band at a time: so nobody has to hold all of it. */
struct jpeg_source {
    /* Give the rows from y on, JPEG_ROWS of them, or as many as are left, of RGB (3 bytes a pixel).
     * Called once for each band, from top to bottom.  @return the first row, *stride bytes before
     * the next; Borrowed until the next call.  NULL: it cannot be given. */
    const uint8_t *(*rows)(void *ctx, uint32_t y, size_t *stride);
    void *ctx;
};

/**
 * Encode a picture.
 *
 * @param source         Borrowed for the call.
 * @param width,height   1..JPEG_SIDE_MAX.
 * @param quality        1..100; above 90 chroma is not subsampled, else 4:2:0.
 * @param taken_us       when it was taken, UNIX time, for EXIF (exif.h); 0: unknown, no EXIF.
 * @param jpeg           set on success, one reference.  Caller owns; jpeg_unref().
 * @return 0; -EINVAL a parameter out of range; -ENOMEM; -ENOTSUP the source gave no rows.
 */
int jpeg_encode(const struct jpeg_source *source, uint32_t width, uint32_t height, uint32_t quality,
                int64_t taken_us, struct jpeg **jpeg);

/** Any thread.  @return jpeg, with a reference more.  Caller owns it; jpeg_unref(). */
struct jpeg *jpeg_ref(struct jpeg *jpeg);
/** Let go of *jpeg and clear it.  NULL is fine. */
void jpeg_unref(struct jpeg **jpeg);

#endif /* WORKER_JPEG_H */
