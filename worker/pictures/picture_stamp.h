/* What is known of a picture besides its pixels.  Worker, any thread. */
#ifndef WORKER_PICTURE_STAMP_H
#define WORKER_PICTURE_STAMP_H

#include "worker/media/frame.h"

struct picture_stamp {
    uint64_t seq;        /* ring sequence number of the frame that it was decoded from */
    uint64_t number;     /* that frame's number among the camera's video frames */
    int64_t received_us; /* clock_us() when the frame came from the camera */
    int64_t captured_us; /* by the camera's clock, UNIX time; 0: unknown */
    enum AVCodecID codec;
};

/** The stamp of a frame. @param seq  its number in the ring. */
static inline struct picture_stamp picture_stamp_of(const struct frame *frame, uint64_t seq)
{
    return (struct picture_stamp){.seq = seq,
                                  .number = frame->number,
                                  .received_us = frame->received_us,
                                  .captured_us = frame->captured_us,
                                  .codec = frame->config->codec};
}

#endif /* WORKER_PICTURE_STAMP_H */
