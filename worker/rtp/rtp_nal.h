/*
 * Reads RTP payloads of H.264 (RFC 6184 section 5) and HEVC (RFC 7798 section 4.4) that hold one
 * NAL unit or a fragment of one, as most packets do.  Worker; pure.
 */
#ifndef WORKER_RTP_NAL_H
#define WORKER_RTP_NAL_H

#include "worker/rtp/fu_repair.h"

struct rtp_nal_format {
    enum AVCodecID codec; /* AV_CODEC_ID_H264 or AV_CODEC_ID_HEVC */
    bool donl;            /* HEVC: payloads contain decoding order numbers */
};

struct rtp_nal_part {
    uint8_t
        head[6]; /* start code and NAL unit header, to put before data unless the unit continues */
    size_t head_len;
    const uint8_t *data; /* Borrowed from the payload */
    size_t len;
};

/** @param fmtp  format parameters from the description. */
struct rtp_nal_format rtp_nal_format(enum AVCodecID codec, const char *fmtp);

/**
 * Take a payload apart.
 *
 * @param kind  what fu_repair_next() made of the payload.
 * @return false unless the payload holds exactly one NAL unit, or fragment, of the base layer:
 *         for aggregates, reserved types and broken payloads.
 */
bool rtp_nal_read(struct rtp_nal_part *part, const struct rtp_nal_format *format, enum fu_kind kind,
                  const uint8_t *payload, size_t len);

/** Does a picture begin with this part, by the first bit of its slice header? */
bool rtp_nal_begins_picture(const struct rtp_nal_part *part, enum AVCodecID codec);

#endif /* WORKER_RTP_NAL_H */
