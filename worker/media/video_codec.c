#include "worker/media/video_codec.h"

#include "common/bytes.h"
#include "common/codec_name.h"

#include <stddef.h>

static const struct {
    enum AVCodecID codec;
    const char fourcc[5];
} codecs[] = {
    {AV_CODEC_ID_H264, "avc1"},    {AV_CODEC_ID_HEVC, "hvc1"},     {AV_CODEC_ID_MJPEG, "mjpg"},
    {AV_CODEC_ID_MPEG4, "mp4v"},   {AV_CODEC_ID_H263, "h263"},     {AV_CODEC_ID_FLV1, "FLV1"},
    {AV_CODEC_ID_FLASHSV, "FSV1"}, {AV_CODEC_ID_FLASHSV2, "FSV2"}, {AV_CODEC_ID_VP6F, "VP6F"},
    {AV_CODEC_ID_VP6A, "VP6A"},    {AV_CODEC_ID_VP8, "vp08"},      {AV_CODEC_ID_VP9, "vp09"},
    {AV_CODEC_ID_AV1, "av01"},
};

uint32_t video_codec_fourcc(enum AVCodecID codec)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (codecs[i].codec == codec)
            return bytes_get32((const uint8_t *)codecs[i].fourcc);
    return 0;
}

const char *video_codec_name(enum AVCodecID codec)
{
    const char *name = codec_name(video_codec_fourcc(codec));
    return name != NULL ? name : "other";
}
