#include "worker/video/sps.h"

#include <string.h>

/* MaxDpbFrames and MaxDpbSize are never above this (H.264 A.3.1 h, H.265 A.4.2). */
#define DPB_MAX 16

/* 7.3.2.1.1.1 */
static void skip_scaling_list(struct nal_bits *b, unsigned size)
{
    int32_t last = 8;
    int32_t next = 8;
    for (unsigned i = 0; i < size && !b->overrun; i++) {
        if (next != 0)
            next = (last + nal_bits_se(b)) & 0xff;
        if (next != 0)
            last = next;
    }
}

static void read_chroma_format(struct nal_bits *b, struct sps_info *info)
{
    uint32_t chroma_format_idc = nal_bits_ue(b);
    if (chroma_format_idc > 3)
        b->overrun = true;
    info->chroma_format_idc = (uint8_t)(chroma_format_idc & 3);
    if (chroma_format_idc == 3)
        (void)nal_bits_read(b, 1); /* separate_colour_plane_flag */
}

static void read_bit_depths(struct nal_bits *b, struct sps_info *info)
{
    uint32_t luma_minus8 = nal_bits_ue(b);
    uint32_t chroma_minus8 = nal_bits_ue(b);
    if (luma_minus8 > 7 || chroma_minus8 > 7)
        b->overrun = true; /* out of range counts as unreadable */
    info->bit_depth_luma = (uint8_t)(8 + (luma_minus8 & 7));
    info->bit_depth_chroma = (uint8_t)(8 + (chroma_minus8 & 7));
}

/* The fields that only the high profiles have. */
static void read_high_profile(struct nal_bits *b, struct sps_info *info)
{
    read_chroma_format(b, info);
    read_bit_depths(b, info);
    (void)nal_bits_read(b, 1);    /* qpprime_y_zero_transform_bypass_flag */
    if (nal_bits_read(b, 1) == 0) /* seq_scaling_matrix_present_flag */
        return;
    unsigned lists = info->chroma_format_idc == 3 ? 12 : 8;
    for (unsigned i = 0; i < lists; i++) {
        if (nal_bits_read(b, 1) != 0)
            skip_scaling_list(b, i < 6 ? 16 : 64);
    }
}

static bool has_high_profile_members(uint32_t profile_idc)
{
    static const uint8_t profiles[] = {100, 110, 122, 244, 44,  83, 86,
                                       118, 128, 138, 139, 134, 135};
    return memchr(profiles, (int)profile_idc, sizeof(profiles)) != NULL;
}

/* E.1.2 */
static void skip_hrd(struct nal_bits *b)
{
    uint32_t cpb_cnt_minus1 = nal_bits_ue(b);
    (void)nal_bits_read(b, 8); /* bit_rate_scale, cpb_size_scale */
    for (uint32_t i = 0; i <= cpb_cnt_minus1 && i < 32; i++) {
        (void)nal_bits_ue(b);      /* bit_rate_value_minus1 */
        (void)nal_bits_ue(b);      /* cpb_size_value_minus1 */
        (void)nal_bits_read(b, 1); /* cbr_flag */
    }
    (void)nal_bits_read(b, 20); /* lengths of delays and time offset */
}

/* E.1.1.  Returns max_num_reorder_frames, 0 if it is missing. */
static uint32_t read_h264_vui(struct nal_bits *b)
{
    if (nal_bits_read(b, 1) != 0 && nal_bits_read(b, 8) == 255) /* aspect_ratio_idc: Extended_SAR */
        (void)nal_bits_read(b, 32);
    if (nal_bits_read(b, 1) != 0)
        (void)nal_bits_read(b, 1); /* overscan_appropriate_flag */
    if (nal_bits_read(b, 1) != 0) {
        (void)nal_bits_read(b, 4); /* video_format, video_full_range_flag */
        if (nal_bits_read(b, 1) != 0)
            (void)nal_bits_read(b, 24); /* colour_description */
    }
    if (nal_bits_read(b, 1) != 0) {
        (void)nal_bits_ue(b); /* chroma_sample_loc_type */
        (void)nal_bits_ue(b);
    }
    if (nal_bits_read(b, 1) != 0) {
        (void)nal_bits_read(b, 32); /* num_units_in_tick */
        (void)nal_bits_read(b, 32); /* time_scale */
        (void)nal_bits_read(b, 1);  /* fixed_frame_rate_flag */
    }
    bool nal_hrd = nal_bits_read(b, 1) != 0;
    if (nal_hrd)
        skip_hrd(b);
    bool vcl_hrd = nal_bits_read(b, 1) != 0;
    if (vcl_hrd)
        skip_hrd(b);
    if (nal_hrd || vcl_hrd)
        (void)nal_bits_read(b, 1); /* low_delay_hrd_flag */
    (void)nal_bits_read(b, 1);     /* pic_struct_present_flag */
    if (nal_bits_read(b, 1) == 0)  /* bitstream_restriction_flag */
        return 0;
    (void)nal_bits_read(b, 1); /* motion_vectors_over_pic_boundaries_flag */
    for (int i = 0; i < 4; i++)
        (void)nal_bits_ue(b);
    return nal_bits_ue(b);
}

static bool read_h264(struct nal_bits *b, struct sps_info *info)
{
    uint32_t profile_idc = nal_bits_read(b, 8);
    (void)nal_bits_read(b, 16); /* constraint flags, level_idc */
    uint32_t id = nal_bits_ue(b);
    if (b->overrun || id > 31)
        return false;
    info->id = (uint8_t)id;

    info->chroma_format_idc = 1;
    info->bit_depth_luma = info->bit_depth_chroma = 8;
    if (has_high_profile_members(profile_idc))
        read_high_profile(b, info);
    uint32_t frame_num_bits = nal_bits_ue(b) + 4; /* log2_max_frame_num_minus4 */
    info->frame_num_bits = (uint8_t)(frame_num_bits <= 16 ? frame_num_bits : 0);
    uint32_t pic_order_cnt_type = nal_bits_ue(b);
    if (pic_order_cnt_type == 0) {
        (void)nal_bits_ue(b); /* log2_max_pic_order_cnt_lsb_minus4 */
    } else if (pic_order_cnt_type == 1) {
        (void)nal_bits_read(b, 1); /* delta_pic_order_always_zero_flag */
        (void)nal_bits_ue(b);      /* offset_for_non_ref_pic, se(v) */
        (void)nal_bits_ue(b);      /* offset_for_top_to_bottom_field, se(v) */
        uint32_t n = nal_bits_ue(b);
        for (uint32_t i = 0; i < n && i < 255; i++)
            (void)nal_bits_ue(b); /* offset_for_ref_frame, se(v) */
    }
    (void)nal_bits_ue(b);                    /* max_num_ref_frames */
    (void)nal_bits_read(b, 1);               /* gaps_in_frame_num_value_allowed_flag */
    (void)nal_bits_ue(b);                    /* pic_width_in_mbs_minus1 */
    (void)nal_bits_ue(b);                    /* pic_height_in_map_units_minus1 */
    info->fields = nal_bits_read(b, 1) == 0; /* frame_mbs_only_flag */
    if (info->fields)
        (void)nal_bits_read(b, 1);
    (void)nal_bits_read(b, 1); /* direct_8x8_inference_flag */
    if (nal_bits_read(b, 1) != 0) {
        for (int i = 0; i < 4; i++)
            (void)nal_bits_ue(b); /* frame cropping */
    }
    if (b->overrun)
        return false;

    /* Some cameras cut the VUI short: then assume no reordering. */
    uint32_t reorder = nal_bits_read(b, 1) != 0 ? read_h264_vui(b) : 0;
    info->reorder_frames = (uint8_t)(!b->overrun && reorder <= DPB_MAX ? reorder : 0);
    return true;
}

/* 7.3.3, from general_level_idc on */
static void skip_sub_layers(struct nal_bits *b, unsigned max_sub_layers_minus1)
{
    uint32_t present = 0; /* two flags for each of eight sub-layers, the first in the top bits */
    if (max_sub_layers_minus1 > 0)
        present = nal_bits_read(b, 16) << 16;
    for (unsigned i = 0; i < max_sub_layers_minus1; i++, present <<= 2) {
        for (int bytes = (present >> 31) != 0 ? 11 : 0; bytes > 0; bytes--)
            (void)nal_bits_read(b, 8); /* sub_layer profile */
        if ((present >> 30 & 1) != 0)
            (void)nal_bits_read(b, 8); /* sub_layer_level_idc */
    }
}

static bool read_hevc(struct nal_bits *b, struct sps_info *info)
{
    info->vps_id = (uint8_t)nal_bits_read(b, 4);
    unsigned max_sub_layers_minus1 = nal_bits_read(b, 3);
    if (max_sub_layers_minus1 > 6)
        return false;
    info->temporal_layers = (uint8_t)(max_sub_layers_minus1 + 1);
    info->temporal_id_nested = nal_bits_read(b, 1) != 0;
    for (size_t i = 0; i < sizeof(info->profile_tier_level); i++)
        info->profile_tier_level[i] = (uint8_t)nal_bits_read(b, 8);
    skip_sub_layers(b, max_sub_layers_minus1);

    uint32_t id = nal_bits_ue(b);
    if (b->overrun || id > 15)
        return false;
    info->id = (uint8_t)id;
    read_chroma_format(b, info);
    (void)nal_bits_ue(b); /* pic_width_in_luma_samples */
    (void)nal_bits_ue(b); /* pic_height_in_luma_samples */
    if (nal_bits_read(b, 1) != 0) {
        for (int i = 0; i < 4; i++)
            (void)nal_bits_ue(b); /* conformance window */
    }
    read_bit_depths(b, info);
    (void)nal_bits_ue(b); /* log2_max_pic_order_cnt_lsb_minus4 */

    uint32_t reorder = 0;
    unsigned layers = nal_bits_read(b, 1) != 0 ? max_sub_layers_minus1 + 1 : 1;
    for (unsigned i = 0; i < layers; i++) {
        (void)nal_bits_ue(b); /* sps_max_dec_pic_buffering_minus1 */
        reorder = nal_bits_ue(b);
        (void)nal_bits_ue(b); /* sps_max_latency_increase_plus1 */
    }
    if (b->overrun)
        return false;
    info->reorder_frames = (uint8_t)(reorder <= DPB_MAX ? reorder : 0);
    return true;
}

bool sps_read(enum AVCodecID codec, const struct nal *sps, struct sps_info *info)
{
    struct nal_bits b;
    memset(info, 0, sizeof(*info));
    nal_bits_init(&b, codec, sps);
    return codec == AV_CODEC_ID_H264 ? read_h264(&b, info) : read_hevc(&b, info);
}
