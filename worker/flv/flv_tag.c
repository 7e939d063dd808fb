#include "worker/flv/flv_tag.h"

#include "common/bytes.h"
#include "worker/video/nal.h"

#include <errno.h>

/* E.4.3.1, E.4.2.1; Enhanced RTMP v1. */
enum { FRAME_KEY = 1, FRAME_COMMAND = 5 };
enum { VIDEO_AVC = 7, VIDEO_HEVC = 12 };
enum { AVC_SEQUENCE_HEADER = 0, AVC_NALU = 1 };
enum { SOUND_MP3 = 2, SOUND_G711_A = 7, SOUND_G711_MU = 8, SOUND_AAC = 10, SOUND_MP3_8K = 14 };
enum { EX_SEQUENCE_START = 0, EX_CODED_FRAMES = 1, EX_SEQUENCE_END = 2, EX_CODED_FRAMES_X = 3 };
#define FOURCC_HVC1 0x68766331u
#define FOURCC_AVC1 0x61766331u

bool flv_tag_read_header(const uint8_t *p, struct flv_tag *tag)
{
    tag->type = p[0]; /* with the Filter bit, which is 0 where the body is not encrypted */
    tag->len = bytes_get24(p + 1);
    tag->ts_ms = (uint32_t)p[7] << 24 | bytes_get24(p + 4);
    tag->data = p + FLV_TAG_HEADER_BYTES;
    return (p[0] == FLV_TAG_AUDIO || p[0] == FLV_TAG_VIDEO || p[0] == FLV_TAG_SCRIPT) &&
           bytes_get24(p + 8) == 0; /* StreamID */
}

static int32_t get_s24(const uint8_t *p)
{
    return (int32_t)(bytes_get24(p) ^ 0x800000u) - 0x800000;
}

/* Enhanced RTMP v1, ExVideoTagHeader.  Returns -ENOTSUP for codecs that are not ours. */
static int read_ex_video(const struct flv_tag *tag, struct flv_unit *unit)
{
    unsigned packet_type = tag->data[0] & 0xf;
    size_t head = packet_type == EX_CODED_FRAMES ? 8 : 5;
    if (tag->len < head || packet_type > EX_CODED_FRAMES_X)
        return 0; /* metadata and what later versions add */
    uint32_t fourcc = bytes_get32(tag->data + 1);
    if (fourcc != FOURCC_HVC1 && fourcc != FOURCC_AVC1)
        return -ENOTSUP;
    if (packet_type == EX_SEQUENCE_END)
        return 0;
    unit->codec = fourcc == FOURCC_HVC1 ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264;
    unit->config = packet_type == EX_SEQUENCE_START;
    unit->cts_ms = packet_type == EX_CODED_FRAMES ? get_s24(tag->data + 5) : 0;
    unit->data = tag->data + head;
    unit->len = tag->len - head;
    return 0;
}

/* E.4.3.1 VideoTagHeader. */
static int read_video(const struct flv_tag *tag, struct flv_unit *unit)
{
    if (tag->len == 0)
        return 0;
    unsigned frame_type = tag->data[0] >> 4 & 7;
    unit->key = frame_type == FRAME_KEY;
    if (frame_type == FRAME_COMMAND)
        return 0;
    if ((tag->data[0] & 0x80) != 0)
        return read_ex_video(tag, unit);

    unsigned codec_id = tag->data[0] & 0xf;
    if (codec_id != VIDEO_AVC && codec_id != VIDEO_HEVC)
        return -ENOTSUP;
    if (tag->len < 5 || tag->data[1] > AVC_NALU)
        return 0; /* AVCPacketType 2: end of sequence */
    unit->codec = codec_id == VIDEO_AVC ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC;
    unit->config = tag->data[1] == AVC_SEQUENCE_HEADER;
    unit->cts_ms = get_s24(tag->data + 2);
    unit->data = tag->data + 5;
    unit->len = tag->len - 5;
    return 0;
}

/* E.4.2.1 AudioTagHeader. */
static void read_audio(const struct flv_tag *tag, struct flv_unit *unit)
{
    if (tag->len < 2)
        return;
    unit->data = tag->data + 1;
    unit->len = tag->len - 1;
    unit->sample_rate = 44100u >> (3 - (tag->data[0] >> 2 & 3));
    unit->channels = (tag->data[0] & 1) + 1;
    switch (tag->data[0] >> 4) {
    case SOUND_AAC:
        unit->codec = AV_CODEC_ID_AAC;
        unit->config = tag->data[1] == 0; /* AACPacketType */
        unit->data++;
        unit->len--;
        break;
    case SOUND_G711_A:
    case SOUND_G711_MU:
        unit->codec =
            tag->data[0] >> 4 == SOUND_G711_A ? AV_CODEC_ID_PCM_ALAW : AV_CODEC_ID_PCM_MULAW;
        unit->sample_rate = 8000;
        break;
    case SOUND_MP3:
        unit->codec = AV_CODEC_ID_MP3;
        break;
    case SOUND_MP3_8K:
        unit->codec = AV_CODEC_ID_MP3;
        unit->sample_rate = 8000;
        break;
    default:
        break;
    }
}

/* ISO/IEC 14496-3 1.6.2.1 AudioSpecificConfig, as far as sample rate and channels. */
bool flv_tag_read_asc(struct flv_unit *unit)
{
    static const unsigned rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
    static const unsigned channels[] = {0, 1, 2, 3, 4, 5, 6, 8};
    /* nal_bits strips emulation prevention, which an AudioSpecificConfig cannot be mistaken to
     * have: 00 00 would need audioObjectType 0. */
    struct nal_bits b = {.data = unit->data, .len = unit->len};
    if (nal_bits_read(&b, 5) == 31)
        (void)nal_bits_read(&b, 6);
    unsigned index = nal_bits_read(&b, 4);
    unsigned rate = index == 15 ? nal_bits_read(&b, 24) : 0;
    unsigned layout = nal_bits_read(&b, 4);
    if (b.overrun || (index >= sizeof(rates) / sizeof(rates[0]) && index != 15) ||
        layout >= sizeof(channels) / sizeof(channels[0]))
        return false;
    unit->sample_rate = index == 15 ? rate : rates[index];
    if (layout != 0) /* else a program_config_element says it; the tag header has to do */
        unit->channels = channels[layout];
    return unit->sample_rate >= 1000 && unit->sample_rate <= 192000;
}

int flv_tag_read_unit(const struct flv_tag *tag, struct flv_unit *unit)
{
    *unit = (struct flv_unit){.codec = AV_CODEC_ID_NONE};
    if (tag->type == FLV_TAG_VIDEO)
        return read_video(tag, unit);
    read_audio(tag, unit);
    return 0;
}
