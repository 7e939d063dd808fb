#include "worker/viewers/flv.h"

#include "common/bytes.h"

#include <assert.h>
#include <string.h>

/* E.4.1 TagType, E.4.3.1 FrameType and CodecID, E.4.2.1 SoundFormat. */
enum { TAG_AUDIO = 8, TAG_VIDEO = 9, TAG_SCRIPT = 18 };
enum { FRAME_KEY = 1, FRAME_INTER = 2 };
enum { CODEC_AVC = 7, CODEC_HEVC = 12 };
enum { AVC_SEQUENCE_HEADER = 0, AVC_NALU = 1 };
enum { AUDIO_AAC = 10, AAC_SEQUENCE_HEADER = 0, AAC_RAW = 1 };

/* SoundFormat 10, with what the specification requires for AAC: 44 kHz, 16 bit, stereo. */
#define AAC_TAG_HEADER (AUDIO_AAC << 4 | 3 << 2 | 1 << 1 | 1)

/* Enhanced RTMP v1: IsExHeader is the top bit, PacketType the low four. */
#define EX_HEADER 0x80
enum { EX_SEQUENCE_START = 0, EX_CODED_FRAMES = 1 };
#define FOURCC_HVC1 0x68766331u
#define FOURCC_AV01 0x61763031u

#define TAG_HEADER_BYTES 11

static uint8_t *put_tag_header(uint8_t *p, unsigned type, size_t data_size, uint32_t ts_ms)
{
    p = bytes_put8(p, type);
    p = bytes_put24(p, (uint32_t)data_size);
    p = bytes_put24(p, ts_ms);
    p = bytes_put8(p, ts_ms >> 24); /* TimestampExtended */
    return bytes_put24(p, 0);       /* StreamID */
}

bool flv_carries(enum AVCodecID video)
{
    return video == AV_CODEC_ID_H264 || video == AV_CODEC_ID_HEVC || video == AV_CODEC_ID_AV1;
}

void flv_header(uint8_t *out, bool video, bool audio)
{
    static const uint8_t header[FLV_HEADER_BYTES] = {'F', 'L', 'V', 1, 0, 0, 0, 0, 9, 0, 0, 0, 0};
    memcpy(out, header, sizeof(header));
    out[4] = (uint8_t)((audio ? 4 : 0) | (video ? 1 : 0)); /* TypeFlagsAudio, TypeFlagsVideo */
}

/* Properties of an ECMA array, counted as they are written. */
struct amf_array {
    uint8_t *pos;
    uint32_t count;
};

static void amf_key(struct amf_array *a, const char *key)
{
    size_t len = strlen(key);
    a->pos = bytes_put16(a->pos, (unsigned)len);
    memcpy(a->pos, key, len);
    a->pos += len;
    a->count++;
}

static void amf_number(struct amf_array *a, const char *key, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    amf_key(a, key);
    a->pos = bytes_put8(a->pos, 0);
    a->pos = bytes_put64(a->pos, bits);
}

static void amf_boolean(struct amf_array *a, const char *key, bool value)
{
    amf_key(a, key);
    a->pos = bytes_put8(a->pos, 1);
    a->pos = bytes_put8(a->pos, value);
}

static double video_codec_id(const struct codec_config *video, enum flv_dialect dialect)
{
    if (video->codec == AV_CODEC_ID_H264)
        return CODEC_AVC;
    if (video->codec == AV_CODEC_ID_AV1)
        return FOURCC_AV01;
    return dialect == FLV_HEVC_ENHANCED ? FOURCC_HVC1 : CODEC_HEVC;
}

size_t flv_metadata(uint8_t *out, const struct codec_config *video,
                    const struct codec_config *audio, enum flv_dialect dialect)
{
    static const char name[] = "onMetaData";
    uint8_t *p = out + TAG_HEADER_BYTES;
    p = bytes_put8(p, 2); /* string */
    p = bytes_put16(p, sizeof(name) - 1);
    memcpy(p, name, sizeof(name) - 1);
    p += sizeof(name) - 1;
    p = bytes_put8(p, 8); /* ECMA array */
    uint8_t *count = p;

    struct amf_array a = {.pos = p + 4};
    amf_boolean(&a, "hasVideo", video != NULL);
    amf_boolean(&a, "hasAudio", audio != NULL);
    if (video != NULL) {
        amf_number(&a, "width", video->width);
        amf_number(&a, "height", video->height);
        if (video->frame_rate_num > 0 && video->frame_rate_den > 0)
            amf_number(&a, "framerate", (double)video->frame_rate_num / video->frame_rate_den);
        amf_number(&a, "videocodecid", video_codec_id(video, dialect));
    }
    if (audio != NULL) {
        amf_number(&a, "audiocodecid", AUDIO_AAC);
        amf_number(&a, "audiosamplerate", audio->sample_rate);
        amf_number(&a, "audiosamplesize", 16);
        amf_boolean(&a, "stereo", audio->channels > 1);
    }
    bytes_put32(count, a.count);
    p = bytes_put24(a.pos, 9); /* empty key and object end marker */

    size_t tag_size = (size_t)(p - out);
    (void)put_tag_header(out, TAG_SCRIPT, tag_size - TAG_HEADER_BYTES, 0);
    p = bytes_put32(p, (uint32_t)tag_size);
    assert(p <= out + FLV_METADATA_MAX);
    return (size_t)(p - out);
}

static uint8_t *put_ex_header(uint8_t *p, unsigned frame_type, bool sequence_header,
                              uint32_t fourcc)
{
    unsigned packet_type = sequence_header ? EX_SEQUENCE_START : EX_CODED_FRAMES;
    return bytes_put32(bytes_put8(p, EX_HEADER | frame_type | packet_type), fourcc);
}

/* The bytes between tag header and payload.  key matters for video only. */
static uint8_t *put_codec_header(uint8_t *p, enum AVCodecID codec, enum flv_dialect dialect,
                                 bool key, bool sequence_header, int32_t cts_ms)
{
    unsigned frame_type = (unsigned)(key ? FRAME_KEY : FRAME_INTER) << 4;

    switch (codec) {
    case AV_CODEC_ID_AAC:
        p = bytes_put8(p, AAC_TAG_HEADER);
        return bytes_put8(p, sequence_header ? AAC_SEQUENCE_HEADER : AAC_RAW);
    case AV_CODEC_ID_AV1: /* no composition time: it is shown as it comes */
        return put_ex_header(p, frame_type, sequence_header, FOURCC_AV01);
    case AV_CODEC_ID_HEVC:
        if (dialect == FLV_HEVC_ENHANCED) {
            p = put_ex_header(p, frame_type, sequence_header, FOURCC_HVC1);
            return sequence_header ? p : bytes_put24(p, (uint32_t)cts_ms);
        }
        p = bytes_put8(p, frame_type | CODEC_HEVC);
        break;
    default:
        assert(codec == AV_CODEC_ID_H264);
        p = bytes_put8(p, frame_type | CODEC_AVC);
        break;
    }
    p = bytes_put8(p, sequence_header ? AVC_SEQUENCE_HEADER : AVC_NALU);
    return bytes_put24(p, (uint32_t)cts_ms);
}

static unsigned tag_type(const struct codec_config *config)
{
    return config->track == TRACK_AUDIO ? TAG_AUDIO : TAG_VIDEO;
}

size_t flv_config_size(const struct codec_config *config, enum flv_dialect dialect)
{
    uint8_t head[FLV_PREFIX_MAX];
    uint8_t *end = put_codec_header(head, config->codec, dialect, true, true, 0);
    return TAG_HEADER_BYTES + (size_t)(end - head) + config->record_len + FLV_TRAILER_BYTES;
}

size_t flv_config(uint8_t *out, const struct codec_config *config, enum flv_dialect dialect,
                  uint32_t ts_ms)
{
    size_t tag_size = flv_config_size(config, dialect) - FLV_TRAILER_BYTES;
    assert(tag_size - TAG_HEADER_BYTES <= FLV_DATA_MAX); /* records are bounded far below */

    uint8_t *p = put_tag_header(out, tag_type(config), tag_size - TAG_HEADER_BYTES, ts_ms);
    p = put_codec_header(p, config->codec, dialect, true, true, 0);
    memcpy(p, config->record, config->record_len);
    p = bytes_put32(p + config->record_len, (uint32_t)tag_size);
    return (size_t)(p - out);
}

size_t flv_frame_prefix(uint8_t *out, const struct frame *frame, enum flv_dialect dialect,
                        uint32_t ts_ms, int32_t cts_ms)
{
    if (cts_ms > 0x7fffff)
        cts_ms = 0x7fffff;
    if (cts_ms < -0x800000)
        cts_ms = -0x800000;

    uint8_t *end = put_codec_header(out + TAG_HEADER_BYTES, frame->config->codec, dialect,
                                    frame->key, false, cts_ms);
    size_t prefix_len = (size_t)(end - out);
    if (frame->len > FLV_DATA_MAX - (prefix_len - TAG_HEADER_BYTES))
        return 0;
    (void)put_tag_header(out, tag_type(frame->config), prefix_len - TAG_HEADER_BYTES + frame->len,
                         ts_ms);
    return prefix_len;
}

void flv_frame_trailer(uint8_t *out, const struct frame *frame, size_t prefix_len)
{
    bytes_put32(out, (uint32_t)(prefix_len + frame->len));
}
