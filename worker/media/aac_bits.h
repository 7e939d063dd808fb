/* Bits of AAC headers, and what several of them begin with (ISO/IEC 14496-3).  For aac.c and
 * aac_latm.c only.  Worker; pure. */
#ifndef WORKER_AAC_BITS_H
#define WORKER_AAC_BITS_H

#include <stddef.h>
#include <stdint.h>

struct aac_config;

struct aac_bits {
    const uint8_t *data;
    size_t len; /* bits */
    size_t at;  /* may pass len: bits beyond the end read as 0 */
};

static inline unsigned aac_bits_take(struct aac_bits *b, unsigned n)
{
    unsigned value = 0;
    for (; n > 0; n--, b->at++) {
        unsigned bit = b->at < b->len ? b->data[b->at / 8] >> (7 - b->at % 8) & 1u : 0;
        value = value << 1 | bit;
    }
    return value;
}

/** Read an AudioSpecificConfig up to dependsOnCoreCoder.  Returns as aac_config_parse(). */
int aac_bits_take_config(struct aac_bits *b, struct aac_config *config);

#endif /* WORKER_AAC_BITS_H */
