#include "worker/media/aac_latm.h"

#include "worker/media/aac_bits.h"

#include <errno.h>

#define FULLNESS_BITS 8

/* The rest of GASpecificConfig: without a core coder nothing may follow its flags. */
static int take_config(struct aac_bits *b, struct aac_config *config)
{
    if (aac_bits_take_config(b, config) != 0 || config->needs_core)
        return -EINVAL;
    bool extended = aac_bits_take(b, 1) != 0;
    return extended || config->channels == 0 ? -EINVAL : 0;
}

/* StreamMuxConfig, audioMuxVersion 0. */
static int take_mux_config(struct aac_latm *latm, struct aac_bits *b)
{
    struct aac_config config;
    bool version = aac_bits_take(b, 1) != 0;
    bool same_framing = aac_bits_take(b, 1) != 0;
    unsigned more_frames = aac_bits_take(b, 6);
    unsigned more_programs = aac_bits_take(b, 4);
    unsigned more_layers = aac_bits_take(b, 3);
    if (version || !same_framing || more_frames + more_programs + more_layers != 0)
        return -EINVAL;
    if (take_config(b, &config) != 0)
        return -EINVAL;
    unsigned length_type = aac_bits_take(b, 3);
    (void)aac_bits_take(b, FULLNESS_BITS);
    bool escaped = aac_bits_take(b, 1) != 0; /* otherDataPresent: its length follows */
    while (escaped && b->at < b->len) {
        escaped = aac_bits_take(b, 1) != 0;
        (void)aac_bits_take(b, 8);
    }
    if (aac_bits_take(b, 1) != 0)
        (void)aac_bits_take(b, 8); /* crcCheckSum */
    if (length_type != 0 || b->at > b->len)
        return -EINVAL;
    latm->known = true;
    latm->config = config;
    return 0;
}

int aac_latm_read(struct aac_latm *latm, const uint8_t *data, size_t len, uint8_t *frame)
{
    struct aac_bits b = {.data = data, .len = len * 8};
    bool same_config = aac_bits_take(&b, 1) != 0;
    if (!same_config && take_mux_config(latm, &b) != 0)
        return -EINVAL;
    size_t size = 0;
    unsigned part = 255;
    while (part == 255 && b.at < b.len) { /* PayloadLengthInfo */
        part = aac_bits_take(&b, 8);
        size += part;
    }
    if (!latm->known || size == 0 || b.at > b.len || size > (b.len - b.at) / 8)
        return -EINVAL;
    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)aac_bits_take(&b, 8);
    return (int)size;
}
