/* AAC headers.  Worker; pure. */
#include "worker/media/aac.h"

#include "worker/media/aac_bits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define ADTS_FRAME_MAX ((size_t)0x1fff) /* bytes with the header: 13 bits say it */

enum {
    OBJECT_LC = 2,
    OBJECT_SBR = 5,
    OBJECT_PS = 29,
    OBJECT_ESCAPE = 31,
    RATE_ESCAPE = 15,
    ELEMENT_SINGLE = 0,
    ELEMENT_PAIR = 1,
    ELEMENT_DATA = 4,
    ELEMENT_FILL = 6,
};

static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                            22050, 16000, 12000, 11025, 8000,  7350};
enum { RATES = sizeof(rates) / sizeof(rates[0]) };

static int take_object_type(struct aac_bits *b)
{
    unsigned type = aac_bits_take(b, 5);
    return (int)(type == OBJECT_ESCAPE ? 32 + aac_bits_take(b, 6) : type);
}

/*
 * Returns 0 for a reserved index.  A decoder uses the tables of the nearest standard rate for a
 * rate that is written out (ISO/IEC 14496-3, 4.5.1.1): within 1 % of a standard rate we return that
 * one.
 */
static int take_rate(struct aac_bits *b)
{
    unsigned index = aac_bits_take(b, 4);
    if (index != RATE_ESCAPE)
        return index < RATES ? rates[index] : 0;
    int rate = (int)aac_bits_take(b, 24);
    for (int i = 0; i < RATES; i++) {
        if (abs(rate - rates[i]) < rates[i] / 100)
            return rates[i];
    }
    return rate;
}

int aac_bits_take_config(struct aac_bits *b, struct aac_config *config)
{
    struct aac_config c = {.object_type = take_object_type(b)};

    c.sample_rate = take_rate(b);
    c.channels = (int)aac_bits_take(b, 4);
    if (c.object_type == OBJECT_SBR || c.object_type == OBJECT_PS) {
        (void)take_rate(b); /* the rate after SBR */
        c.object_type = take_object_type(b);
    }
    if (b->at > b->len || c.sample_rate <= 0)
        return -EINVAL;
    if (c.object_type < 1 || c.object_type > 4)
        return -EINVAL; /* only Main, LC, SSR and LTP are AAC */
    /* GASpecificConfig.  Some cameras leave it out: its flags then read as 0. */
    c.short_frames = aac_bits_take(b, 1) != 0;
    c.needs_core = aac_bits_take(b, 1) != 0;
    *config = c;
    return 0;
}

int aac_config_parse(const uint8_t *record, size_t len, struct aac_config *config)
{
    struct aac_bits b = {.data = record, .len = len * 8};
    return aac_bits_take_config(&b, config);
}

bool aac_config_is_plain(const struct aac_config *config)
{
    return config->object_type == OBJECT_LC && aac_rate_index(config->sample_rate) >= 0 &&
           (config->channels == 1 || config->channels == 2) && !config->short_frames &&
           !config->needs_core;
}

int64_t aac_frame_us(int sample_rate)
{
    return INT64_C(1000000) * AAC_FRAME_SAMPLES / sample_rate;
}

int aac_rate_index(int sample_rate)
{
    for (int i = 0; i < RATES; i++) {
        if (rates[i] == sample_rate)
            return i;
    }
    return -1;
}

void aac_config_write(uint8_t record[AAC_CONFIG_LEN], int sample_rate, int channels)
{
    int index = aac_rate_index(sample_rate);
    assert(index >= 0 && (channels == 1 || channels == 2));
    record[0] = (uint8_t)(OBJECT_LC << 3 | index >> 1);
    record[1] = (uint8_t)((index & 1) << 7 | channels << 3);
}

/*
 * ID_SCE (000) or ID_CPE (001) with element_instance_tag 0; common_window 0 for a pair; then, for
 * each channel, 22 zero bits (global_gain, ics_info of a long window with max_sfb 0, no pulse, TNS
 * or gain control data); ID_END (111).
 */
const uint8_t *aac_silent_frame(int channels, size_t *len)
{
    static const uint8_t mono[] = {0, 0, 0, 0x07};
    static const uint8_t stereo[] = {0x20, 0, 0, 0, 0, 0, 0x0e};
    assert(channels == 1 || channels == 2);
    *len = channels == 1 ? sizeof(mono) : sizeof(stereo);
    return channels == 1 ? mono : stereo;
}

/* Skip a data_stream_element (4.4.2.7) or a fill_element (4.4.2.8) after its type. */
static void skip_element(struct aac_bits *b, unsigned element)
{
    bool align = false;
    unsigned bytes;
    if (element == ELEMENT_FILL) {
        bytes = aac_bits_take(b, 4);
        bytes += bytes == 15 ? aac_bits_take(b, 8) - 1 : 0;
    } else {
        (void)aac_bits_take(b, 4); /* element_instance_tag */
        align = aac_bits_take(b, 1) != 0;
        bytes = aac_bits_take(b, 8);
        bytes += bytes == 255 ? aac_bits_take(b, 8) : 0;
    }
    if (align)
        b->at = (b->at + 7) / 8 * 8;
    b->at += (size_t)bytes * 8;
}

int aac_frame_channels(const uint8_t *data, size_t len)
{
    struct aac_bits b = {.data = data, .len = len * 8};
    while (b.at < b.len) {
        unsigned element = aac_bits_take(&b, 3);
        if (element == ELEMENT_SINGLE || element == ELEMENT_PAIR)
            return b.at <= b.len ? (int)element + 1 : 0;
        if (element != ELEMENT_DATA && element != ELEMENT_FILL)
            return 0;
        skip_element(&b, element);
    }
    return 0;
}

int aac_adts_parse(const uint8_t *data, size_t len, struct aac_adts *adts)
{
    struct aac_bits b = {.data = data, .len = len * 8};
    struct aac_adts a = {0};

    if (aac_bits_take(&b, 12) != 0xfff)
        return -EINVAL;
    (void)aac_bits_take(&b, 1); /* MPEG-2 or MPEG-4 */
    if (aac_bits_take(&b, 2) != 0)
        return -EINVAL; /* layer */
    a.header_len = aac_bits_take(&b, 1) != 0 ? 7 : 9;
    a.config.object_type = (int)aac_bits_take(&b, 2) + 1;
    unsigned index = aac_bits_take(&b, 4);
    (void)aac_bits_take(&b, 1);
    a.config.channels = (int)aac_bits_take(&b, 3);
    (void)aac_bits_take(&b, 4);
    a.frame_len = aac_bits_take(&b, 13);
    (void)aac_bits_take(&b, 11); /* buffer fullness */
    a.blocks = (int)aac_bits_take(&b, 2) + 1;
    if (index >= RATES || a.frame_len <= a.header_len || a.frame_len > len)
        return -EINVAL;
    a.config.sample_rate = rates[index];
    *adts = a;
    return 0;
}

int aac_adts_write(uint8_t header[AAC_ADTS_LEN], const struct aac_config *config, size_t len)
{
    if (!aac_config_is_plain(config) || len > ADTS_FRAME_MAX - AAC_ADTS_LEN)
        return -EINVAL;
    size_t whole = AAC_ADTS_LEN + len;
    unsigned rate = (unsigned)aac_rate_index(config->sample_rate);
    unsigned channels = (unsigned)config->channels;
    header[0] = 0xff;
    header[1] = 0xf1; /* MPEG-4, without CRC */
    header[2] = (uint8_t)((unsigned)(config->object_type - 1) << 6 | rate << 2 | channels >> 2);
    header[3] = (uint8_t)((channels & 3) << 6 | whole >> 11);
    header[4] = (uint8_t)(whole >> 3);
    header[5] = (uint8_t)(whole << 5 | 0x1f); /* buffer fullness: variable rate */
    header[6] = 0xfc;
    return 0;
}
