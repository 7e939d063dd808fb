/*
 * The interface between jpeg.c and the compressor that the build chose.  Worker, any thread.
 */
#ifndef WORKER_JPEG_PRIVATE_H
#define WORKER_JPEG_PRIVATE_H

#include "worker/pictures/jpeg.h"

/* A struct jpeg under construction, jpeg->len bytes so far.  capacity_max allows for noise at
 * quality 100; a compressor that goes beyond it is stopped. */
struct jpeg_output {
    struct jpeg *jpeg;
    size_t capacity;
    size_t capacity_max;
};

/** Make room for len more bytes. @return 0; -ENOMEM. */
int jpeg_output_reserve(struct jpeg_output *output, size_t len);

/**
 * Append a JPEG, from its SOI marker to its EOI marker.  Parameters as for jpeg_encode(), checked.
 * @return 0; -ENOMEM; -EINVAL; -ENOTSUP.
 */
int jpeg_compress(const struct jpeg_source *source, uint32_t width, uint32_t height,
                  uint32_t quality, struct jpeg_output *output);

#endif /* WORKER_JPEG_PRIVATE_H */
