/*
 * Frames and codec configurations: immutable, counted blocks that every client shares.  Worker;
 * made by the source's thread, read by the loop thread, freed by whichever lets go last.
 */
#ifndef WORKER_FRAME_H
#define WORKER_FRAME_H

#include <libavcodec/codec_id.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum track { TRACK_VIDEO, TRACK_AUDIO, TRACK_COUNT };

/*
 * What a decoder must know before the first frame.  A new object is made only when something
 * changed, so two frames have the same configuration exactly if the pointers are equal.
 */
struct codec_config {
    atomic_uint refs;
    enum track track;
    enum AVCodecID codec; /* AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_AAC */
    int width;            /* video, pixels */
    int height;
    int frame_rate_num; /* video, frames per second as a fraction; 0/1 when unknown */
    int frame_rate_den;
    int reorder_frames; /* video: frames by which decode and display order may differ */
    int sample_rate;    /* audio, Hz */
    int channels;
    size_t record_len;
    uint8_t record[]; /* AVCDecoderConfigurationRecord, HEVCDecoderConfigurationRecord (ISO/IEC
                         14496-15), or AudioSpecificConfig (ISO/IEC 14496-3) */
};

/* One access unit: NAL units with 4-byte lengths (H.264, HEVC), or one raw AAC frame. */
struct frame {
    atomic_uint refs;
    enum track track;
    bool key;     /* random access point: decoding may start here */
    bool damaged; /* a packet of it was lost, or of a frame it may refer to */
    int64_t dts_us;
    int64_t pts_us;
    int64_t
        received_us; /* clock_us() when its last byte came from the camera, or it was transcoded */
    struct codec_config *config; /* Shared; in force for this frame */
    size_t len;
    uint8_t data[];
};

/**
 * A configuration with room for its record, other members zero, one reference.
 * @return NULL when out of memory.  Caller owns; codec_config_unref().
 */
struct codec_config *codec_config_new(enum track track, enum AVCodecID codec, const uint8_t *record,
                                      size_t record_len);
struct codec_config *codec_config_ref(struct codec_config *config);
/** Let go of *config and clear it.  NULL is fine. */
void codec_config_unref(struct codec_config **config);

/**
 * A frame with len bytes of uninitialised data, one reference.
 *
 * @param config  Shared: the frame takes a reference of its own.
 * @return NULL when out of memory (len comes from the network).  Caller owns; frame_unref().
 */
struct frame *frame_new(struct codec_config *config, size_t len);
struct frame *frame_ref(struct frame *frame);
/** Let go of *frame and clear it.  NULL is fine. */
void frame_unref(struct frame **frame);

#endif /* WORKER_FRAME_H */
