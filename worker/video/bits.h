/* Reads bits, most significant first.  Worker; pure.  For NAL units see nal_bits in nal.h. */
#ifndef WORKER_BITS_H
#define WORKER_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
    const uint8_t *data; /* Borrowed */
    size_t len;
    size_t pos;   /* in bits */
    bool overrun; /* bits beyond the end were read: they are 0 */
};

/** count: 0..32. */
uint32_t bits_read(struct bits *bits, unsigned count);
void bits_skip(struct bits *bits, unsigned count);

#endif /* WORKER_BITS_H */
