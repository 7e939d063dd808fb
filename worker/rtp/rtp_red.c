#include "worker/rtp/rtp_red.h"

#include "common/bytes.h"

#include <errno.h>

#define BLOCK_HEADER_BYTES 4 /* of an older payload; the primary's has one byte */
#define FOLLOWS 0x80         /* another header follows */
#define GUESSED_TYPE 96
#define FIRST_DYNAMIC_TYPE 96 /* all that is wrapped has such a type, error correction too */
#define GUESS_MAX 16u
#define GUESS_SURE 4u
#define HEVC_HEADER_BYTES 2
#define HEVC_TEMPORAL_ID_MAX 7u /* plus 1, as headers have it */
#define LENGTH_BYTES 2
#define DONL_BYTES 2 /* the place in the decoding order: of the first NAL unit, of others */
#define DOND_BYTES 1

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

/* Is it an aggregate of HEVC, whose NAL units fill it (RFC 7798 section 4.4.2)?  Their layer is 0,
 * their temporal IDs are not below its own.
 * @param numbered  each has its place in the decoding order before its length. */
static bool is_aggregate(const struct rtp_packet *packet, bool numbered)
{
    const uint8_t *p = packet->payload + HEVC_HEADER_BYTES;
    const uint8_t *end = packet->payload + packet->payload_len;
    unsigned temporal_id = packet->payload[1];
    unsigned units = 0;
    for (; p < end; units++) {
        ptrdiff_t before = LENGTH_BYTES + (!numbered ? 0 : units == 0 ? DONL_BYTES : DOND_BYTES);
        if (end - p < before + HEVC_HEADER_BYTES)
            return false;
        p += before;
        size_t len = bytes_get16(p - LENGTH_BYTES);
        if (len < HEVC_HEADER_BYTES || len > (size_t)(end - p) || (p[0] & 0x81) != 0 ||
            p[1] < temporal_id || p[1] > HEVC_TEMPORAL_ID_MAX)
            return false;
        p += len;
    }
    return units > 1;
}

/* An aggregate of HEVC begins with the same byte.  Its layer is 0 and its temporal ID, plus 1,
 * mostly 1.  A wrapped packet's second byte is the first of a NAL unit's header: it is even. */
static bool is_hevc_aggregate(const struct rtp_packet *packet)
{
    unsigned second = packet->payload[1];
    if ((packet->payload[0] & FOLLOWS) != 0)
        return false;
    if ((second & 1) != 0)
        return true;
    return second != 0 && second <= HEVC_TEMPORAL_ID_MAX &&
           (is_aggregate(packet, false) || is_aggregate(packet, true));
}

/* H.264 has NAL units of type 0, too, for private data.  Can this be one, because what follows is
 * no packet of a type that matters: single units 1 to 9, STAP-A, FU-A (RFC 6184 section 5.2)? */
static bool is_h264_private(const struct rtp_packet *packet)
{
    unsigned type = packet->payload[1] & 0x1fu;
    bool usual = (type >= 1 && type <= 9) || type == 24 || type == 28;
    return (packet->payload[0] & FOLLOWS) == 0 && (!usual || (packet->payload[1] & 0x80) != 0);
}

static bool is_wrapped(enum AVCodecID codec, const struct rtp_packet *packet)
{
    if (packet->payload_len < 2 || (packet->payload[0] & ~FOLLOWS) != GUESSED_TYPE)
        return false;
    return codec == AV_CODEC_ID_H264 ? !is_h264_private(packet) : !is_hevc_aggregate(packet);
}

bool rtp_red_guess(struct rtp_red_guess *guess, enum AVCodecID codec, struct rtp_packet *packet)
{
    if (packet->payload_len > 0 && (packet->payload[0] & ~FOLLOWS) < FIRST_DYNAMIC_TYPE)
        guess->plain = true;
    if (guess->plain)
        return true;
    if (is_wrapped(codec, packet)) {
        guess->wrapped = guess->wrapped + 2 < GUESS_MAX ? guess->wrapped + 2 : GUESS_MAX;
        return rtp_red_unwrap(packet) == 0;
    }
    bool sure = guess->wrapped >= GUESS_SURE;
    guess->wrapped -= guess->wrapped > 0;
    return !sure || packet->payload_len == 0;
}
