#include "worker/video/av1.h"

#include "common/bytes.h"
#include "worker/video/bits.h"

enum { OBU_SEQUENCE_HEADER = 1, OBU_FRAME_HEADER = 3, OBU_FRAME = 6 };
enum { KEY_FRAME = 0 };

struct obu {
    unsigned type;
    const uint8_t *data; /* with its header */
    size_t len;
    struct bits payload;
};

/* What is needed of sequence_header_obu() (5.5.1). */
struct sequence {
    unsigned profile;
    unsigned level;
    unsigned tier;
    bool reduced; /* a still picture: its frame headers lack the first fields */
    unsigned width;
    unsigned height;
    unsigned high_bitdepth;
    unsigned twelve_bit;
    unsigned mono;
    unsigned subsampling_x;
    unsigned subsampling_y;
    unsigned sample_position;
};

/* 5.3: an OBU; one without obu_has_size_field takes the rest.  Advances *pos. */
static bool next_obu(const uint8_t *data, size_t len, size_t *pos, struct obu *obu)
{
    if (*pos >= len)
        return false;
    const uint8_t *p = data + *pos;
    size_t left = len - *pos;
    size_t head = (p[0] & 4) != 0 ? 2 : 1;
    if (head > left)
        return false;
    size_t size = left - head;
    if ((p[0] & 2) != 0) {
        uint32_t told;
        size_t n = bytes_get_leb128(p + head, left - head, &told);
        if (n == 0 || told > left - head - n)
            return false;
        head += n;
        size = told;
    }
    *obu = (struct obu){.type = p[0] >> 3 & 0xF,
                        .data = p,
                        .len = head + size,
                        .payload = {.data = p + head, .len = size}};
    *pos += head + size;
    return true;
}

/* --- sequence header ------------------------------------------------------ */

static void skip_uvlc(struct bits *b)
{
    unsigned zeros = 0;
    while (!b->overrun && bits_read(b, 1) == 0)
        zeros++;
    bits_skip(b, zeros < 32 ? zeros : 0);
}

/* timing_info(), decoder_model_info().  Returns the bits of a decoder buffer delay; 0: none. */
static unsigned read_timing(struct bits *b)
{
    if (bits_read(b, 1) == 0)
        return 0;
    bits_skip(b, 64);
    if (bits_read(b, 1) != 0)
        skip_uvlc(b);
    if (bits_read(b, 1) == 0)
        return 0;
    unsigned delay_bits = bits_read(b, 5) + 1;
    bits_skip(b, 32 + 5 + 5);
    return delay_bits;
}

static void read_operating_points(struct bits *b, struct sequence *s)
{
    unsigned delay_bits = read_timing(b);
    bool has_display_delay = bits_read(b, 1) != 0;
    unsigned count = bits_read(b, 5) + 1;
    for (unsigned i = 0; i < count; i++) {
        bits_skip(b, 12);
        unsigned level = bits_read(b, 5);
        unsigned tier = level > 7 ? bits_read(b, 1) : 0;
        if (i == 0) {
            s->level = level;
            s->tier = tier;
        }
        if (delay_bits > 0 && bits_read(b, 1) != 0)
            bits_skip(b, 2 * delay_bits + 1);
        if (has_display_delay && bits_read(b, 1) != 0)
            bits_skip(b, 4);
    }
}

static void read_size(struct bits *b, struct sequence *s)
{
    unsigned width_bits = bits_read(b, 4) + 1;
    unsigned height_bits = bits_read(b, 4) + 1;
    s->width = bits_read(b, width_bits) + 1;
    s->height = bits_read(b, height_bits) + 1;
}

/* The tools between the size and color_config(). */
static void skip_tools(struct bits *b, bool reduced)
{
    if (!reduced && bits_read(b, 1) != 0) /* frame_id_numbers_present_flag */
        bits_skip(b, 4 + 3);
    bits_skip(b, 3);
    if (!reduced) {
        bits_skip(b, 4);
        bool order_hint = bits_read(b, 1) != 0;
        bits_skip(b, order_hint ? 2 : 0);
        bool choose_tools = bits_read(b, 1) != 0;
        bool tools = choose_tools || bits_read(b, 1) != 0; /* seq_force_screen_content_tools */
        if (tools && bits_read(b, 1) == 0)                 /* seq_choose_integer_mv */
            bits_skip(b, 1);
        bits_skip(b, order_hint ? 3 : 0);
    }
    bits_skip(b, 3);
}

/* 5.5.2 */
static void read_color(struct bits *b, struct sequence *s)
{
    s->high_bitdepth = bits_read(b, 1);
    s->twelve_bit = s->profile == 2 && s->high_bitdepth != 0 ? bits_read(b, 1) : 0;
    s->mono = s->profile == 1 ? 0 : bits_read(b, 1);
    uint32_t description = bits_read(b, 1) != 0 ? bits_read(b, 24) : 0x020202;
    s->subsampling_x = s->subsampling_y = s->profile != 1;
    if (s->mono != 0) {
        bits_skip(b, 1);
        return;
    }
    if (description == 0x010D00) { /* sRGB */
        s->subsampling_x = s->subsampling_y = 0;
        return;
    }
    bits_skip(b, 1);
    if (s->profile == 2 && s->twelve_bit != 0) {
        s->subsampling_x = bits_read(b, 1);
        s->subsampling_y = s->subsampling_x != 0 ? bits_read(b, 1) : 0;
    } else if (s->profile == 2) {
        s->subsampling_y = 0;
    }
    if (s->subsampling_x != 0 && s->subsampling_y != 0)
        s->sample_position = bits_read(b, 2);
}

static bool read_sequence(struct bits b, struct sequence *s)
{
    *s = (struct sequence){.profile = bits_read(&b, 3)};
    bits_skip(&b, 1);
    s->reduced = bits_read(&b, 1) != 0;
    if (s->reduced)
        s->level = bits_read(&b, 5);
    else
        read_operating_points(&b, s);
    read_size(&b, s);
    skip_tools(&b, s->reduced);
    read_color(&b, s);
    return !b.overrun && s->profile <= 2;
}

/* --- a picture ------------------------------------------------------------ */

/* uncompressed_header() (5.9.2): show_existing_frame, frame_type, show_frame. */
static bool is_key(struct bits b, bool reduced)
{
    if (reduced)
        return true;
    bool existing = bits_read(&b, 1) != 0;
    bool key = bits_read(&b, 2) == KEY_FRAME;
    return !existing && key && bits_read(&b, 1) != 0;
}

bool av1_read_picture(const uint8_t *data, size_t len, struct av1_picture *picture)
{
    struct sequence s = {.reduced = false};
    struct obu obu;
    size_t pos = 0;
    *picture = (struct av1_picture){.key = false};
    bool has_frame = false;
    while (!has_frame && next_obu(data, len, &pos, &obu)) {
        if (obu.type == OBU_SEQUENCE_HEADER && read_sequence(obu.payload, &s)) {
            picture->width = s.width;
            picture->height = s.height;
            picture->sequence_header = obu.data;
            picture->sequence_header_len = obu.len;
        }
        if (obu.type == OBU_FRAME_HEADER || obu.type == OBU_FRAME) {
            has_frame = true;
            picture->key = is_key(obu.payload, s.reduced);
        }
    }
    return has_frame;
}

bool av1_record_head(uint8_t head[AV1_RECORD_HEAD], const uint8_t *obu, size_t len)
{
    struct sequence s;
    struct obu o;
    size_t pos = 0;
    if (!next_obu(obu, len, &pos, &o) || o.type != OBU_SEQUENCE_HEADER ||
        !read_sequence(o.payload, &s))
        return false;
    head[0] = 0x81; /* marker, version */
    head[1] = (uint8_t)(s.profile << 5 | s.level);
    head[2] = (uint8_t)(s.tier << 7 | s.high_bitdepth << 6 | s.twelve_bit << 5 | s.mono << 4 |
                        s.subsampling_x << 3 | s.subsampling_y << 2 | s.sample_position);
    head[3] = 0; /* initial_presentation_delay_present: no */
    return true;
}
