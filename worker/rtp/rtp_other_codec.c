#include "worker/rtp/rtp_other_codec.h"

#define AGGREGATE_H264 24 /* STAP-A */
#define SIZE_BYTES 2      /* before each unit of an aggregate */
#define LEVEL_MAX 62      /* H.264 table A-1 */

/* A sequence parameter set, of a profile in use (H.264 section 7.3.2.1.1, A.2). */
static bool is_h264_sps(const uint8_t *p, size_t len)
{
    static const uint8_t profiles[] = {66, 77, 88, 100, 110, 122, 244};
    if (len < 4 || (p[0] & 0x9F) != 7 || (p[0] & 0x60) == 0 || p[3] > LEVEL_MAX)
        return false;
    for (size_t i = 0; i < sizeof(profiles); i++)
        if (p[1] == profiles[i])
            return true;
    return false;
}

static bool has_h264_sps(const uint8_t *p, size_t len)
{
    if (len > 1 + SIZE_BYTES && (p[0] & 0x9F) == AGGREGATE_H264)
        return is_h264_sps(p + 1 + SIZE_BYTES, len - 1 - SIZE_BYTES);
    return is_h264_sps(p, len);
}

/* A video parameter set of a stream with one layer (H.265 section 7.3.2.1). */
static bool is_hevc_vps(const uint8_t *p, size_t len)
{
    return len >= 4 && p[0] == 0x40 && p[1] == 1 && (p[2] & 0x0F) == 0x0C && (p[3] & 0xF0) == 0;
}

static bool has_hevc_vps(const uint8_t *p, size_t len)
{
    if (len > 2 + SIZE_BYTES && p[0] == 0x60 && p[1] == 1)
        return is_hevc_vps(p + 2 + SIZE_BYTES, len - 2 - SIZE_BYTES);
    return is_hevc_vps(p, len);
}

bool rtp_is_other_codec(enum AVCodecID announced, const uint8_t *payload, size_t len)
{
    return announced == AV_CODEC_ID_H264   ? has_hevc_vps(payload, len)
           : announced == AV_CODEC_ID_HEVC ? has_h264_sps(payload, len)
                                           : false;
}
