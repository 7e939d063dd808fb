#include "worker/video/nal.h"

#include "common/bytes.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SEI_RECOVERY_POINT 6 /* payloadType */
#define RECOVERY_MAX 65535   /* MaxFrameNum - 1: more than any camera needs */

size_t nal_find_start_code(const uint8_t *data, size_t len)
{
    const uint8_t *end = data + len;
    const uint8_t *one = len >= 3 ? data + 2 : end;
    while (one < end && (one = memchr(one, 1, (size_t)(end - one))) != NULL) {
        if (one[-1] == 0 && one[-2] == 0)
            return (size_t)(one - 2 - data);
        one++;
    }
    return len;
}

bool nal_next_annex_b(struct nal_cursor *cursor, struct nal *nal)
{
    for (;;) {
        size_t left = (size_t)(cursor->end - cursor->pos);
        size_t start = nal_find_start_code(cursor->pos, left);
        if (start == left) {
            cursor->pos = cursor->end;
            return false;
        }
        nal->data = cursor->pos + start + 3;
        left -= start + 3;
        nal->len = nal_find_start_code(nal->data, left);
        cursor->pos = nal->data + nal->len;
        while (nal->len > 0 && nal->data[nal->len - 1] == 0)
            nal->len--; /* trailing_zero_8bits, and zero_byte of the next start code */
        if (nal->len > 0)
            return true;
    }
}

int nal_next_length(struct nal_cursor *cursor, unsigned length_size, struct nal *nal)
{
    assert(length_size >= 1 && length_size <= 4);
    size_t left = (size_t)(cursor->end - cursor->pos);
    if (left == 0)
        return 0;
    if (left < length_size)
        return -EINVAL;

    size_t len = (size_t)bytes_get(cursor->pos, length_size);
    if (len > left - length_size)
        return -EINVAL;
    nal->data = cursor->pos + length_size;
    nal->len = len;
    cursor->pos = nal->data + len;
    return 1;
}

unsigned nal_type(enum AVCodecID codec, const uint8_t *nal)
{
    return codec == AV_CODEC_ID_H264 ? nal[0] & 0x1f : nal[0] >> 1 & 0x3f;
}

size_t nal_header_len(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_H264 ? 1 : 2;
}

static enum nal_role h264_role(unsigned type)
{
    switch (type) {
    case H264_NAL_SLICE:
    case H264_NAL_PARTITION_A:
    case H264_NAL_IDR:
        return NAL_SLICE;
    case H264_NAL_SPS:
    case H264_NAL_PPS:
        return NAL_PARAMETER_SET;
    case H264_NAL_AUD:
    case H264_NAL_END_OF_SEQUENCE:
    case H264_NAL_END_OF_STREAM:
    case H264_NAL_FILLER:
    case 0: /* unspecified; so are 24 and above, which RTP uses (RFC 6184 5.2) */
        return NAL_DISCARD;
    default:
        return type >= 24 ? NAL_DISCARD : NAL_OTHER;
    }
}

static enum nal_role hevc_role(unsigned type)
{
    if (type <= HEVC_NAL_SLICE_LAST)
        return NAL_SLICE;
    if (type >= HEVC_NAL_VPS && type <= HEVC_NAL_PPS)
        return NAL_PARAMETER_SET;
    if (type >= HEVC_NAL_AUD && type <= HEVC_NAL_FILLER)
        return NAL_DISCARD;
    return type >= 48 ? NAL_DISCARD : NAL_OTHER; /* RTP uses 48 to 50 (RFC 7798 4.4) */
}

enum nal_role nal_role(enum AVCodecID codec, const uint8_t *nal)
{
    unsigned type = nal_type(codec, nal);
    if (codec == AV_CODEC_ID_H264)
        return h264_role(type);

    /* nuh_layer_id above 0 belongs to scalable or multi-view extensions that players ignore. */
    unsigned layer = (unsigned)(nal[0] & 1) << 5 | nal[1] >> 3;
    return layer == 0 ? hevc_role(type) : NAL_DISCARD;
}

bool nal_begins_unit(enum AVCodecID codec, const uint8_t *nal)
{
    unsigned type = nal_type(codec, nal);
    if (codec == AV_CODEC_ID_H264)
        return (type >= H264_NAL_SEI && type <= H264_NAL_AUD) || (type >= 14 && type <= 18);
    return (type >= HEVC_NAL_VPS && type <= HEVC_NAL_AUD) || type == HEVC_NAL_SEI_PREFIX ||
           (type >= 41 && type <= 44) || (type >= 48 && type <= 55);
}

void nal_bits_init(struct nal_bits *bits, enum AVCodecID codec, const struct nal *nal)
{
    size_t header = nal_header_len(codec);
    memset(bits, 0, sizeof(*bits));
    if (nal->len <= header)
        return;
    bits->data = nal->data + header;
    bits->len = nal->len - header;
}

static unsigned read_bit(struct nal_bits *bits)
{
    size_t byte = bits->pos >> 3;
    if ((bits->pos & 7) == 0 && byte < bits->len) {
        if (bits->zeros >= 2 && bits->data[byte] == 3) { /* emulation_prevention_three_byte */
            bits->pos += 8;
            byte++;
            bits->zeros = 0;
        }
        if (byte < bits->len)
            bits->zeros = bits->data[byte] == 0 ? bits->zeros + 1 : 0;
    }
    if (byte >= bits->len) {
        bits->overrun = true;
        return 0;
    }
    unsigned bit = bits->data[byte] >> (7 - (bits->pos & 7)) & 1;
    bits->pos++;
    return bit;
}

uint32_t nal_bits_read(struct nal_bits *bits, unsigned count)
{
    assert(count <= 32);
    uint32_t v = 0;
    while (count-- > 0)
        v = v << 1 | read_bit(bits);
    return v;
}

uint32_t nal_bits_ue(struct nal_bits *bits)
{
    unsigned zeros = 0;
    while (zeros < 32 && !bits->overrun && read_bit(bits) == 0)
        zeros++;
    if (zeros == 32 || bits->overrun) {
        bits->overrun = true;
        return 0;
    }
    return (1u << zeros) - 1 + nal_bits_read(bits, zeros);
}

int32_t nal_bits_se(struct nal_bits *bits)
{
    uint32_t k = nal_bits_ue(bits);
    return (k & 1) != 0 ? (int32_t)(k / 2 + 1) : -(int32_t)(k / 2);
}

static bool is_irap(unsigned type)
{
    return type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_IRAP_LAST;
}

void nal_read_slice(enum AVCodecID codec, const struct nal *nal, bool dependent_slices,
                    struct nal_slice *slice)
{
    struct nal_bits b;
    nal_bits_init(&b, codec, nal);
    *slice = (struct nal_slice){.type = (uint8_t)nal_type(codec, nal->data), .reference = true};
    if (codec == AV_CODEC_ID_H264) {
        slice->reference = (nal->data[0] & 0x60) != 0;
        slice->address = nal_bits_ue(&b);
        slice->first = slice->address == 0 && !b.overrun;
        return;
    }
    slice->first = nal_bits_read(&b, 1) != 0;
    if (is_irap(slice->type))
        (void)nal_bits_read(&b, 1); /* no_output_of_prior_pics_flag */
    (void)nal_bits_ue(&b);          /* slice_pic_parameter_set_id */
    if (slice->first)
        return;
    if (dependent_slices)
        (void)nal_bits_read(&b, 1); /* dependent_slice_segment_flag */
    /* slice_segment_address and the bits after it: the field's length depends on the picture's
     * size, but the order of two such values does not. */
    slice->address = nal_bits_read(&b, 32);
}

bool nal_slice_follows(enum AVCodecID codec, const struct nal_slice *before,
                       const struct nal_slice *slice, bool same_time)
{
    if (slice->first || slice->reference != before->reference)
        return false;
    bool same_type = codec == AV_CODEC_ID_H264
                         ? (slice->type == H264_NAL_IDR) == (before->type == H264_NAL_IDR)
                         : slice->type == before->type;
    return same_type && (same_time || slice->address > before->address);
}

bool nal_is_intra_slice(enum AVCodecID codec, const struct nal *nal, unsigned extra_bits)
{
    struct nal_bits b;
    nal_bits_init(&b, codec, nal);
    if (codec == AV_CODEC_ID_H264) {
        (void)nal_bits_ue(&b); /* first_mb_in_slice */
        uint32_t slice_type = nal_bits_ue(&b) % 5;
        return !b.overrun && (slice_type == 2 || slice_type == 4);
    }
    bool first = nal_bits_read(&b, 1) != 0;
    if (is_irap(nal_type(codec, nal->data)))
        (void)nal_bits_read(&b, 1);
    (void)nal_bits_ue(&b);
    (void)nal_bits_read(&b, extra_bits); /* slice_reserved_flag */
    return first && nal_bits_ue(&b) == 2 && !b.overrun;
}

/* A payload type or size: any number of bytes 255, then a smaller one; their sum counts. */
static uint32_t read_sei_number(struct nal_bits *bits)
{
    uint32_t v = 0;
    uint32_t byte;
    do {
        byte = nal_bits_read(bits, 8);
        v += byte;
    } while (byte == 0xff && !bits->overrun);
    return v;
}

int nal_recovery_point(enum AVCodecID codec, const struct nal *sei)
{
    struct nal_bits b;
    nal_bits_init(&b, codec, sei);
    while (!b.overrun) {
        uint32_t type = read_sei_number(&b);
        uint32_t size = read_sei_number(&b);
        if (type == SEI_RECOVERY_POINT) {
            /* recovery_frame_cnt or recovery_poc_cnt; negative: earlier in display order */
            int64_t count = codec == AV_CODEC_ID_H264 ? (int64_t)nal_bits_ue(&b) : nal_bits_se(&b);
            if (b.overrun || count > RECOVERY_MAX)
                return -1;
            return count > 0 ? (int)count : 0;
        }
        while (size-- > 0 && !b.overrun)
            (void)nal_bits_read(&b, 8);
    }
    return -1;
}
