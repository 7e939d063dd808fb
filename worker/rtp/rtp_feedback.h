/*
 * Writes the RTCP that asks a sender for a key frame.  Worker; pure.
 */
#ifndef WORKER_RTP_FEEDBACK_H
#define WORKER_RTP_FEEDBACK_H

#include <stddef.h>
#include <stdint.h>

#define RTP_FEEDBACK_BYTES 32u

/**
 * Append a Picture Loss Indication (RFC 4585 section 6.3.1) and a Full Intra Request (RFC 5104
 * section 4.3.1) to a receiver report, in the same compound packet and with its sender and source.
 * A sender that knows only one of the two requests ignores the other.
 *
 * @param report  len bytes of receiver report with one report block, and room for
 *                RTP_FEEDBACK_BYTES more.
 * @param number  this request's number, one higher each time.
 * @return bytes including the requests; len if it is not such a report.
 */
size_t rtp_feedback_ask_key_frame(uint8_t *report, size_t len, uint8_t number);

#endif /* WORKER_RTP_FEEDBACK_H */
