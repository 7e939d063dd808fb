/*
 * Reads the headers of the enhanced dialect (Enhanced RTMP v2, "Enhanced Audio", "Enhanced Video"):
 * four-letter codec names, modifiers, several tracks in one tag.  Worker, any thread; pure.
 */
#ifndef WORKER_FLV_EX_TAG_H
#define WORKER_FLV_EX_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values that AudioPacketType and VideoPacketType share. */
enum { FLV_EX_SEQUENCE_START = 0, FLV_EX_CODED_FRAMES = 1, FLV_EX_SEQUENCE_END = 2 };
/* Video: coded frames without composition time. */
enum { FLV_EX_CODED_FRAMES_X = 3 };

/* The part of a tag that belongs to one track. */
struct flv_ex_tag {
    unsigned packet_type;
    uint32_t fourcc; /* big-endian letters */
    int track;       /* trackId; -1: the tag has no tracks */
    const uint8_t *data;
    size_t len;
};

/**
 * Read an enhanced header.
 *
 * @param data       body of an audio or video tag.  Borrowed; ex->data points into it.
 * @param track      the trackId to read; -1: the tag's first track whose codec is supported, or its
 *                   last track if none is.
 * @param supported  is the codec with that FourCC?
 * @return false if the tag ends too early or does not have that track.
 */
bool flv_ex_tag_read(const uint8_t *data, size_t len, bool is_video, int track,
                     bool (*supported)(uint32_t fourcc), struct flv_ex_tag *ex);

#endif /* WORKER_FLV_EX_TAG_H */
