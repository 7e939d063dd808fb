#include "worker/media/video_codec.h"

#include "common/bytes.h"

#include <stddef.h>

static const struct video_codec {
    enum AVCodecID codec;
    const char *name;
    const char *fourcc;
} codecs[] = {
    {AV_CODEC_ID_H264, "H.264", "avc1"},  {AV_CODEC_ID_HEVC, "H.265", "hvc1"},
    {AV_CODEC_ID_MJPEG, "MJPEG", "mjpg"}, {AV_CODEC_ID_MPEG4, "MPEG-4", "mp4v"},
    {AV_CODEC_ID_H263, "H.263", "h263"},  {AV_CODEC_ID_FLV1, "Sorenson H.263", "FLV1"},
    {AV_CODEC_ID_VP8, "VP8", "vp08"},     {AV_CODEC_ID_VP9, "VP9", "vp09"},
    {AV_CODEC_ID_AV1, "AV1", "av01"},
};

static const struct video_codec *find(enum AVCodecID codec)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (codecs[i].codec == codec)
            return &codecs[i];
    return NULL;
}

const char *video_codec_name(enum AVCodecID codec)
{
    const struct video_codec *c = find(codec);
    return c != NULL ? c->name : "other";
}

uint32_t video_codec_fourcc(enum AVCodecID codec)
{
    const struct video_codec *c = find(codec);
    return c != NULL ? bytes_get32((const uint8_t *)c->fourcc) : 0;
}
