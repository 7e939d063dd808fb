/*
 * Reads an FLV tag's header and the codec header in its body (Adobe FLV 10.1 E.4.1 to E.4.3;
 * Enhanced RTMP v2).  Worker, any thread; pure.
 */
#ifndef WORKER_FLV_TAG_H
#define WORKER_FLV_TAG_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLV_TAG_HEADER_BYTES 11

/* Aggregate: an RTMP message (7.1.6) that contains tags; some servers pass it on over HTTP. */
enum { FLV_TAG_AUDIO = 8, FLV_TAG_VIDEO = 9, FLV_TAG_SCRIPT = 18, FLV_TAG_AGGREGATE = 22 };

struct flv_tag {
    unsigned type;
    uint32_t ts_ms;
    uint32_t stream_id; /* always 0, but some servers write RTMP's message stream ID */
    const uint8_t *data;
    size_t len;
    int64_t received_us; /* set by the caller */
    int track;           /* set by the caller: the trackId to read; -1: the first track */
};

/* One coded frame or configuration, as the codec header of its tag describes it. */
struct flv_unit {
    enum AVCodecID codec; /* AV_CODEC_ID_NONE: nothing usable */
    int track;            /* the enhanced dialect's trackId; -1: the tag has no tracks */
    uint32_t fourcc;      /* audio in the enhanced dialect, even if unusable; else 0 */
    bool unsupported;     /* audio of a codec that is not supported */
    bool config;
    bool key;
    unsigned channels; /* audio: by the tag header, until a configuration is read */
    unsigned sample_rate;
    int32_t cts_ms;
    const uint8_t *data;
    size_t len;
};

/**
 * Read a tag header; tag->data is set to the bytes after it.
 *
 * @param p  FLV_TAG_HEADER_BYTES.  Borrowed.
 * @return true if the tag is of a type that we read, and not encrypted.
 */
bool flv_tag_read_header(const uint8_t *p, struct flv_tag *tag);

/**
 * Read the codec header of an audio or video tag; unit->data points into the tag.
 * @return 0, even if it holds nothing usable; -ENOTSUP for video that is not H.264, HEVC, AV1,
 *         VP9, VP8, VP6, Screen Video or Sorenson H.263.
 */
int flv_tag_read_unit(const struct flv_tag *tag, struct flv_unit *unit);

/** Does a unit of this video codec hold NAL units, and its tag a composition time? */
bool flv_tag_has_nal_units(enum AVCodecID codec);

/**
 * Take sample rate and channels from an audio unit that is a configuration: AudioSpecificConfig,
 * OpusHead, FLAC's STREAMINFO.
 * @return false if it is not a valid one.
 */
bool flv_tag_read_audio_config(struct flv_unit *unit);

/**
 * Take sample rate and channels from the ADTS header of an AAC frame: some publishers send no
 * configuration.
 * @return false if there is none.
 */
bool flv_tag_read_adts(struct flv_unit *unit);

#endif /* WORKER_FLV_TAG_H */
