#include "worker/rtp/rtp_packet.h"

#include "common/bytes.h"

#include <errno.h>

#define RTP_HEADER_BYTES 12

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
