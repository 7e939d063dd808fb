#include "worker/video/bits.h"

uint32_t bits_read(struct bits *bits, unsigned count)
{
    uint32_t value = 0;
    for (; count > 0; count--, bits->pos++) {
        size_t byte = bits->pos / 8;
        bits->overrun |= byte >= bits->len;
        unsigned bit = byte < bits->len ? bits->data[byte] >> (7 - bits->pos % 8) & 1u : 0;
        value = value << 1 | bit;
    }
    return value;
}

void bits_skip(struct bits *bits, unsigned count)
{
    bits->pos += count;
    bits->overrun |= bits->pos > bits->len * 8;
}
