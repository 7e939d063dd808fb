#include "worker/video/nal_message.h"

#include <limits.h>

#define RBSP_TRAILING 0x80 /* after the last payload of an SEI */

static bool is_zero(const uint8_t *data, size_t len)
{
    size_t i = 0;
    while (i < len && data[i] == 0)
        i++;
    return i == len;
}

/* Does a message begin with a start code? */
static bool has_start_code(const uint8_t *data, size_t len)
{
    return len > 4 && nal_find_start_code(data, 4) < 2;
}

/* May there be start codes within what a length spans?  Publishers that replaced only the first one
 * left others behind parameter sets, SEI and delimiters.  Slices are long, and not searched. */
static bool may_hold_others(enum AVCodecID codec, const struct nal *nal)
{
    if (nal->len < nal_header_len(codec))
        return false;
    unsigned delimiter = codec == AV_CODEC_ID_H264 ? H264_NAL_AUD : HEVC_NAL_AUD;
    enum nal_role role = nal_role(codec, nal->data);
    return role == NAL_PARAMETER_SET || role == NAL_OTHER ||
           nal_type(codec, nal->data) == delimiter;
}

static bool is_sei(enum AVCodecID codec, const struct nal *nal)
{
    unsigned type = nal_type(codec, nal->data);
    return codec == AV_CODEC_ID_H264 ? type == H264_NAL_SEI
                                     : type == HEVC_NAL_SEI_PREFIX || type == HEVC_NAL_SEI_SUFFIX;
}

/* A payload type or size: any number of bytes 255, then a smaller one; their sum counts. */
static size_t read_sei_number(const struct nal *nal, size_t *pos)
{
    size_t sum = 0;
    while (*pos < nal->len && nal->data[*pos] == 0xff) {
        sum += 0xff;
        ++*pos;
    }
    return *pos < nal->len ? sum + nal->data[(*pos)++] : sum;
}

/* Skip bytes, and emulation_prevention_three_byte between them. */
static void skip_payload(const struct nal *nal, size_t *pos, size_t bytes)
{
    unsigned zeros = 0;
    for (; *pos < nal->len && bytes > 0; ++*pos) {
        bool extra = zeros >= 2 && nal->data[*pos] == 3;
        zeros = nal->data[*pos] == 0 ? zeros + 1 : 0;
        bytes -= !extra;
    }
}

/* Where do the payloads of an SEI end (H.264 section 7.3.2.3.1)?  Many publishers write times into
 * them without emulation prevention bytes, so what looks like a start code there is none. */
static size_t sei_payloads_end(enum AVCodecID codec, const struct nal *nal)
{
    size_t pos = nal_header_len(codec);
    while (pos < nal->len && nal->data[pos] != RBSP_TRAILING &&
           nal_find_start_code(nal->data + pos, nal->len - pos < 4 ? nal->len - pos : 4) >= 2) {
        (void)read_sei_number(nal, &pos);
        size_t size = read_sei_number(nal, &pos);
        if (size > nal->len - pos)
            return 0; /* it cannot be read */
        skip_payload(nal, &pos, size);
    }
    return pos;
}

/* Of a NAL unit that may hold others. */
static size_t first_len(enum AVCodecID codec, const struct nal *nal)
{
    size_t from = is_sei(codec, nal) ? sei_payloads_end(codec, nal) : 0;
    return from + nal_find_start_code(nal->data + from, nal->len - from);
}

static void split(const struct nal_message *m, struct nal_message_cursor *cursor, struct nal *nal)
{
    size_t len = may_hold_others(m->codec, nal) ? first_len(m->codec, nal) : nal->len;
    if (len == nal->len)
        return;
    cursor->inner = (struct nal_cursor){.pos = nal->data + len, .end = nal->data + nal->len};
    while (len > 0 && nal->data[len - 1] == 0)
        len--;
    nal->len = len;
}

/* As nal_next_length(). */
static int next(const struct nal_message *m, struct nal_message_cursor *cursor, struct nal *nal)
{
    if (m->length_size == 0)
        return nal_next_annex_b(&cursor->all, nal) ? 1 : 0;
    if (cursor->inner.pos < cursor->inner.end && nal_next_annex_b(&cursor->inner, nal))
        return 1;
    size_t left = (size_t)(cursor->all.end - cursor->all.pos);
    if (left < m->length_size && is_zero(cursor->all.pos, left))
        return 0;
    int rc = nal_next_length(&cursor->all, m->length_size, nal);
    if (rc == 1)
        split(m, cursor, nal);
    return rc;
}

/* As nal_next_length(). */
static int next_payload(const struct nal_message *m, struct nal_message_cursor *cursor,
                        struct nal *nal)
{
    int rc;
    do
        rc = next(m, cursor, nal);
    while (rc == 1 &&
           (nal->len < nal_header_len(m->codec) || nal_role(m->codec, nal->data) == NAL_DISCARD));
    return rc;
}

/* Does a slice begin a picture?  Its header begins with first_mb_in_slice, which is 0 if the first
 * bit is set, or with first_slice_segment_in_pic_flag. */
static bool begins_picture(enum AVCodecID codec, const struct nal *slice)
{
    size_t header = nal_header_len(codec);
    return slice->len > header && (slice->data[header] & 0x80) != 0;
}

/* @param most  pictures to read. */
static void survey(struct nal_message *m, unsigned length_size, const uint8_t *data, size_t len,
                   unsigned most)
{
    struct nal_message_cursor cursor;
    struct nal nal;
    size_t slice_end = 0;
    int rc;
    *m = (struct nal_message){.codec = m->codec, .length_size = length_size, .pictures = 1};
    nal_message_begin(&cursor, data, len);
    while ((rc = next_payload(m, &cursor, &nal)) == 1) {
        if (nal_role(m->codec, nal.data) != NAL_SLICE)
            continue;
        if (m->slices > 0 && begins_picture(m->codec, &nal)) {
            if (m->pictures == most)
                break;
            if (m->pictures++ == 1)
                m->first_len = slice_end;
        }
        slice_end = cursor.inner.pos < cursor.inner.end ? 0 : (size_t)(cursor.all.pos - data);
        if (m->slices++ == 0)
            m->slice = nal;
    }
    m->broken = rc < 0;
    if (rc == 1)
        m->first_len = slice_end;
    else if (m->pictures == 1)
        m->first_len = len;
}

void nal_message_read(struct nal_message *message, enum AVCodecID codec, unsigned length_size,
                      const uint8_t *data, size_t len)
{
    message->codec = codec;
    survey(message, length_size, data, len, UINT_MAX);
    if (!message->broken)
        return;
    if (has_start_code(data, len)) {
        survey(message, 0, data, len, UINT_MAX);
        return;
    }
    struct nal_message announced = *message;
    if (length_size != 4)
        survey(message, 4, data, len, UINT_MAX);
    if (message->broken)
        *message = announced;
}

void nal_message_read_picture(struct nal_message *message, const uint8_t *data, size_t len)
{
    survey(message, message->length_size, data, len, 1);
    if (message->first_len > 0)
        return;
    survey(message, message->length_size, data, len, UINT_MAX); /* it is all one */
    message->first_len = len;
}

void nal_message_begin(struct nal_message_cursor *cursor, const uint8_t *data, size_t len)
{
    *cursor = (struct nal_message_cursor){.all = {.pos = data, .end = data + len}};
}

bool nal_message_next(const struct nal_message *message, struct nal_message_cursor *cursor,
                      struct nal *nal)
{
    return next_payload(message, cursor, nal) == 1;
}
