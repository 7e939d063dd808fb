/* Encoding names (SDP rtpmap) of video codecs without NAL units.  Worker; pure. */
#ifndef WORKER_RTP_ENCODING_H
#define WORKER_RTP_ENCODING_H

#include <libavcodec/codec_id.h>

/* How pictures are put into packets: rtp_payload.h. */
enum rtp_picture_format {
    RTP_FORMAT_JPEG,
    RTP_FORMAT_MP4V,
    RTP_FORMAT_H263,
    RTP_FORMAT_H263P,
    RTP_FORMAT_VP8,
    RTP_FORMAT_VP9,
    RTP_FORMAT_AV1
};

struct rtp_encoding {
    const char *name;
    enum rtp_picture_format format;
    enum AVCodecID codec;
};

/** @return NULL if the name is of no such codec. */
const struct rtp_encoding *rtp_encoding_find(const char *name);

#endif /* WORKER_RTP_ENCODING_H */
