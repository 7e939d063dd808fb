#include "common/codec_name.h"

#include "common/bytes.h"

#include <stddef.h>

static const struct {
    const char fourcc[5];
    const char *name;
} codecs[] = {
    {"avc1", "H.264"},        {"hvc1", "H.265"},
    {"mjpg", "MJPEG"},        {"mp4v", "MPEG-4"},
    {"h263", "H.263"},        {"FLV1", "Sorenson H.263"},
    {"FSV1", "Screen Video"}, {"FSV2", "Screen Video 2"},
    {"VP6F", "VP6"},          {"VP6A", "VP6"}, /* with alpha */
    {"vp08", "VP8"},          {"vp09", "VP9"},
    {"av01", "AV1"},          {"mp4a", "AAC"},
    {"alaw", "G.711 A-law"},  {"ulaw", "G.711 µ-law"},
    {"g722", "G.722"},        {"g726", "G.726"},
    {"lpcm", "PCM"},          {"mp2 ", "MP2"},
    {"mp3 ", "MP3"},          {"flac", "FLAC"},
    {"ac3 ", "AC-3"},         {"eac3", "E-AC-3"},
    {"nell", "Nellymoser"},   {"adpc", "ADPCM"},
};

const char *codec_name(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (bytes_get32((const uint8_t *)codecs[i].fourcc) == fourcc)
            return codecs[i].name;
    return NULL;
}
