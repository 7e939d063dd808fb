/*
 * Payload formats of pictures without NAL units: what each reads out of one RTP payload.  Worker;
 * pure.  rtp_picture.c calls them.
 *
 * Each rtp_FORMAT_add() appends one payload to the picture in progress.  first: it is the picture's
 * first payload.  Returns false if the picture cannot be put together any more: the payload is
 * unreadable, does not continue the one before, or is the first but no beginning.
 */
#ifndef WORKER_RTP_PAYLOAD_H
#define WORKER_RTP_PAYLOAD_H

#include "worker/rtp/rtp_buffer.h"
#include "worker/rtp/rtp_receive.h"

#define RTP_JPEG_TABLES_MAX 256 /* bytes: two 16-bit tables */

/* JPEG (RFC 2435), and ONVIF's header extension for pictures above 2040 pixels (ONVIF Streaming
 * Specification section 5.1.3). */
struct rtp_jpeg {
    /* Of the description (x-dimensions, a=framesize); 0: not known. */
    unsigned width;
    unsigned height;
    /* Tables that came in band with a Q of 128 to 254: a later picture may refer to them. */
    struct {
        uint8_t data[RTP_JPEG_TABLES_MAX];
        uint16_t len;
        uint8_t precision;
    } tables[127];
    uint8_t scan_type; /* of the picture in progress */
    size_t head_len;   /* its headers that did not come in the payload */
};
bool rtp_jpeg_add(struct rtp_jpeg *jpeg, struct rtp_buffer *out, const struct rtp_packet *packet,
                  bool first);
/** The picture is complete: end it as a JPEG ends. */
bool rtp_jpeg_finish(struct rtp_buffer *out);

/** Where the next picture begins in pieces of an MPEG-4 stream; len: there is only one picture.
 * Senders may put several small pictures into one packet (RFC 6416 section 5.2). */
size_t rtp_mp4v_next(const uint8_t *data, size_t len);

/* MPEG-4 Part 2 (RFC 6416): pieces of the stream as they are. */
bool rtp_mp4v_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first);

/* H.263-1998 and H.263-2000 (RFC 4629). */
bool rtp_h263p_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first);

/* H.263 (RFC 2190). */
struct rtp_h263 {
    unsigned end_bits; /* bits of the last byte that the next payload continues */
};
bool rtp_h263_add(struct rtp_h263 *h263, struct rtp_buffer *out, const struct rtp_packet *packet,
                  bool first);

/* VP8 (RFC 7741) and VP9 (RFC 9628). */
bool rtp_vp8_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first);
bool rtp_vp9_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first);

/* AV1 (AOM, RTP Payload Format For AV1 v1.0): OBUs with sizes, without temporal delimiters. */
struct rtp_av1 {
    struct rtp_buffer obu; /* begun by earlier payloads, to be continued */
};
bool rtp_av1_add(struct rtp_av1 *av1, struct rtp_buffer *out, const struct rtp_packet *packet,
                 bool first);
/** @return false if an OBU lacks its end. */
bool rtp_av1_finish(struct rtp_av1 *av1);

#endif /* WORKER_RTP_PAYLOAD_H */
