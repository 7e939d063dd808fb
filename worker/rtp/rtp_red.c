#include "worker/rtp/rtp_red.h"

#include "common/bytes.h"

#include <errno.h>

#define BLOCK_HEADER_BYTES 4 /* of an older payload; the primary's has one byte */
#define FOLLOWS 0x80         /* another header follows */

int rtp_red_unwrap(struct rtp_packet *packet)
{
    const uint8_t *p = packet->payload;
    size_t left = packet->payload_len;
    size_t older = 0; /* bytes of older payloads */
    while (left > BLOCK_HEADER_BYTES && (*p & FOLLOWS) != 0) {
        older += bytes_get16(p + 2) & 0x3FF;
        p += BLOCK_HEADER_BYTES;
        left -= BLOCK_HEADER_BYTES;
    }
    if (left < 1 + older || (*p & FOLLOWS) != 0)
        return -EPROTO;
    packet->payload_type = *p;
    packet->payload = p + 1 + older;
    packet->payload_len = left - 1 - older;
    return 0;
}
