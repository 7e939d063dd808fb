/* AOM, RTP Payload Format For AV1 v1.0, section 4; AV1 Bitstream & Decoding Process Specification
 * section 5.3. */
#include "common/bytes.h"
#include "worker/rtp/rtp_payload.h"

#define HEAD_MAX 10 /* OBU header, extension, size */

enum { OBU_TEMPORAL_DELIMITER = 2, OBU_TILE_LIST = 8 };
enum { OBU_HAS_EXTENSION = 4, OBU_HAS_SIZE = 2 };

static size_t put_leb128(uint8_t *p, size_t value)
{
    size_t n = 0;
    do {
        p[n] = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
        n++;
    } while (value > 0);
    return n;
}

/* Append a whole OBU, with its size. */
static bool append_obu(struct rtp_buffer *out, const uint8_t *p, size_t len)
{
    uint8_t head[HEAD_MAX];
    size_t head_len = 1;
    uint32_t size;
    if (len == 0 || (p[0] & 0x80) != 0)
        return false;
    unsigned type = p[0] >> 3 & 0xF;
    if (type == OBU_TEMPORAL_DELIMITER || type == OBU_TILE_LIST)
        return true;
    head[0] = p[0] | OBU_HAS_SIZE;
    if ((p[0] & OBU_HAS_EXTENSION) != 0) {
        if (len < 2)
            return false;
        head[head_len++] = p[1];
    }
    size_t start = head_len;
    if ((p[0] & OBU_HAS_SIZE) != 0) {
        size_t n = bytes_get_leb128(p + start, len - start, &size);
        if (n == 0 || size > len - start - n)
            return false;
        start += n;
    } else {
        size = (uint32_t)(len - start);
    }
    head_len += put_leb128(head + head_len, size);
    return rtp_buffer_append(out, head, head_len) && rtp_buffer_append(out, p + start, size);
}

/* One OBU element: an OBU, or a part of one. */
static bool add_element(struct rtp_av1 *av1, struct rtp_buffer *out, const uint8_t *p, size_t len,
                        bool continues)
{
    if (!continues && av1->obu.len == 0)
        return append_obu(out, p, len);
    if (!rtp_buffer_append(&av1->obu, p, len))
        return false;
    if (continues)
        return true;
    bool done = append_obu(out, av1->obu.data, av1->obu.len);
    av1->obu.len = 0;
    return done;
}

/* The aggregation header: Z (the first element continues an OBU), Y (the last element is
 * continued), W (elements; 0: each has its length, else the last has none). */
bool rtp_av1_add(struct rtp_av1 *av1, struct rtp_buffer *out, const struct rtp_packet *packet,
                 bool first)
{
    const uint8_t *p = packet->payload;
    size_t left = packet->payload_len;
    if (left < 2)
        return false;
    unsigned head = *p++;
    unsigned count = head >> 4 & 3;
    left--;
    if (first)
        av1->obu.len = 0;
    if (((head & 0x80) != 0) != (av1->obu.len > 0))
        return false;
    for (unsigned i = 1; left > 0; i++) {
        size_t len = left;
        if (i != count) {
            uint32_t told;
            size_t n = bytes_get_leb128(p, left, &told);
            if (n == 0 || told > left - n)
                return false;
            p += n;
            left -= n;
            len = told;
        }
        bool continues = len == left && (head & 0x40) != 0;
        if (len > 0 && !add_element(av1, out, p, len, continues))
            return false;
        p += len;
        left -= len;
    }
    return true;
}

bool rtp_av1_finish(struct rtp_av1 *av1)
{
    return av1->obu.len == 0;
}
