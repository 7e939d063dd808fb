/*
 * AV1 temporal units in the low-overhead format (AV1 Bitstream & Decoding Process Specification
 * 5.2), and AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding 2.3.3).  Worker;
 * pure.
 */
#ifndef WORKER_AV1_H
#define WORKER_AV1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AV1_RECORD_HEAD 4 /* the record's bytes before its OBUs */

struct av1_picture {
    bool key;       /* a key frame that is shown */
    unsigned width; /* pixels; 0: it has no sequence header */
    unsigned height;
    const uint8_t *sequence_header; /* the OBU.  Borrowed. */
    size_t sequence_header_len;     /* 0: none */
};

/** @return false if it has no frame; the rest is filled nevertheless. */
bool av1_read_picture(const uint8_t *data, size_t len, struct av1_picture *picture);

/**
 * Write the head of the record whose only OBU is this sequence header.
 * @return false if the OBU is unreadable.
 */
bool av1_record_head(uint8_t head[AV1_RECORD_HEAD], const uint8_t *obu, size_t len);

#endif /* WORKER_AV1_H */
