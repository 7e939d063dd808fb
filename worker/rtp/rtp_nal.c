#include "worker/rtp/rtp_nal.h"

#include <stdlib.h>
#include <string.h>

#define H264_SINGLE_MAX 23 /* last type of a single NAL unit: RFC 6184 table 1 */
#define HEVC_SINGLE_MAX 47 /* RFC 7798 section 4.2 */
#define H264_SLICE 1       /* H.264 table 7-1 */
#define H264_IDR_SLICE 5
#define HEVC_SLICE_MAX 31 /* H.265 table 7-1 */
#define START_CODE_BYTES 4
#define DONL_BYTES 2

static bool has_positive(const char *fmtp, const char *parameter)
{
    const char *found = strstr(fmtp, parameter);
    return found != NULL && strtol(found + strlen(parameter), NULL, 10) > 0;
}

struct rtp_nal_format rtp_nal_format(enum AVCodecID codec, const char *fmtp)
{
    return (struct rtp_nal_format){
        .codec = codec,
        .donl = codec == AV_CODEC_ID_HEVC && (has_positive(fmtp, "sprop-max-don-diff=") ||
                                              has_positive(fmtp, "sprop-depack-buf-nalus=")),
    };
}

bool rtp_nal_read(struct rtp_nal_part *part, const struct rtp_nal_format *format, enum fu_kind kind,
                  const uint8_t *payload, size_t len)
{
    static const uint8_t start_code[START_CODE_BYTES] = {0, 0, 0, 1};
    bool hevc = format->codec == AV_CODEC_ID_HEVC;
    size_t skip = hevc ? 2 : 1; /* the NAL unit's header, or the payload's */
    if (len < skip)
        return false;
    if (hevc && ((payload[0] & 1) != 0 || payload[1] >> 3 != 0))
        return false; /* another layer */

    memcpy(part->head, start_code, sizeof(start_code));
    part->head_len = sizeof(start_code) + skip;
    uint8_t *header = part->head + sizeof(start_code);
    memcpy(header, payload, skip);
    if (kind == FU_NONE) {
        unsigned type = hevc ? payload[0] >> 1 & 0x3F : payload[0] & 0x1F;
        if (type > (hevc ? HEVC_SINGLE_MAX : H264_SINGLE_MAX))
            return false;
    } else {
        uint8_t fu = payload[skip++]; /* it exists: fu_repair_next() has read it */
        unsigned first =
            hevc ? (payload[0] & 0x81u) | (fu & 0x3Fu) << 1 : (payload[0] & 0xE0u) | (fu & 0x1Fu);
        header[0] = (uint8_t)first;
    }
    if (format->donl && kind != FU_CONTINUE)
        skip += DONL_BYTES;
    if (len < skip)
        return false;
    part->data = payload + skip;
    part->len = len - skip;
    return true;
}

bool rtp_nal_begins_picture(const struct rtp_nal_part *part, enum AVCodecID codec)
{
    uint8_t header = part->head[START_CODE_BYTES];
    unsigned type = codec == AV_CODEC_ID_HEVC ? header >> 1 & 0x3F : header & 0x1F;
    bool slice = codec == AV_CODEC_ID_HEVC ? type <= HEVC_SLICE_MAX
                                           : type == H264_SLICE || type == H264_IDR_SLICE;
    return slice && part->len > 0 && (part->data[0] & 0x80) != 0;
}
