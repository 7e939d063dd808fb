/* What is known of a picture besides its pixels.  Worker, any thread. */
#ifndef WORKER_PICTURE_STAMP_H
#define WORKER_PICTURE_STAMP_H

#include <libavcodec/codec_id.h>
#include <stdint.h>

struct picture_stamp {
    uint64_t seq;        /* ring sequence number of the frame that it was decoded from */
    uint64_t number;     /* that frame's number among the camera's video frames */
    int64_t received_us; /* clock_us() when the frame came from the camera */
    int64_t captured_us; /* by the camera's clock, UNIX time; 0: unknown */
    enum AVCodecID codec;
};

#endif /* WORKER_PICTURE_STAMP_H */
