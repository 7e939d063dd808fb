#include "worker/rtp/rtp_packet.h"

#include "common/bytes.h"

#include <errno.h>

#define RTP_HEADER_BYTES 12
#define RTCP_HEADER_BYTES 4

int rtp_parse(struct rtp_packet *packet, const uint8_t *data, size_t len)
{
    if (len < RTP_HEADER_BYTES || (data[0] & 0xC0) != 0x80)
        return -EPROTO;
    size_t start = RTP_HEADER_BYTES + (size_t)(data[0] & 0x0F) * 4;
    size_t end = len;
    packet->extension_len = 0;
    packet->extension_profile = 0;
    if ((data[0] & 0x10) != 0) {
        if (start + 4 > len)
            return -EPROTO;
        packet->extension_profile = bytes_get16(data + start);
        packet->extension_len = (size_t)bytes_get16(data + start + 2) * 4;
        start += 4 + packet->extension_len;
    }
    if (start > end)
        return -EPROTO;
    packet->extension = data + start - packet->extension_len;
    if ((data[0] & 0x20) != 0 && end > start) {
        size_t padding = data[len - 1];
        if (padding <= end - start) /* else the padding bit is wrong */
            end -= padding;
    }
    packet->payload_type = data[1] & 0x7F;
    packet->marker = (data[1] & 0x80) != 0;
    packet->sequence = bytes_get16(data + 2);
    packet->timestamp = bytes_get32(data + 4);
    packet->ssrc = bytes_get32(data + 8);
    packet->payload = data + start;
    packet->payload_len = end - start;
    return 0;
}

/* Do the lengths of a compound packet (RFC 3550 section 6.1) add up? */
static bool is_compound(const uint8_t *data, size_t len)
{
    while (len >= RTCP_HEADER_BYTES && (data[0] & 0xC0) == 0x80) {
        size_t size = ((size_t)bytes_get16(data + 2) + 1) * 4;
        if (size >= len)
            return size == len;
        data += size;
        len -= size;
    }
    return false;
}

bool rtp_is_rtcp(const uint8_t *data, size_t len, int media_type)
{
    if (len < RTCP_HEADER_BYTES || data[1] < 192 || data[1] > 223)
        return false;
    bool report = data[1] >= 200 && data[1] <= 207; /* the types in use */
    return (report && (data[1] & 0x7F) != media_type) || is_compound(data, len);
}
