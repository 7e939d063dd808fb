/*
 * What an FLV tag is: its header and the codec header of its body (Adobe FLV 10.1 E.4.1 to E.4.3;
 * Enhanced RTMP v1, "Enhanced Video").  Worker, any thread; pure.
 */
#ifndef WORKER_FLV_TAG_H
#define WORKER_FLV_TAG_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLV_TAG_HEADER_BYTES 11

enum { FLV_TAG_AUDIO = 8, FLV_TAG_VIDEO = 9, FLV_TAG_SCRIPT = 18 };

struct flv_tag {
    unsigned type;
    uint32_t ts_ms;
    const uint8_t *data;
    size_t len;
    int64_t received_us; /* set by the caller */
};

/* One coded frame or configuration, as the codec header of its tag describes it. */
struct flv_unit {
    enum AVCodecID codec; /* AV_CODEC_ID_NONE: nothing for us */
    bool config;
    bool key;
    unsigned channels; /* audio, by the tag header */
    unsigned sample_rate;
    int32_t cts_ms;
    const uint8_t *data;
    size_t len;
};

/**
 * Read a tag header; data is set to what follows it.
 *
 * @param p  FLV_TAG_HEADER_BYTES.  Borrowed.
 * @return false if no (unencrypted) tag begins like this.
 */
bool flv_tag_read_header(const uint8_t *p, struct flv_tag *tag);

/**
 * Read the codec header of an audio or video tag; unit->data points into the tag.
 * @return 0, also when it holds nothing for us; -ENOTSUP for video that is neither H.264 nor HEVC.
 */
int flv_tag_read_unit(const struct flv_tag *tag, struct flv_unit *unit);

/**
 * Take sample rate and channels from the AudioSpecificConfig that the unit holds.
 * @return false if it is not one.
 */
bool flv_tag_read_asc(struct flv_unit *unit);

#endif /* WORKER_FLV_TAG_H */
