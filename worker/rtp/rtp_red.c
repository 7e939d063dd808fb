#include "worker/rtp/rtp_red.h"

#include "common/bytes.h"

#include <errno.h>

#define BLOCK_HEADER_BYTES 4 /* of an older payload; the primary's has one byte */
#define FOLLOWS 0x80         /* another header follows */
#define GUESSED_TYPE 96
#define GUESS_MAX 16u
#define GUESS_SURE 4u

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

/* The second byte of a wrapped HEVC packet is the first of a NAL unit's header, so it is even: the
 * layer is 0.  That of an aggregate ends with the temporal ID plus 1, mostly 1. */
static bool is_wrapped(enum AVCodecID codec, const struct rtp_packet *packet)
{
    if (packet->payload_len < 2 || (packet->payload[0] & ~FOLLOWS) != GUESSED_TYPE)
        return false;
    return codec == AV_CODEC_ID_H264 || (packet->payload[0] & FOLLOWS) != 0 ||
           (packet->payload[1] & 1) == 0;
}

bool rtp_red_guess(struct rtp_red_guess *guess, enum AVCodecID codec, struct rtp_packet *packet)
{
    if (is_wrapped(codec, packet)) {
        guess->wrapped = guess->wrapped + 2 < GUESS_MAX ? guess->wrapped + 2 : GUESS_MAX;
        return rtp_red_unwrap(packet) == 0;
    }
    bool sure = guess->wrapped >= GUESS_SURE;
    guess->wrapped -= guess->wrapped > 0;
    return !sure || packet->payload_len == 0;
}
