/*
 * Decides which audio is passed through, which is transcoded, and to what.  Worker; pure.
 *
 * AAC-LC with 1024-sample frames, mono or stereo, is passed through.  So is HE-AAC: its core is LC,
 * and we send the core's two-byte configuration.  A decoder that knows SBR finds it in the frames
 * (implicit signalling, ISO/IEC 14496-3 1.6.5.3), others play the core.  mpegts.js and flv.js
 * rewrite the configuration for each browser anyway; some browsers fail on explicit signalling.
 *
 * All other audio is decoded and encoded at 44.1 or 48 kHz: an AAC frame is 1024 samples, the
 * encoder holds back two frames, and a player cannot show pictures before it has their sound.
 * Measured for G.711 at 8 kHz, mono, FFmpeg 5.1: time from the beginning of a frame's sound to the
 * frame, and processor time per second of sound:
 *
 *     kept at 8 kHz   400 ms   0.7 ms
 *     to 16 kHz       212 ms   2.0 ms
 *     to 32 kHz       116 ms   3.3 ms
 *     to 48 kHz        85 ms   3.1 ms, if nothing above 4 kHz is encoded (there is no sound there)
 */
#include "worker/audio/audio_format.h"

#include "worker/media/aac.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mathematics.h>

#define RATE_MIN 4000
#define RATE_MAX 192000

/* @return the AAC sample rate at which to encode sound of sample_rate. */
static int encoded_rate(int sample_rate)
{
    return 44100 % sample_rate == 0 ? 44100 : 48000;
}

static void set_channels(AVCodecParameters *par, int channels)
{
    av_channel_layout_uninit(&par->ch_layout);
    av_channel_layout_default(&par->ch_layout, channels);
}

static void set_defaults(AVCodecParameters *par, int sample_rate, int channels)
{
    if (par->sample_rate < RATE_MIN || par->sample_rate > RATE_MAX)
        par->sample_rate = sample_rate;
    if (par->ch_layout.nb_channels < 1 || par->ch_layout.nb_channels > 8)
        set_channels(par, channels);
}

/* G.726 has 2 to 5 bits per sample, that is 16 to 40 kbit/s. */
static void repair_g726(AVCodecParameters *par)
{
    int bits = par->bits_per_coded_sample;
    set_defaults(par, 8000, 1);
    set_channels(par, 1);
    if (bits < 2 || bits > 5)
        bits = (int)FFMIN(par->bit_rate / par->sample_rate, 6);
    par->bits_per_coded_sample = bits < 2 || bits > 5 ? 4 : bits;
    par->block_align = 0;
}

static int choose_aac(AVCodecParameters *par, struct audio_format *format)
{
    struct aac_config c = {.object_type = 2};
    size_t len = par->extradata_size > 0 ? (size_t)par->extradata_size : 0;
    bool told = len > 0 && aac_config_parse(par->extradata, len, &c) == 0;
    if (!told) {
        c.sample_rate = par->sample_rate;
        c.channels = par->ch_layout.nb_channels;
    }
    if (aac_config_is_plain(&c)) {
        par->sample_rate = c.sample_rate;
        set_channels(par, c.channels);
        *format = (struct audio_format){true, c.sample_rate, c.channels, 0};
        return 0;
    }
    if (len == 0)
        return -ENOTSUP; /* no decoder could know the format either */
    set_defaults(par, told ? c.sample_rate : 48000, 2);
    return 0;
}

/* Repair what the description tells of any codec but AAC.  @return 0, or -ENOTSUP. */
static int repair_parameters(AVCodecParameters *par)
{
    switch (par->codec_id) {
    case AV_CODEC_ID_PCM_ALAW:
    case AV_CODEC_ID_PCM_MULAW:
    case AV_CODEC_ID_PCM_S16BE:
    case AV_CODEC_ID_PCM_S16LE:
    case AV_CODEC_ID_PCM_U8:
    case AV_CODEC_ID_ADPCM_SWF:
        set_defaults(par, 8000, 1);
        return 0;
    case AV_CODEC_ID_ADPCM_G722:
        /* SDP announces 8000 for historical reasons (RFC 3551 section 4.5.2). */
        set_defaults(par, 16000, 1);
        par->sample_rate = 16000;
        return 0;
    case AV_CODEC_ID_ADPCM_G726:
    case AV_CODEC_ID_ADPCM_G726LE:
        repair_g726(par);
        return 0;
    case AV_CODEC_ID_OPUS:
        set_defaults(par, 48000, 2);
        par->sample_rate = 48000; /* RFC 7587 section 4.1 */
        return 0;
    case AV_CODEC_ID_MP2:
    case AV_CODEC_ID_MP3:
        if (par->sample_rate > 48000)
            par->sample_rate = 0; /* this is the RTP clock, 90 kHz (RFC 3551 section 4.5.13) */
        set_defaults(par, 48000, 2);
        return 0;
    case AV_CODEC_ID_NELLYMOSER:
        set_defaults(par, 16000, 1);
        return 0;
    case AV_CODEC_ID_AAC_LATM:
    case AV_CODEC_ID_AC3:
    case AV_CODEC_ID_EAC3:
    case AV_CODEC_ID_FLAC:
        set_defaults(par, 48000, 2);
        return 0;
    default:
        return -ENOTSUP;
    }
}

/* Does only the description tell the sample rate?  The frames of other codecs state theirs. */
static bool is_waveform(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_PCM_ALAW || codec == AV_CODEC_ID_PCM_MULAW ||
           codec == AV_CODEC_ID_PCM_S16BE || codec == AV_CODEC_ID_PCM_S16LE ||
           codec == AV_CODEC_ID_PCM_U8 || codec == AV_CODEC_ID_ADPCM_SWF ||
           codec == AV_CODEC_ID_NELLYMOSER || codec == AV_CODEC_ID_ADPCM_G722 ||
           codec == AV_CODEC_ID_ADPCM_G726 || codec == AV_CODEC_ID_ADPCM_G726LE;
}

int audio_format_choose(AVCodecParameters *par, struct audio_format *format)
{
    *format = (struct audio_format){0};
    int rc = par->codec_id == AV_CODEC_ID_AAC ? choose_aac(par, format) : repair_parameters(par);
    if (rc != 0 || format->pass_through)
        return rc;
    format->sample_rate = encoded_rate(par->sample_rate);
    format->channels = par->ch_layout.nb_channels == 1 ? 1 : 2;
    if (is_waveform(par->codec_id) && par->sample_rate < format->sample_rate)
        format->bandwidth_hz = par->sample_rate / 2;
    return 0;
}

/* The first byte gives the frames' length, and their number if it is one or two (RFC 6716 sections
 * 3.1 and 3.2). */
static int64_t opus_duration_us(const uint8_t *data, size_t len)
{
    static const int silk_us[] = {10000, 20000, 40000, 60000};
    if (len < 1)
        return 0;
    unsigned mode = data[0] >> 3;
    int frames = (data[0] & 3) == 0 ? 1 : 2;
    if ((data[0] & 3) == 3)
        frames = len > 1 ? data[1] & 63 : 0;
    if (mode < 12)
        return (int64_t)frames * silk_us[mode & 3];
    if (mode < 16)
        return (int64_t)frames * (mode & 1 ? 20000 : 10000);
    return (int64_t)frames * (2500 << (mode & 3));
}

/* An AAC packet is one raw frame, or one or more frames with ADTS headers, which tell the rate. */
static int64_t aac_duration_us(const AVCodecParameters *par, const uint8_t *data, size_t len)
{
    struct aac_adts adts;
    int64_t frames = 0;
    int rate = par->sample_rate;
    while (len > 0 && aac_adts_parse(data, len, &adts) == 0) {
        frames += adts.blocks;
        rate = adts.config.sample_rate;
        data += adts.frame_len;
        len -= adts.frame_len;
    }
    return av_rescale(FFMAX(frames, 1) * AAC_FRAME_SAMPLES, 1000000, rate);
}

/* The frame header tells the rate (ISO/IEC 11172-3 2.4.1.3, 13818-3): what is announced is mostly a
 * guess.  0: it is no header. */
static int64_t mpeg_duration_us(const uint8_t *data, size_t len)
{
    static const int rates[] = {44100, 48000, 32000};
    static const int halvings[] = {2, 0, 1, 0}; /* of the rate: MPEG-2.5, reserved, 2, 1 */
    if (len < 4 || data[0] != 0xFF || data[1] < 0xE0 || (data[2] >> 2 & 3) == 3)
        return 0;
    unsigned version = data[1] >> 3 & 3, layer = data[1] >> 1 & 3;
    int64_t samples = layer == 3 ? 384 : layer == 1 && version != 3 ? 576 : 1152;
    return av_rescale(samples, 1000000, rates[data[2] >> 2 & 3] >> halvings[version]);
}

/* SWF 19, "ADPCM sound data": blocks of 4096 samples, the first of which is in the block's header.
 */
static int64_t adpcm_samples(size_t len, const uint8_t *data, size_t channels)
{
    if (len < 1)
        return 0;
    size_t bits = len * 8 - 2;
    size_t head = 22 * channels;
    size_t code = (data[0] >> 6) * channels + 2 * channels;
    size_t block = head + 4095 * code;
    size_t left = bits % block;
    return (int64_t)(bits / block * 4096 + (left > head ? 1 + (left - head) / code : 0));
}

int64_t audio_format_duration_us(const AVCodecParameters *par, const uint8_t *data, size_t len)
{
    int64_t bits = 0;
    switch (par->codec_id) {
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_AAC_LATM:
        return aac_duration_us(par, data, len);
    case AV_CODEC_ID_OPUS:
        return opus_duration_us(data, len);
    case AV_CODEC_ID_MP2:
    case AV_CODEC_ID_MP3:
        return mpeg_duration_us(data, len);
    case AV_CODEC_ID_ADPCM_SWF:
        return av_rescale(adpcm_samples(len, data, (size_t)par->ch_layout.nb_channels), 1000000,
                          par->sample_rate);
    case AV_CODEC_ID_NELLYMOSER: /* blocks of 64 bytes */
        return av_rescale((int64_t)(len / 64 * 256), 1000000, par->sample_rate);
    case AV_CODEC_ID_ADPCM_G726:
    case AV_CODEC_ID_ADPCM_G726LE:
        bits = par->bits_per_coded_sample;
        break;
    default:
        bits = av_get_exact_bits_per_sample(par->codec_id);
    }
    bits *= par->ch_layout.nb_channels;
    return bits > 0 ? av_rescale((int64_t)len * 8, 1000000, bits * par->sample_rate) : 0;
}

static const char *fourcc_text(enum AVCodecID codec)
{
    switch (codec) {
    case AV_CODEC_ID_AAC:
    case AV_CODEC_ID_AAC_LATM:
        return "mp4a";
    case AV_CODEC_ID_PCM_ALAW:
        return "alaw";
    case AV_CODEC_ID_PCM_MULAW:
        return "ulaw";
    case AV_CODEC_ID_PCM_S16BE:
    case AV_CODEC_ID_PCM_S16LE:
    case AV_CODEC_ID_PCM_U8:
        return "lpcm";
    case AV_CODEC_ID_ADPCM_G722:
        return "g722";
    case AV_CODEC_ID_ADPCM_G726:
    case AV_CODEC_ID_ADPCM_G726LE:
        return "g726";
    case AV_CODEC_ID_OPUS:
        return "Opus";
    case AV_CODEC_ID_NONE:
        return "";
    default:
        return avcodec_get_name(codec);
    }
}

uint32_t audio_format_fourcc(enum AVCodecID codec)
{
    const char *text = fourcc_text(codec);
    uint32_t fourcc = 0;
    if (text[0] == '\0')
        return 0;
    for (size_t i = 0; i < 4; i++)
        fourcc = fourcc << 8 | (uint8_t)(*text != '\0' ? *text++ : ' ');
    return fourcc;
}
