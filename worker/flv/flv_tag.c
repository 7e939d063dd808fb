#include "worker/flv/flv_tag.h"

#include "common/bytes.h"
#include "worker/flv/flv_ex_tag.h"
#include "worker/media/aac.h"
#include "worker/video/nal.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <string.h>

/* E.4.3.1, E.4.2.1; Enhanced RTMP v2: SoundFormat 9 has a header of its own. */
enum { FRAME_KEY = 1, FRAME_COMMAND = 5 };
enum { VIDEO_AVC = 7, VIDEO_HEVC = 12, VIDEO_AV1 = 13 }; /* 12, 13: what Chinese servers added */
enum { AVC_SEQUENCE_HEADER = 0, AVC_NALU = 1 };
enum { SOUND_EX = 9, SOUND_AAC = 10, SOUND_OPUS = 13 };
#define CTS_BYTES 3

/* Enhanced RTMP v2: four-letter codec names. */
static const struct {
    const char name[5];
    enum AVCodecID codec;
} fourccs[] = {
    {"avc1", AV_CODEC_ID_H264}, {"hvc1", AV_CODEC_ID_HEVC}, {"hev1", AV_CODEC_ID_HEVC},
    {"av01", AV_CODEC_ID_AV1},  {"vp09", AV_CODEC_ID_VP9},  {"vp08", AV_CODEC_ID_VP8},
    {"mp4a", AV_CODEC_ID_AAC},  {"Opus", AV_CODEC_ID_OPUS}, {"fLaC", AV_CODEC_ID_FLAC},
    {"ac-3", AV_CODEC_ID_AC3},  {"ec-3", AV_CODEC_ID_EAC3}, {".mp3", AV_CODEC_ID_MP3},
};

static enum AVCodecID codec_of(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(fourccs) / sizeof(fourccs[0]); i++) {
        if (bytes_get32((const uint8_t *)fourccs[i].name) == fourcc)
            return fourccs[i].codec;
    }
    return AV_CODEC_ID_NONE;
}

static bool is_supported(uint32_t fourcc)
{
    return codec_of(fourcc) != AV_CODEC_ID_NONE;
}

bool flv_tag_read_header(const uint8_t *p, struct flv_tag *tag)
{
    tag->type = p[0]; /* includes the Filter bit, which is 0 unless the body is encrypted */
    tag->len = bytes_get24(p + 1);
    tag->ts_ms = (uint32_t)p[7] << 24 | bytes_get24(p + 4);
    tag->stream_id = bytes_get24(p + 8);
    tag->data = p + FLV_TAG_HEADER_BYTES;
    return p[0] == FLV_TAG_AUDIO || p[0] == FLV_TAG_VIDEO || p[0] == FLV_TAG_SCRIPT ||
           p[0] == FLV_TAG_AGGREGATE;
}

static int32_t get_s24(const uint8_t *p)
{
    return (int32_t)(bytes_get24(p) ^ 0x800000u) - 0x800000;
}

bool flv_tag_has_nal_units(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
}

/* Returns -ENOTSUP for unsupported codecs. */
static int read_ex_video(const struct flv_tag *tag, struct flv_unit *unit)
{
    struct flv_ex_tag ex;
    if (!flv_ex_tag_read(tag->data, tag->len, true, tag->track, is_supported, &ex) ||
        ex.packet_type > FLV_EX_CODED_FRAMES_X)
        return 0; /* metadata and the like */
    enum AVCodecID codec = codec_of(ex.fourcc);
    if (avcodec_get_type(codec) != AVMEDIA_TYPE_VIDEO)
        return -ENOTSUP;
    if (ex.packet_type == FLV_EX_SEQUENCE_END)
        return 0;
    bool has_cts = flv_tag_has_nal_units(codec) && ex.packet_type == FLV_EX_CODED_FRAMES;
    size_t head = has_cts ? CTS_BYTES : 0;
    if (ex.len < head)
        return 0;
    unit->codec = codec;
    unit->track = ex.track;
    unit->config = ex.packet_type == FLV_EX_SEQUENCE_START;
    unit->cts_ms = head > 0 ? get_s24(ex.data) : 0;
    unit->data = ex.data + head;
    unit->len = ex.len - head;
    return 0;
}

static void read_ex_audio(const struct flv_tag *tag, struct flv_unit *unit)
{
    struct flv_ex_tag ex;
    if (!flv_ex_tag_read(tag->data, tag->len, false, tag->track, is_supported, &ex))
        return;
    unit->fourcc = ex.fourcc;
    unit->track = ex.track;
    unit->unsupported = !is_supported(ex.fourcc);
    if (ex.packet_type > FLV_EX_CODED_FRAMES)
        return;
    unit->codec = codec_of(ex.fourcc);
    unit->config = ex.packet_type == FLV_EX_SEQUENCE_START;
    unit->sample_rate = 48000; /* unless the configuration or the frames say otherwise */
    unit->channels = 2;
    unit->data = ex.data;
    unit->len = ex.len;
}

/* Old codecs whose tags hold a whole picture each, without configuration. */
static enum AVCodecID picture_codec(unsigned codec_id)
{
    static const enum AVCodecID codecs[] = {
        [2] = AV_CODEC_ID_FLV1, [3] = AV_CODEC_ID_FLASHSV,  [4] = AV_CODEC_ID_VP6F,
        [5] = AV_CODEC_ID_VP6A, [6] = AV_CODEC_ID_FLASHSV2,
    };
    return codec_id < sizeof(codecs) / sizeof(codecs[0]) ? codecs[codec_id] : AV_CODEC_ID_NONE;
}

/* Codecs whose tags have an AVCPacketType and a composition time. */
static enum AVCodecID packetized_codec(unsigned codec_id)
{
    switch (codec_id) {
    case VIDEO_AVC:
        return AV_CODEC_ID_H264;
    case VIDEO_HEVC:
        return AV_CODEC_ID_HEVC;
    case VIDEO_AV1:
        return AV_CODEC_ID_AV1;
    default:
        return AV_CODEC_ID_NONE;
    }
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
    if (picture_codec(codec_id) != AV_CODEC_ID_NONE) {
        unit->codec = picture_codec(codec_id);
        unit->data = tag->data + 1;
        unit->len = tag->len - 1;
        return 0;
    }
    if (packetized_codec(codec_id) == AV_CODEC_ID_NONE)
        return -ENOTSUP;
    if (tag->len < 5 || tag->data[1] > AVC_NALU)
        return 0; /* AVCPacketType 2: end of sequence */
    unit->codec = packetized_codec(codec_id);
    unit->config = tag->data[1] == AVC_SEQUENCE_HEADER;
    unit->cts_ms = get_s24(tag->data + 2);
    unit->data = tag->data + 5;
    unit->len = tag->len - 5;
    return 0;
}

static bool is_adts(const uint8_t *data, size_t len)
{
    struct aac_adts adts;
    return aac_adts_parse(data, len, &adts) == 0;
}

/* What follows the tag's first byte: AACPacketType, then a configuration or a frame.  Publishers
 * that send ADTS may leave the type out, or have it always 0. */
static void read_aac(struct flv_unit *unit)
{
    unit->codec = AV_CODEC_ID_AAC;
    if (is_adts(unit->data, unit->len))
        return;
    unit->config = unit->data[0] == 0;
    unit->data++;
    unit->len--;
    if (is_adts(unit->data, unit->len))
        unit->config = false;
}

/* As ZLMediaKit sends it; ireader's libflv puts a packet type in front, as with AAC, and OpusHead
 * in the packet of type 0. */
static void read_opus(struct flv_unit *unit)
{
    static const char magic[] = "OpusHead";
    unit->codec = AV_CODEC_ID_OPUS;
    unit->sample_rate = 48000;
    unit->channels = 2;
    size_t head = sizeof(magic); /* with the packet type */
    unit->config =
        unit->len >= head && unit->data[0] == 0 && memcmp(unit->data + 1, magic, head - 1) == 0;
    if (unit->config || unit->data[0] == 1) {
        unit->data++;
        unit->len--;
    }
}

/* A SoundFormat whose tags hold nothing but sound. */
struct sound {
    enum AVCodecID codec;
    unsigned rate; /* 0: the tag header's */
};

static struct sound sound_of(unsigned format, bool wide)
{
    static const struct sound sounds[] = {
        [0] = {AV_CODEC_ID_PCM_S16LE, 0},
        [1] = {AV_CODEC_ID_ADPCM_SWF, 0},
        [2] = {AV_CODEC_ID_MP3, 0},
        [3] = {AV_CODEC_ID_PCM_S16LE, 0},
        [4] = {AV_CODEC_ID_NELLYMOSER, 16000},
        [5] = {AV_CODEC_ID_NELLYMOSER, 8000},
        [6] = {AV_CODEC_ID_NELLYMOSER, 0},
        [7] = {AV_CODEC_ID_PCM_ALAW, 8000},
        [8] = {AV_CODEC_ID_PCM_MULAW, 8000},
        [14] = {AV_CODEC_ID_MP3, 8000},
        [15] = {AV_CODEC_ID_NONE, 0},
    };
    struct sound sound = sounds[format];
    if (sound.codec == AV_CODEC_ID_PCM_S16LE && !wide)
        sound.codec = AV_CODEC_ID_PCM_U8;
    return sound;
}

static void read_plain_sound(unsigned header, struct flv_unit *unit)
{
    struct sound sound = sound_of(header >> 4, (header & 2) != 0);
    unit->codec = sound.codec;
    unit->unsupported = sound.codec == AV_CODEC_ID_NONE;
    if (sound.rate != 0)
        unit->sample_rate = sound.rate;
    if (sound.codec == AV_CODEC_ID_NELLYMOSER)
        unit->channels = 1;
}

/* E.4.2.1 AudioTagHeader. */
static void read_audio(const struct flv_tag *tag, struct flv_unit *unit)
{
    if (tag->len < 2)
        return;
    unsigned header = tag->data[0];
    if (header >> 4 == SOUND_EX) {
        read_ex_audio(tag, unit);
        return;
    }
    unit->data = tag->data + 1;
    unit->len = tag->len - 1;
    unit->sample_rate = 44100u >> (3 - (header >> 2 & 3));
    unit->channels = (header & 1) + 1;
    if (header >> 4 == SOUND_AAC)
        read_aac(unit);
    else if (header >> 4 == SOUND_OPUS)
        read_opus(unit);
    else
        read_plain_sound(header, unit);
}

/* Sample rate and channels of an AudioSpecificConfig, ISO/IEC 14496-3 1.6.2.1. */
static bool read_asc(struct flv_unit *unit)
{
    static const unsigned rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                     22050, 16000, 12000, 11025, 8000,  7350};
    static const unsigned channels[] = {0, 1, 2, 3, 4, 5, 6, 8};
    /* nal_bits strips emulation prevention, but an AudioSpecificConfig never looks as if it had
     * any: 00 00 would need audioObjectType 0. */
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
    if (layout != 0) /* else a program_config_element has it: keep the tag header's value */
        unit->channels = channels[layout];
    return unit->sample_rate >= 1000 && unit->sample_rate <= 192000;
}

/* RFC 7845 5.1: OpusHead. */
static bool read_opus_head(struct flv_unit *unit)
{
    if (unit->len < 10 || unit->data[9] == 0)
        return false;
    unit->channels = unit->data[9];
    return true;
}

/* RFC 9639 8.2: `fLaC`, block header, STREAMINFO with sample rate (20 bits) and channels (3). */
static bool read_flac_head(struct flv_unit *unit)
{
    if (unit->len < 8 + 34)
        return false;
    const uint8_t *p = unit->data + 8 + 10;
    unit->sample_rate = bytes_get24(p) >> 4;
    unit->channels = (p[2] >> 1 & 7u) + 1;
    return unit->sample_rate > 0;
}

bool flv_tag_read_audio_config(struct flv_unit *unit)
{
    switch (unit->codec) {
    case AV_CODEC_ID_AAC:
        return read_asc(unit);
    case AV_CODEC_ID_OPUS:
        return read_opus_head(unit);
    case AV_CODEC_ID_FLAC:
        return read_flac_head(unit);
    default:
        return false;
    }
}

bool flv_tag_read_adts(struct flv_unit *unit)
{
    struct aac_adts adts;
    if (unit->codec != AV_CODEC_ID_AAC || aac_adts_parse(unit->data, unit->len, &adts) != 0)
        return false;
    unit->sample_rate = (unsigned)adts.config.sample_rate;
    unit->channels = (unsigned)adts.config.channels;
    return true;
}

int flv_tag_read_unit(const struct flv_tag *tag, struct flv_unit *unit)
{
    *unit = (struct flv_unit){.codec = AV_CODEC_ID_NONE, .track = -1};
    if (tag->type == FLV_TAG_VIDEO)
        return read_video(tag, unit);
    read_audio(tag, unit);
    return 0;
}
