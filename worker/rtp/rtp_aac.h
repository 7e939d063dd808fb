/*
 * Finds the AAC frames in an RTP payload.  Worker; pure.
 *
 * Most cameras use AAC-hbr (RFC 3640 section 3.3.6).  Some announce that but send ADTS frames, some
 * announce nothing: the lengths in a payload must fit exactly and so tell its form.
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
 * Can rtp_aac_read() read payloads of this description?  It reads AAC-hbr with two-byte headers,
 * and payloads whose form is not described.
 */
bool rtp_aac_is_readable(const char *codec, const char *fmtp);

/**
 * Read a payload: AU headers and frames, frames with ADTS headers, or one frame after its LATM
 * length (ISO/IEC 14496-3 table 1.44).
 *
 * @param frames  room for RTP_AAC_FRAMES_MAX.  All frames with ADTS headers count as one.
 * @return the number of frames; 0 unless the payload holds whole frames and nothing else.
 */
size_t rtp_aac_read(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len);

/** Does this MP4A-LATM description lack the configuration that libavformat requires? */
bool rtp_aac_lacks_config(const char *codec, const char *fmtp);

#endif /* WORKER_RTP_AAC_H */
