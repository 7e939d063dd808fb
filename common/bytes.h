/*
 * Big-endian numbers in bytes, as in RTP, FLV, WebSocket and the length fields of NAL units; and
 * AV1's numbers of variable length.
 * Every process, any thread; pure.
 *
 * Each bytes_put function returns the next position: p = bytes_put16(bytes_put8(p, type), len).
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t bytes_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t bytes_get24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t bytes_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | bytes_get24(p + 1);
}

/** Read a number of len bytes, 0..8; 0 if len is 0. */
static inline uint64_t bytes_get(const uint8_t *p, unsigned len)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++)
        value = value << 8 | p[i];
    return value;
}

/**
 * Read a leb128 (AV1 Bitstream & Decoding Process Specification 4.10.5): up to 8 bytes, low bits
 * first, a value below 2^32.
 * @return bytes read; 0: it is cut off, or larger.
 */
static inline size_t bytes_get_leb128(const uint8_t *p, size_t len, uint32_t *value)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 8 && i < len; i++) {
        sum |= (uint64_t)(p[i] & 0x7F) << (7 * i);
        if ((p[i] & 0x80) == 0) {
            *value = (uint32_t)sum;
            return sum <= UINT32_MAX ? i + 1 : 0;
        }
    }
    return 0;
}

/* Higher bits of value are ignored. */

static inline uint8_t *bytes_put8(uint8_t *p, uint32_t value)
{
    *p = (uint8_t)value;
    return p + 1;
}

static inline uint8_t *bytes_put16(uint8_t *p, uint32_t value)
{
    return bytes_put8(bytes_put8(p, value >> 8), value);
}

static inline uint8_t *bytes_put24(uint8_t *p, uint32_t value)
{
    return bytes_put16(bytes_put8(p, value >> 16), value);
}

static inline uint8_t *bytes_put32(uint8_t *p, uint32_t value)
{
    return bytes_put24(bytes_put8(p, value >> 24), value);
}

static inline uint8_t *bytes_put64(uint8_t *p, uint64_t value)
{
    return bytes_put32(bytes_put32(p, (uint32_t)(value >> 32)), (uint32_t)value);
}

#endif /* COMMON_BYTES_H */
