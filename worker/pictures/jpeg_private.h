/*
 * Between jpeg.c and the compression that the build has chosen.  Worker, any thread.
 */
#ifndef WORKER_JPEG_PRIVATE_H
#define WORKER_JPEG_PRIVATE_H

#include "worker/pictures/jpeg.h"

/* A struct jpeg under construction: jpeg->len bytes of it are there.  Never larger than the picture
 * and its tables: noise at quality 100 comes near that, and a compression that goes beyond is
 * stopped. */
struct jpeg_output {
    struct jpeg *jpeg;
    size_t capacity;
    size_t capacity_max;
};

/** Make room for len bytes behind those that are there. @return 0; -ENOMEM. */
int jpeg_output_reserve(struct jpeg_output *output, size_t len);

/**
 * Append a JPEG, from its SOI marker to its EOI marker.  Parameters as of jpeg_encode(), checked.
 * @return 0; -ENOMEM; -EINVAL.
 */
int jpeg_compress(const uint8_t *rgb, uint32_t width, uint32_t height, uint32_t quality,
                  struct jpeg_output *output);

#endif /* WORKER_JPEG_PRIVATE_H */
