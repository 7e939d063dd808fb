/*
 * FLV as this server writes it.  Worker, loop thread; pure, no I/O.  Adobe Flash Video File Format
 * Specification 10.1, annex E.4; HEVC as in Enhanced RTMP v1, "Enhanced Video", or with the codec
 * id 12 that Chinese players agreed on before that; AV1 as in Enhanced RTMP v1.
 *
 * Only a prefix and a trailer of a few bytes are made per viewer and frame; frame->data goes
 * between them and is shared by all viewers.  The dialects differ for HEVC only.
 */
#ifndef WORKER_FLV_H
#define WORKER_FLV_H

#include "worker/media/frame.h"

enum flv_dialect {
    FLV_HEVC_ENHANCED, /* FourCC hvc1, CodedFrames with explicit composition time */
    FLV_HEVC_LEGACY,   /* codec id 12, like H.264's 7 */
};

#define FLV_HEADER_BYTES 13 /* E.2, with PreviousTagSize0 */
#define FLV_METADATA_MAX 512
#define FLV_PREFIX_MAX 20
#define FLV_TRAILER_BYTES 4
#define FLV_DATA_MAX 0xffffffu /* DataSize is UI24 */

/** Can pictures of this codec be sent?  Else no tag may be made of them. */
bool flv_carries(enum AVCodecID video);

/** The FLV header (E.2) and PreviousTagSize0 (E.3).  out: FLV_HEADER_BYTES. */
void flv_header(uint8_t *out, bool video, bool audio);

/**
 * A complete onMetaData tag at time 0, PreviousTagSize included (E.4.4.1, E.5).
 *
 * @param out    FLV_METADATA_MAX bytes.  Caller owns.
 * @param video  NULL: no video; likewise audio.  Borrowed.
 * @return bytes written.
 */
size_t flv_metadata(uint8_t *out, const struct codec_config *video,
                    const struct codec_config *audio, enum flv_dialect dialect);

/** Bytes that flv_config() writes for this configuration. */
size_t flv_config_size(const struct codec_config *config, enum flv_dialect dialect);

/**
 * A complete sequence header tag, PreviousTagSize included: H.264 and legacy HEVC AVCPacketType 0,
 * enhanced HEVC PacketTypeSequenceStart, AAC AACPacketType 0.
 *
 * @param out  flv_config_size() bytes.  Caller owns.
 * @return bytes written.
 */
size_t flv_config(uint8_t *out, const struct codec_config *config, enum flv_dialect dialect,
                  uint32_t ts_ms);

/**
 * What precedes frame->data in its tag: tag header (E.4.1, extended timestamp) and codec header.
 *
 * @param out     FLV_PREFIX_MAX bytes.  Caller owns.
 * @param frame   Borrowed.
 * @param ts_ms   the tag's timestamp: decoding time on this viewer's time line.
 * @param cts_ms  presentation minus decoding time, cut to SI24; 0 for audio.
 * @return bytes written; 0 if the frame does not fit a tag.
 */
size_t flv_frame_prefix(uint8_t *out, const struct frame *frame, enum flv_dialect dialect,
                        uint32_t ts_ms, int32_t cts_ms);

/** PreviousTagSize after frame->data.  out: FLV_TRAILER_BYTES; prefix_len as returned above. */
void flv_frame_trailer(uint8_t *out, const struct frame *frame, size_t prefix_len);

#endif /* WORKER_FLV_H */
