#include "worker/flv/flv_sound.h"

#include "worker/media/aac.h"

#include <libavutil/common.h>
#include <string.h>

/* How long to measure: stamps may be those of the arrival.  44.1 and 48 kHz are 8 % apart. */
#define MEASURE_G711_MS 400
#define MEASURE_AAC_MS 900
#define PER_SECOND_MAX 1000000 /* more is nonsense */
#define GAP_MS 500             /* longer ones interrupt a measurement */
#define OFF_G711_PERCENT 10
#define OFF_AAC_PERCENT 4
/* So many measurements in a row change a format that is known: a publisher that was cut off for a
 * moment sends as much as another format has. */
#define AGREEING 5

static bool is_g711(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_PCM_ALAW || codec == AV_CODEC_ID_PCM_MULAW;
}

static bool may_have_config(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_AAC || codec == AV_CODEC_ID_OPUS || codec == AV_CODEC_ID_FLAC;
}

/* Do its tags' headers alone tell a codec's format?  The others' frames do. */
static bool is_told_by_tags(enum AVCodecID codec)
{
    return codec != AV_CODEC_ID_MP3 && codec != AV_CODEC_ID_AC3 && codec != AV_CODEC_ID_EAC3;
}

/* Add a frame.  Returns how much sound came in a second, once it has been measured, else 0. */
static unsigned measure(struct flv_sound *s, const struct flv_tag *tag, const struct flv_unit *unit,
                        uint32_t least_ms)
{
    uint32_t span_ms = tag->ts_ms - s->first_ms;
    unsigned per_second = 0;
    bool goes_on = s->codec == unit->codec && tag->ts_ms - s->newest_ms <= GAP_MS;
    if (goes_on && span_ms >= least_ms)
        per_second = (unsigned)FFMIN(s->amount * 1000 / span_ms, PER_SECOND_MAX);
    if (!goes_on || per_second > 0) {
        s->codec = unit->codec;
        s->first_ms = tag->ts_ms;
        s->amount = 0;
    }
    if (!goes_on)
        s->agreeing = 0;
    s->newest_ms = tag->ts_ms;
    s->amount += unit->codec == AV_CODEC_ID_AAC ? AAC_FRAME_SAMPLES : unit->len;
    return per_second;
}

static bool is_near(unsigned value, unsigned wanted, unsigned percent)
{
    unsigned off = value > wanted ? value - wanted : wanted - value;
    return (uint64_t)off * 100 <= (uint64_t)wanted * percent;
}

/* Take a measurement of G.711.
 *
 * @param channels  by the tag header.
 * @param enough    measurements that must agree. */
static void judge_g711(struct flv_sound *s, unsigned bytes, unsigned channels, unsigned enough)
{
    unsigned rate = 0; /* neither */
    if (is_near(bytes, 8000, OFF_G711_PERCENT)) {
        rate = 8000;
        channels = 1;
    } else if (is_near(bytes, 16000, OFF_G711_PERCENT)) {
        rate = channels == 2 ? 8000 : 16000;
    }
    bool agrees = rate == s->likely_rate && channels == s->likely_channels;
    s->agreeing = agrees ? s->agreeing + 1 : 1;
    s->likely_rate = rate;
    s->likely_channels = channels;
    if (rate == 0 || s->agreeing < enough)
        return;
    s->rate = rate;
    s->channels = channels;
}

/* Correct a unit of G.711.  @return is its format known? */
static bool correct_g711(struct flv_sound *s, const struct flv_tag *tag, struct flv_unit *unit,
                         const AVCodecParameters *known, bool patient)
{
    bool is_known = known != NULL && known->codec_id == unit->codec;
    unsigned bytes = measure(s, tag, unit, MEASURE_G711_MS);
    if (bytes > 0)
        judge_g711(s, bytes, unit->channels, is_known ? AGREEING : 1);
    if (s->rate != 0) {
        unit->sample_rate = s->rate;
        unit->channels = s->channels;
        return true;
    }
    if (is_known) { /* the first header counts till then */
        unit->sample_rate = (unsigned)known->sample_rate;
        unit->channels = (unsigned)known->ch_layout.nb_channels;
        return true;
    }
    return unit->channels == 1 || !patient;
}

/* Guess the rate of AAC from its frames' distances.  @return is it known now? */
static bool guess_aac(struct flv_sound *s, const struct flv_tag *tag, struct flv_unit *unit)
{
    static const unsigned rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    unsigned samples = measure(s, tag, unit, MEASURE_AAC_MS);
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        if (!is_near(samples, rates[i], OFF_AAC_PERCENT))
            continue;
        int channels = aac_frame_channels(unit->data, unit->len);
        unit->sample_rate = rates[i];
        if (channels > 0)
            unit->channels = (unsigned)channels;
        return true;
    }
    return false;
}

static bool is_known_format(const AVCodecParameters *known, const struct flv_unit *unit)
{
    if (known == NULL || known->codec_id != unit->codec)
        return false;
    return !is_told_by_tags(unit->codec) || (known->sample_rate == (int)unit->sample_rate &&
                                             known->ch_layout.nb_channels == (int)unit->channels);
}

/* A frame of a codec that may have a configuration.  @return does it tell the format by itself?
 * Once that is known, changes within the frames are left to the decoder. */
static bool tells_format(struct flv_sound *s, const struct flv_tag *tag, struct flv_unit *unit)
{
    if (unit->codec == AV_CODEC_ID_OPUS)
        return true;
    if (unit->codec != AV_CODEC_ID_AAC)
        return false;
    return flv_tag_read_adts(unit) || (!s->unreadable && guess_aac(s, tag, unit));
}

enum flv_sound_news flv_sound_read(struct flv_sound *sound, const struct flv_tag *tag,
                                   struct flv_unit *unit, const AVCodecParameters *known,
                                   bool patient)
{
    if (is_g711(unit->codec) && !correct_g711(sound, tag, unit, known, patient))
        return FLV_SOUND_OLD;
    if (!may_have_config(unit->codec))
        return is_known_format(known, unit) ? FLV_SOUND_OLD : FLV_SOUND_NEW;
    if (!unit->config)
        return known == NULL && tells_format(sound, tag, unit) ? FLV_SOUND_NEW : FLV_SOUND_OLD;
    if (unit->len == 0 || unit->len > FLV_CONFIG_MAX_BYTES || flv_unit_is_known_config(known, unit))
        return FLV_SOUND_OLD;
    sound->unreadable = !flv_tag_read_audio_config(unit);
    return sound->unreadable ? FLV_SOUND_UNREADABLE : FLV_SOUND_NEW;
}

bool flv_unit_is_known_config(const AVCodecParameters *known, const struct flv_unit *unit)
{
    return known != NULL && known->codec_id == unit->codec &&
           known->extradata_size == (int)unit->len &&
           (unit->len == 0 || memcmp(known->extradata, unit->data, unit->len) == 0);
}
