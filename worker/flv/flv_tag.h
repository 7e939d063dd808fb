/*
 * What an FLV tag is: its header and the codec header of its body (Adobe FLV 10.1 E.4.1 to E.4.3;
 * Enhanced RTMP v2).  Worker, any thread; pure.
 */
#ifndef WORKER_FLV_TAG_H
#define WORKER_FLV_TAG_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLV_TAG_HEADER_BYTES 11

/* Aggregate: a message of RTMP (7.1.6) whose body is tags; some servers pass it on over HTTP. */
enum { FLV_TAG_AUDIO = 8, FLV_TAG_VIDEO = 9, FLV_TAG_SCRIPT = 18, FLV_TAG_AGGREGATE = 22 };

struct flv_tag {
    unsigned type;
    uint32_t ts_ms;
    const uint8_t *data;
    size_t len;
    int64_t received_us; /* set by the caller */
    int track;           /* set by the caller: the one to read, -1: the first */
};

/* One coded frame or configuration, as the codec header of its tag describes it. */
struct flv_unit {
    enum AVCodecID codec; /* AV_CODEC_ID_NONE: nothing for us */
    int track;            /* trackId of the enhanced dialect; -1: the tag has no tracks */
    uint32_t fourcc;      /* audio of the enhanced dialect, also when it is nothing for us */
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
 * Take sample rate and channels from the configuration that an audio unit is: AudioSpecificConfig,
 * OpusHead, FLAC's STREAMINFO.
 * @return false if it is not one.
 */
bool flv_tag_read_audio_config(struct flv_unit *unit);

/**
 * Take sample rate and channels from the ADTS header that an AAC frame begins with: some publishers
 * send no configuration.
 * @return false if there is none.
 */
bool flv_tag_read_adts(struct flv_unit *unit);

#endif /* WORKER_FLV_TAG_H */
