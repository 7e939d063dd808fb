/*
 * RTCP that asks a sender for a key frame.  Worker; pure.
 */
#ifndef WORKER_RTP_FEEDBACK_H
#define WORKER_RTP_FEEDBACK_H

#include <stddef.h>
#include <stdint.h>

#define RTP_FEEDBACK_BYTES 32u

/**
 * Picture Loss Indication (RFC 4585 section 6.3.1) and Full Intra Request (RFC 5104 section 4.3.1):
 * senders that know only one of them ignore the other.  Goes after a receiver report, in the same
 * compound packet, whose sender and source it names.
 *
 * @param report  len bytes of receiver report, with one report block; room for RTP_FEEDBACK_BYTES
 *                more.
 * @param number  of this request, one more each time.
 * @return bytes with the requests; len if the report is none.
 */
size_t rtp_feedback_ask_key_frame(uint8_t *report, size_t len, uint8_t number);

#endif /* WORKER_RTP_FEEDBACK_H */
