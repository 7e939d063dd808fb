/*
 * RTP payloads of AAC: which frames are in one.  Worker; pure.
 *
 * Most cameras use AAC-hbr (RFC 3640 section 3.3.6).  Some describe that and send ADTS frames, some
 * describe nothing: what a payload is shows by its lengths, which have to fit exactly.
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

/**
 * Can rtp_aac_read() read payloads of this description?  It can those of AAC-hbr with headers of
 * two bytes, and those whose form is not described.
 */
bool rtp_aac_is_readable(const char *codec, const char *fmtp);

/**
 * Payloads of AU headers and frames, of frames with ADTS headers, or of one frame after its length
 * as LATM has it (ISO/IEC 14496-3 table 1.44).
 *
 * @param frames  RTP_AAC_FRAMES_MAX of them.  Frames with ADTS headers count as one.
 * @return how many; 0 when the payload does not hold whole frames and nothing else.
 */
size_t rtp_aac_read(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len);

/** Does the description of MP4A-LATM lack the configuration that libavformat insists on? */
bool rtp_aac_lacks_config(const char *codec, const char *fmtp);

#endif /* WORKER_RTP_AAC_H */
