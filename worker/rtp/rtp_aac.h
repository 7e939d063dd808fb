/*
 * RTP payloads of AAC in its usual mode (RFC 3640 section 3.3.6, AAC-hbr): which frames are in one.
 * Worker; pure.
 */
#ifndef WORKER_RTP_AAC_H
#define WORKER_RTP_AAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_AAC_FRAMES_MAX 16

struct rtp_aac_frame {
    const uint8_t *data; /* Borrowed from the payload */
    size_t len;
};

/** Are payloads of these format parameters of that mode, with headers of two bytes? */
bool rtp_aac_is_usual(const char *codec, const char *fmtp);

/**
 * @param frames  RTP_AAC_FRAMES_MAX of them.
 * @return how many; 0 when the payload does not hold whole frames and nothing else.
 */
size_t rtp_aac_read(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len);

#endif /* WORKER_RTP_AAC_H */
