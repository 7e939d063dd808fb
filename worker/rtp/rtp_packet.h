/* The header of an RTP packet.  Worker; pure. */
#ifndef WORKER_RTP_PACKET_H
#define WORKER_RTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtp_packet {
    uint8_t payload_type;
    bool marker;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    const uint8_t *payload; /* without extension and padding */
    size_t payload_len;
    const uint8_t *extension; /* the header extension's contents (RFC 3550 section 5.3.1) */
    size_t extension_len;     /* 0: none */
    uint16_t extension_profile;
};

/**
 * Read the header of a packet (RFC 3550 section 5.1, 5.3.1).
 * @return 0, or -EPROTO.
 */
int rtp_parse(struct rtp_packet *packet, const uint8_t *data, size_t len);

/**
 * Is it RTCP, which may come where RTP does (RFC 5761)?  A packet of the payload types 64 to 95
 * with its marker looks like RTCP's types 192 to 223.
 *
 * @param media_type  the payload type of the track's media.
 */
bool rtp_is_rtcp(const uint8_t *data, size_t len, int media_type);

#endif /* WORKER_RTP_PACKET_H */
