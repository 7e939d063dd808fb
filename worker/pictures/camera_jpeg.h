/*
 * The JPEG that a camera sent, as it is given out: neither decoded nor encoded.  Worker, loop
 * thread; pure.
 */
#ifndef WORKER_CAMERA_JPEG_H
#define WORKER_CAMERA_JPEG_H

#include "worker/media/frame.h"
#include "worker/pictures/jpeg.h"

/**
 * Copy a frame's JPEG, and tell in EXIF when it was taken unless it says so itself.
 *
 * @param frame     video of any codec.  Borrowed.
 * @param taken_us  UNIX time; 0: unknown.
 * @return one reference; NULL: the frame is no whole JPEG, or out of memory.  Caller owns;
 *         jpeg_unref().
 */
struct jpeg *camera_jpeg_make(const struct frame *frame, int64_t taken_us);

#endif /* WORKER_CAMERA_JPEG_H */
