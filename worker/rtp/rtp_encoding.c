#include "worker/rtp/rtp_encoding.h"

#include <stddef.h>
#include <strings.h>

static const struct rtp_encoding encodings[] = {
    {"JPEG", RTP_FORMAT_JPEG, AV_CODEC_ID_MJPEG},
    {"MP4V-ES", RTP_FORMAT_MP4V, AV_CODEC_ID_MPEG4},
    {"H263", RTP_FORMAT_H263, AV_CODEC_ID_H263},
    {"H263-1998", RTP_FORMAT_H263P, AV_CODEC_ID_H263},
    {"H263-2000", RTP_FORMAT_H263P, AV_CODEC_ID_H263},
    {"VP8", RTP_FORMAT_VP8, AV_CODEC_ID_VP8},
    {"VP9", RTP_FORMAT_VP9, AV_CODEC_ID_VP9},
    {"AV1", RTP_FORMAT_AV1, AV_CODEC_ID_AV1},
};

const struct rtp_encoding *rtp_encoding_find(const char *name)
{
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
        if (strcasecmp(encodings[i].name, name) == 0)
            return &encodings[i];
    return NULL;
}
