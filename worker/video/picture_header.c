#include "worker/video/picture_header.h"

#include "common/bytes.h"
#include "worker/video/av1.h"
#include "worker/video/bits.h"

#include <string.h>

/* --- JPEG ----------------------------------------------------------------- */

enum { JPEG_SOF0 = 0xC0, JPEG_SOF2 = 0xC2, JPEG_SOI = 0xD8, JPEG_SOS = 0xDA };

/* ITU-T T.81 B.1, B.2.2: the size stands in the frame header. */
static bool read_jpeg(const uint8_t *p, size_t len, struct picture_header *h)
{
    size_t pos = 2;
    h->key = true;
    if (len < 4 || p[0] != 0xFF || p[1] != JPEG_SOI)
        return false;
    while (len - pos >= 4 && p[pos] == 0xFF) {
        unsigned marker = p[pos + 1];
        size_t size = 2u + bytes_get16(p + pos + 2);
        if (marker == 0xFF) { /* padding */
            pos++;
            continue;
        }
        if (marker == JPEG_SOS)
            return h->width > 0 && h->height > 0;
        if (size > len - pos)
            return false;
        if (marker >= JPEG_SOF0 && marker <= JPEG_SOF2 && size >= 9) {
            h->height = bytes_get16(p + pos + 5);
            h->width = bytes_get16(p + pos + 7);
        }
        pos += size;
    }
    return false;
}

/* --- MPEG-4 Part 2 (ISO/IEC 14496-2) -------------------------------------- */

enum { VOL_FIRST = 0x20, VOL_LAST = 0x2F, GROUP_OF_VOP = 0xB3, VOP = 0xB6 };
enum { VOP_I = 0, VOP_B = 2 };

/* 6.2.3 VideoObjectLayer(), up to the size. */
static void read_vol(struct bits b, struct picture_header *h)
{
    unsigned version = 1;
    bits_skip(&b, 1 + 8);
    if (bits_read(&b, 1) != 0) {
        version = bits_read(&b, 4);
        bits_skip(&b, 3);
    }
    if (bits_read(&b, 4) == 15) /* aspect_ratio_info: extended_PAR */
        bits_skip(&b, 16);
    if (bits_read(&b, 1) != 0) { /* vol_control_parameters */
        bits_skip(&b, 3);
        if (bits_read(&b, 1) != 0)
            bits_skip(&b, 79); /* vbv_parameters */
    }
    unsigned shape = bits_read(&b, 2);
    if (shape == 3 && version != 1)
        bits_skip(&b, 4);
    bits_skip(&b, 1);
    unsigned ticks = bits_read(&b, 16);
    bits_skip(&b, 1);
    if (bits_read(&b, 1) != 0) { /* fixed_vop_rate: as many bits as ticks - 1 has */
        unsigned n = 1;
        while (n < 16 && (ticks - 1) >> n != 0)
            n++;
        bits_skip(&b, n);
    }
    bits_skip(&b, 1);
    unsigned width = bits_read(&b, 13);
    bits_skip(&b, 1);
    unsigned height = bits_read(&b, 13);
    if (shape == 0 && !b.overrun) {
        h->width = (int)width;
        h->height = (int)height;
    }
}

static bool read_mpeg4(const uint8_t *p, size_t len, struct picture_header *h)
{
    size_t config_end = 0;
    bool has_vol = false;
    for (size_t i = 0; i + 4 < len; i++) {
        if (p[i] != 0 || p[i + 1] != 0 || p[i + 2] != 1)
            continue;
        unsigned code = p[i + 3];
        if ((code == GROUP_OF_VOP || code == VOP) && config_end == 0)
            config_end = i;
        if (code >= VOL_FIRST && code <= VOL_LAST) {
            has_vol = true;
            read_vol((struct bits){.data = p + i + 4, .len = len - i - 4}, h);
        }
        if (code == VOP) {
            h->key = p[i + 4] >> 6 == VOP_I;
            h->bidirectional = p[i + 4] >> 6 == VOP_B;
            h->config = p;
            h->config_len = has_vol ? config_end : 0;
            return true;
        }
    }
    return false;
}

/* --- H.263 ---------------------------------------------------------------- */

static void set_h263_size(struct picture_header *h, unsigned format)
{
    static const uint16_t sizes[][2] = {{0, 0},     {128, 96},  {176, 144},
                                        {352, 288}, {704, 576}, {1408, 1152}};
    if (format < sizeof(sizes) / sizeof(sizes[0])) {
        h->width = sizes[format][0];
        h->height = sizes[format][1];
    }
}

/* ITU-T H.263 5.1.4: PLUSPTYPE. */
static void read_plus(struct bits *b, struct picture_header *h)
{
    bool full = bits_read(b, 3) == 1; /* UFEP */
    unsigned format = 0;
    if (full) {
        format = bits_read(b, 3);
        bits_skip(b, 15);
        set_h263_size(h, format);
    }
    h->key = bits_read(b, 3) == 0;
    bits_skip(b, 6);
    if (bits_read(b, 1) != 0) /* CPM */
        bits_skip(b, 2);
    if (format == 6) { /* CPFMT */
        bits_skip(b, 4);
        h->width = (int)(bits_read(b, 9) + 1) * 4;
        bits_skip(b, 1);
        h->height = (int)bits_read(b, 9) * 4;
    }
}

/* 5.1.1 to 5.1.3: PSC, TR, PTYPE. */
static bool read_h263(const uint8_t *p, size_t len, struct picture_header *h)
{
    struct bits b = {.data = p, .len = len};
    if (bits_read(&b, 22) != 0x20)
        return false;
    bits_skip(&b, 8 + 2 + 3);
    unsigned format = bits_read(&b, 3);
    if (format == 7) {
        read_plus(&b, h);
    } else {
        set_h263_size(h, format);
        h->key = bits_read(&b, 1) == 0;
    }
    return !b.overrun;
}

/* Adobe FLV 10.1 E.4.3.2: H263VIDEOPACKET. */
static bool read_sorenson(const uint8_t *p, size_t len, struct picture_header *h)
{
    static const uint16_t sizes[][2] = {{352, 288}, {176, 144}, {128, 96}, {320, 240}, {160, 120}};
    struct bits b = {.data = p, .len = len};
    if (bits_read(&b, 17) != 1)
        return false;
    bits_skip(&b, 5 + 8);
    unsigned format = bits_read(&b, 3);
    if (format < 2) {
        h->width = (int)bits_read(&b, format == 0 ? 8 : 16);
        h->height = (int)bits_read(&b, format == 0 ? 8 : 16);
    } else if (format < 7) {
        h->width = sizes[format - 2][0];
        h->height = sizes[format - 2][1];
    }
    h->key = bits_read(&b, 2) == 0;
    return !b.overrun;
}

/* --- Screen Video, VP6 (Adobe FLV 10.1 E.4.3) ------------------------------ */

/* E.4.3.3, E.4.3.6: both versions begin alike. */
static bool read_screen(const uint8_t *p, size_t len, struct picture_header *h)
{
    struct bits b = {.data = p, .len = len};
    bits_skip(&b, 4);
    h->width = (int)bits_read(&b, 12);
    bits_skip(&b, 4);
    h->height = (int)bits_read(&b, 12);
    h->key_not_said = true;
    return !b.overrun && h->width > 0 && h->height > 0;
}

/* The frame header of On2's VP6: sizes are in macroblocks.  FLV puts the cropping before it, which
 * libavcodec takes as extradata. */
static bool read_vp6(const uint8_t *p, size_t len, struct picture_header *h, size_t head)
{
    const uint8_t *frame = p + head;
    h->skip = 1;
    if (len < head + 2)
        return false;
    h->key = (frame[0] & 0x80) == 0;
    if (!h->key)
        return true;
    bool has_offset = (frame[0] & 1) != 0 || (frame[1] & 6) == 0;
    size_t at = has_offset ? 4 : 2;
    if (len < head + at + 2)
        return false;
    h->height = 16 * frame[at] - (p[0] & 15);
    h->width = 16 * frame[at + 1] - (p[0] >> 4);
    h->config = p;
    h->config_len = 1;
    return h->width > 0 && h->height > 0;
}

static bool read_vp6f(const uint8_t *p, size_t len, struct picture_header *h)
{
    return read_vp6(p, len, h, 1);
}

/* E.4.3.5: the place of the alpha channel's picture comes first. */
static bool read_vp6a(const uint8_t *p, size_t len, struct picture_header *h)
{
    return read_vp6(p, len, h, 4);
}

/* --- VP8, VP9 ------------------------------------------------------------- */

/* RFC 6386 section 9.1. */
static bool read_vp8(const uint8_t *p, size_t len, struct picture_header *h)
{
    static const uint8_t start_code[3] = {0x9D, 0x01, 0x2A};
    if (len < 3)
        return false;
    h->key = (p[0] & 1) == 0;
    if (!h->key)
        return true;
    if (len < 10 || memcmp(p + 3, start_code, sizeof(start_code)) != 0)
        return false;
    h->width = (p[7] << 8 | p[6]) & 0x3FFF;
    h->height = (p[9] << 8 | p[8]) & 0x3FFF;
    return true;
}

/* VP9 Bitstream Specification 6.2: uncompressed_header(). */
static bool read_vp9(const uint8_t *p, size_t len, struct picture_header *h)
{
    struct bits b = {.data = p, .len = len};
    if (bits_read(&b, 2) != 2)
        return false;
    unsigned profile = bits_read(&b, 1);
    profile |= bits_read(&b, 1) << 1;
    bits_skip(&b, profile == 3);
    if (bits_read(&b, 1) != 0) /* show_existing_frame */
        return !b.overrun;
    h->key = bits_read(&b, 1) == 0;
    bits_skip(&b, 2);
    if (!h->key)
        return !b.overrun;
    if (bits_read(&b, 24) != 0x498342)
        return false;
    bits_skip(&b, profile >= 2);
    bool rgb = bits_read(&b, 3) == 7;
    bits_skip(&b, !rgb);
    if (profile == 1 || profile == 3)
        bits_skip(&b, rgb ? 1 : 3);
    h->width = (int)bits_read(&b, 16) + 1;
    h->height = (int)bits_read(&b, 16) + 1;
    return !b.overrun;
}

/* --- AV1 ------------------------------------------------------------------ */

static bool read_av1(const uint8_t *p, size_t len, struct picture_header *h)
{
    struct av1_picture picture;
    bool has_frame = av1_read_picture(p, len, &picture);
    *h = (struct picture_header){.key = picture.key,
                                 .width = (int)picture.width,
                                 .height = (int)picture.height,
                                 .config = picture.sequence_header,
                                 .config_len = picture.sequence_header_len};
    return has_frame;
}

/* --- any of them ---------------------------------------------------------- */

static const struct reader {
    enum AVCodecID codec;
    bool (*read)(const uint8_t *data, size_t len, struct picture_header *header);
} readers[] = {
    {AV_CODEC_ID_MJPEG, read_jpeg},     {AV_CODEC_ID_MPEG4, read_mpeg4},
    {AV_CODEC_ID_H263, read_h263},      {AV_CODEC_ID_FLV1, read_sorenson},
    {AV_CODEC_ID_FLASHSV, read_screen}, {AV_CODEC_ID_FLASHSV2, read_screen},
    {AV_CODEC_ID_VP6F, read_vp6f},      {AV_CODEC_ID_VP6A, read_vp6a},
    {AV_CODEC_ID_VP8, read_vp8},        {AV_CODEC_ID_VP9, read_vp9},
    {AV_CODEC_ID_AV1, read_av1},
};

static const struct reader *find_reader(enum AVCodecID codec)
{
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (readers[i].codec == codec)
            return &readers[i];
    return NULL;
}

bool picture_header_knows(enum AVCodecID codec)
{
    return find_reader(codec) != NULL;
}

bool picture_header_read(enum AVCodecID codec, const uint8_t *data, size_t len,
                         struct picture_header *header)
{
    *header = (struct picture_header){0};
    const struct reader *reader = find_reader(codec);
    return reader != NULL && reader->read(data, len, header);
}
