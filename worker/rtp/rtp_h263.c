#include "worker/rtp/rtp_payload.h"

/* The byte after 16 zero bits that makes them a picture start code (ITU-T H.263 5.1.1). */
static bool is_picture_start(uint8_t byte)
{
    return (byte & 0xFC) == 0x80;
}

/* RFC 4629 section 5.1.  P: the payload lacks the two zero bytes of its start code.  V: a byte for
 * video redundancy coding follows.  PLEN: bytes of a repeated picture header. */
bool rtp_h263p_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first)
{
    static const uint8_t zeros[2] = {0, 0};
    const uint8_t *p = packet->payload;
    if (packet->payload_len < 2)
        return false;
    bool start_code = (p[0] & 0x04) != 0;
    size_t head = 2u + ((p[0] & 0x02) != 0) + ((p[0] & 0x01u) << 5 | p[1] >> 3);
    if (head >= packet->payload_len || (first && !(start_code && is_picture_start(p[head]))))
        return false;
    return (!start_code || rtp_buffer_append(out, zeros, sizeof(zeros))) &&
           rtp_buffer_append(out, p + head, packet->payload_len - head);
}

/* Section 5.1 to 5.3: F and P tell modes A, B and C apart. */
static size_t header_bytes(uint8_t byte)
{
    if ((byte & 0x80) == 0)
        return 4;
    return (byte & 0x40) == 0 ? 8 : 12;
}

/* RFC 2190.  SBIT, EBIT: bits to ignore at the start and at the end: a byte may be split. */
bool rtp_h263_add(struct rtp_h263 *h263, struct rtp_buffer *out, const struct rtp_packet *packet,
                  bool first)
{
    const uint8_t *p = packet->payload;
    size_t len = packet->payload_len;
    size_t head = len > 0 ? header_bytes(p[0]) : 0;
    if (head >= len)
        return false;
    unsigned start_bits = p[0] >> 3 & 7;
    unsigned end_bits = p[0] & 7;
    p += head;
    len -= head;
    if (first) {
        h263->end_bits = 0;
        if (start_bits != 0 || len < 3 || p[0] != 0 || p[1] != 0 || !is_picture_start(p[2]))
            return false;
    }
    if ((start_bits + h263->end_bits) % 8 != 0)
        return false;
    if (start_bits != 0) {
        uint8_t *last = &out->data[out->len - 1];
        *last = (uint8_t)((*last & 0xFFu << h263->end_bits) | (p[0] & 0xFFu >> start_bits));
        p++;
        len--;
    }
    h263->end_bits = end_bits;
    return rtp_buffer_append(out, p, len);
}
