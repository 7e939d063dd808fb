/*
 * Reads what libavcodec's parsers do not tell about a sequence parameter set: mainly its ids, and
 * how far decoding and display order may differ.  (Decoders tell the latter, but an H.264 decoder
 * only after it has decoded a picture: 35 ms at 4K.)  Worker, any thread; pure.
 */
#ifndef WORKER_SPS_H
#define WORKER_SPS_H

#include "worker/video/nal.h"

struct sps_info {
    uint8_t id;
    uint8_t vps_id; /* HEVC */
    /* H.264: the VUI's max_num_reorder_frames (E.2.1), or 0 without it: nearly all cameras that
     * omit it send no B pictures.  HEVC: sps_max_num_reorder_pics of the highest sub-layer. */
    uint8_t reorder_frames;
    bool fields;            /* H.264: pictures may be fields (frame_mbs_only_flag is 0) */
    uint8_t frame_num_bits; /* H.264: log2_max_frame_num; 0: out of range */
    uint8_t chroma_format_idc;
    uint8_t bit_depth_luma;
    uint8_t bit_depth_chroma;
    /* HEVC, for the hvcC: */
    uint8_t temporal_layers;
    bool temporal_id_nested;
    uint8_t profile_tier_level[12]; /* general_profile_space to general_level_idc, 7.3.3 */
};

/**
 * Read an SPS (ITU-T H.264 7.3.2.1.1 and annex E.1.1; H.265 7.3.2.2.1).
 * @return false when it ends too early or holds values out of range.
 */
bool sps_read(enum AVCodecID codec, const struct nal *sps, struct sps_info *info);

#endif /* WORKER_SPS_H */
