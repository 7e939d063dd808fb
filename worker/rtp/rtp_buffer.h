/* Bytes that grow up to a bound, zero-padded for libavcodec.  Worker; pure. */
#ifndef WORKER_RTP_BUFFER_H
#define WORKER_RTP_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty. */
struct rtp_buffer {
    uint8_t *data; /* Caller owns; rtp_buffer_free() */
    size_t len;
    size_t room;
};

/** Append; AV_INPUT_BUFFER_PADDING_SIZE zero bytes follow the contents.
 * @return false: no memory, or more than FRAME_MAX_BYTES; the contents are unchanged. */
bool rtp_buffer_append(struct rtp_buffer *buffer, const void *data, size_t len);

/** Release the memory; the buffer is empty then. */
void rtp_buffer_free(struct rtp_buffer *buffer);

#endif /* WORKER_RTP_BUFFER_H */
