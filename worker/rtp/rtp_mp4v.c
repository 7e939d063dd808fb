#include "worker/rtp/rtp_payload.h"

/* ISO/IEC 14496-2 6.2: whatever begins a picture begins with a start code. */
bool rtp_mp4v_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first)
{
    const uint8_t *p = packet->payload;
    bool begins = packet->payload_len >= 4 && p[0] == 0 && p[1] == 0 && p[2] == 1;
    return (begins || !first) && rtp_buffer_append(out, p, packet->payload_len);
}

#define VOP 0xB6

/* The next start code (00 00 01) from `at` on; len: none. */
static size_t next_start_code(const uint8_t *data, size_t len, size_t at)
{
    for (; at + 4 <= len; at++)
        if (data[at] == 0 && data[at + 1] == 0 && data[at + 2] == 1)
            return at;
    return len;
}

/* The next start code of a picture (VOP) from `at` on; len: none. */
static size_t next_vop(const uint8_t *data, size_t len, size_t at)
{
    at = next_start_code(data, len, at);
    while (at < len && data[at + 3] != VOP)
        at = next_start_code(data, len, at + 4);
    return at;
}

size_t rtp_mp4v_next(const uint8_t *data, size_t len)
{
    size_t vop = next_vop(data, len, 0);
    size_t end = vop < len ? next_start_code(data, len, vop + 4) : len;
    return next_vop(data, len, end) < len ? end : len;
}
