/*
 * Finds NAL units of H.264 and HEVC, and reads the few header fields that tell where a picture ends
 * and where decoding may start.  Worker, any thread; pure.
 */
#ifndef WORKER_NAL_H
#define WORKER_NAL_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* nal_unit_type, ITU-T H.264 table 7-1 and H.265 table 7-1. */
enum {
    H264_NAL_SLICE = 1,
    H264_NAL_PARTITION_A = 2,
    H264_NAL_IDR = 5,
    H264_NAL_SEI = 6,
    H264_NAL_SPS = 7,
    H264_NAL_PPS = 8,
    H264_NAL_AUD = 9,
    H264_NAL_END_OF_SEQUENCE = 10,
    H264_NAL_END_OF_STREAM = 11,
    H264_NAL_FILLER = 12,
    HEVC_NAL_RASL_N = 8,
    HEVC_NAL_RASL_R = 9,
    HEVC_NAL_BLA_W_LP = 16,
    HEVC_NAL_BLA_N_LP = 18,
    HEVC_NAL_IDR_W_RADL = 19,
    HEVC_NAL_IDR_N_LP = 20,
    HEVC_NAL_CRA = 21,
    HEVC_NAL_IRAP_LAST = 23,
    HEVC_NAL_SLICE_LAST = 31,
    HEVC_NAL_VPS = 32,
    HEVC_NAL_SPS = 33,
    HEVC_NAL_PPS = 34,
    HEVC_NAL_AUD = 35,
    HEVC_NAL_END_OF_SEQUENCE = 36,
    HEVC_NAL_END_OF_BITSTREAM = 37,
    HEVC_NAL_FILLER = 38,
    HEVC_NAL_SEI_PREFIX = 39,
    HEVC_NAL_SEI_SUFFIX = 40,
};

/* What a NAL unit is to an access unit. */
enum nal_role {
    NAL_SLICE,         /* picture data of the base layer */
    NAL_PARAMETER_SET, /* VPS, SPS, PPS */
    NAL_OTHER,         /* SEI and the like */
    NAL_DISCARD,       /* to be left out of the payload: delimiter, filler, … */
};

struct nal {
    const uint8_t *data; /* from the NAL header on, without start code */
    size_t len;
};

/** Walk over NAL units; starts at {data, data + len}. */
struct nal_cursor {
    const uint8_t *pos;
    const uint8_t *end;
};

/**
 * Next NAL unit after a start code (H.264 and H.265 Annex B.2), trailing zero bytes cut off.
 * Bytes before the first start code are skipped.
 */
bool nal_next_annex_b(struct nal_cursor *cursor, struct nal *nal);

/**
 * Next NAL unit after a length field of length_size bytes (ISO/IEC 14496-15 5.3.4.2).
 * @return 1; 0 at the end; -EINVAL if a length exceeds what is left.
 */
int nal_next_length(struct nal_cursor *cursor, unsigned length_size, struct nal *nal);

/** @return the offset of the next 00 00 01 (start code) in data, or len. */
size_t nal_find_start_code(const uint8_t *data, size_t len);

/* nal: at least nal_header_len() bytes. */
unsigned nal_type(enum AVCodecID codec, const uint8_t *nal);
size_t nal_header_len(enum AVCodecID codec);
enum nal_role nal_role(enum AVCodecID codec, const uint8_t *nal);

/**
 * Would this NAL unit begin another access unit if it came after a picture's slices (H.264
 * 7.4.1.2.3, H.265 7.4.2.4.4)?  Parameter sets, SEI, delimiters and the like; not slices.
 */
bool nal_begins_unit(enum AVCodecID codec, const uint8_t *nal);

/** Reads bits of an RBSP, skips emulation prevention bytes, and reads zeros beyond the end. */
struct nal_bits {
    const uint8_t *data;
    size_t len;
    size_t pos; /* in bits, emulation prevention bytes included */
    unsigned zeros;
    bool overrun;
};

/** Read from behind the NAL header on.  @param nal  Borrowed, while bits is in use. */
void nal_bits_init(struct nal_bits *bits, enum AVCodecID codec, const struct nal *nal);
uint32_t nal_bits_read(struct nal_bits *bits, unsigned count); /* 0..32 */
uint32_t nal_bits_ue(struct nal_bits *bits);                   /* ue(v), 9.1; 9.2 */
int32_t nal_bits_se(struct nal_bits *bits);                    /* se(v), 9.1.1; 9.2.2 */

/* What a slice's header says about the picture that it belongs to. */
struct nal_slice {
    bool first;     /* it begins a picture: first_mb_in_slice 0, first_slice_segment_in_pic_flag */
    bool reference; /* H.264: nal_ref_idc is not 0 */
    uint8_t type;   /* nal_unit_type */
    uint32_t address; /* where it begins: comparable only within a picture, where it grows */
};

/**
 * Read the part of a slice's header (ITU-T H.264 7.3.3, H.265 7.3.6.1) that is needed here.
 *
 * @param dependent_slices  HEVC: dependent_slice_segments_enabled_flag of its PPS.
 */
void nal_read_slice(enum AVCodecID codec, const struct nal *nal, bool dependent_slices,
                    struct nal_slice *slice);

/**
 * May this slice belong to the same picture as the previous slice (H.264 7.4.1.2.4, H.265
 * 7.4.2.4.5)?  A picture that lost its first slice may pass for a part of the previous picture.
 *
 * @param same_time  both have the same timestamp.
 */
bool nal_slice_follows(enum AVCodecID codec, const struct nal_slice *before,
                       const struct nal_slice *slice, bool same_time);

/**
 * Is this an I or SI slice (H.264 7.4.3, H.265 7.4.7.1 slice_type)?  Of an HEVC picture only the
 * first slice can be read; others count as not intra.
 *
 * @param extra_bits  HEVC: num_extra_slice_header_bits of its PPS.
 */
bool nal_is_intra_slice(enum AVCodecID codec, const struct nal *nal, unsigned extra_bits);

/**
 * Look for a recovery point in an SEI (H.264 D.1.8, H.265 D.2.8).
 * @return after how many pictures decoding that starts here is correct; -1: not found.
 */
int nal_recovery_point(enum AVCodecID codec, const struct nal *sei);

#endif /* WORKER_NAL_H */
