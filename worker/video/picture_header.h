/*
 * What a picture of a codec without NAL units says about itself: JPEG, MPEG-4 Part 2, H.263,
 * Sorenson H.263, Screen Video, VP6, VP8, VP9, AV1.  Worker; pure.
 */
#ifndef WORKER_PICTURE_HEADER_H
#define WORKER_PICTURE_HEADER_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture_header {
    bool key;           /* no later picture refers to one before it */
    bool key_not_said;  /* only the container tells whether it is a key frame */
    bool bidirectional; /* it is shown before a picture that was sent earlier */
    int width;          /* pixels; 0: the picture does not say */
    int height;
    const uint8_t *config; /* in the picture: MPEG-4's headers, AV1's sequence header OBU, VP6's
                              cropping */
    size_t config_len;     /* 0: none */
    size_t skip;           /* bytes at the picture's begin that are not the decoder's */
};

/** Is this a codec that picture_header_read() knows? */
bool picture_header_knows(enum AVCodecID codec);

/**
 * Read the header of a whole picture.
 *
 * @param codec   picture_header_knows() it.
 * @param data    Borrowed; header->config points into it.
 * @return false if it is no picture of this codec.
 */
bool picture_header_read(enum AVCodecID codec, const uint8_t *data, size_t len,
                         struct picture_header *header);

#endif /* WORKER_PICTURE_HEADER_H */
