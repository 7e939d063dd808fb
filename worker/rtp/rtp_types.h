/*
 * Which payload types of an RTP stream (RFC 3550 section 5.1) are the track's media.  Other types
 * may share its channel: retransmissions, error correction, comfort noise.  Worker; plain data.
 */
#ifndef WORKER_RTP_TYPES_H
#define WORKER_RTP_TYPES_H

#include <stdint.h>

struct rtp_types {
    uint8_t chosen;           /* the type that the description announces */
    uint8_t other_codec;      /* H.264 beside HEVC, or HEVC beside H.264; 0: none */
    uint8_t red;              /* wraps packets of other types (RFC 2198); 0: none does */
    uint8_t refused[128 / 8]; /* a bit for each type that the description gives to another codec */
};

#endif /* WORKER_RTP_TYPES_H */
