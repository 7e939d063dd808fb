#include "worker/rtp/rtp_payload.h"

/* ISO/IEC 14496-2 6.2: whatever begins a picture begins with a start code. */
bool rtp_mp4v_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first)
{
    const uint8_t *p = packet->payload;
    bool begins = packet->payload_len >= 4 && p[0] == 0 && p[1] == 0 && p[2] == 1;
    return (begins || !first) && rtp_buffer_append(out, p, packet->payload_len);
}
