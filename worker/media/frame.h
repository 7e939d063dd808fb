/*
 * Frames and codec configurations: immutable, reference-counted blocks that all clients share.
 * Worker; the source's thread makes them, the loop thread reads them, and the thread that drops the
 * last reference frees them.
 */
#ifndef WORKER_FRAME_H
#define WORKER_FRAME_H

#include <libavcodec/codec_id.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A picture that is larger, or the part of it that came so far, is dropped. */
#define FRAME_MAX_BYTES ((size_t)8 << 20)

enum track { TRACK_VIDEO, TRACK_AUDIO, TRACK_COUNT };

/*
 * What a decoder must know before the first frame.  A new object is made only when something
 * changes, so two frames have the same configuration exactly if the pointers are equal.
 */
struct codec_config {
    atomic_uint refs;
    enum track track;
    enum AVCodecID codec; /* video: the camera's, or H.264 made of it; audio: AAC */
    int width;            /* video, pixels */
    int height;
    int frame_rate_num; /* video, frames per second as a fraction; 0/1 when unknown */
    int frame_rate_den;
    int reorder_frames; /* video: frames by which decode and display order may differ */
    int sample_rate;    /* audio, Hz */
    int channels;
    size_t record_len;
    uint8_t record[]; /* AVCDecoderConfigurationRecord, HEVCDecoderConfigurationRecord (ISO/IEC
                         14496-15), AV1CodecConfigurationRecord, AudioSpecificConfig (ISO/IEC
                         14496-3); other video codecs: what libavcodec calls extradata */
};

/* One access unit: NAL units with 4-byte lengths (H.264, HEVC), a picture of another video codec,
 * or one raw AAC frame. */
struct frame {
    atomic_uint refs;
    enum track track;
    bool key; /* random access point: decoding may start here */
    /* This frame, or one that it may refer to since the newest one with a refresh count, lost a
     * packet. */
    bool damaged;
    /* When decoding starts here, the pictures of this many frames, this one included, are not whole
     * yet (periodic intra refresh).  If it is no key frame: those who decode already, and have lost
     * something, may start anew here.  0: none. */
    uint16_t refresh;
    unsigned left_out; /* video: pictures before this one that were left out (torn_picture.h) */
    int64_t dts_us;
    int64_t pts_us;
    int64_t received_us; /* clock_us() when its last byte arrived, or when it was transcoded */
    int64_t captured_us; /* by the camera's clock, UNIX time; 0: unknown */
    uint64_t number;     /* video of one camera: each frame one more than the one before */
    struct codec_config *config; /* Shared; the one in force for this frame */
    size_t len;
    uint8_t data[];
};

/**
 * Make a configuration with a copy of the record, all other members zero, and one reference.
 * @return NULL when out of memory.  Caller owns; codec_config_unref().
 */
struct codec_config *codec_config_new(enum track track, enum AVCodecID codec, const uint8_t *record,
                                      size_t record_len);
struct codec_config *codec_config_ref(struct codec_config *config);
/** Drop the reference *config and clear it.  NULL is fine. */
void codec_config_unref(struct codec_config **config);

/**
 * Make a frame with len bytes of uninitialised data and one reference.
 *
 * @param config  Shared: the frame takes its own reference.
 * @return NULL when out of memory (len comes from the network).  Caller owns; frame_unref().
 */
struct frame *frame_new(struct codec_config *config, size_t len);
struct frame *frame_ref(struct frame *frame);
/** Drop the reference *frame and clear it.  NULL is fine. */
void frame_unref(struct frame **frame);

#endif /* WORKER_FRAME_H */
