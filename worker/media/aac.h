/*
 * AAC headers: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) and ADTS (1.A.2.2).  Worker, any
 * thread.  Pure: bytes in, numbers out; nothing in the bytes is trusted.
 */
#ifndef WORKER_AAC_H
#define WORKER_AAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AAC_FRAME_SAMPLES = 1024, AAC_CONFIG_LEN = 2 };

/* What an AudioSpecificConfig or an ADTS header says about the AAC core. */
struct aac_config {
    int object_type;   /* 2: LC.  If SBR is signalled on top, this is the type of the core. */
    int sample_rate;   /* core sample rate, Hz */
    int channels;      /* channel configuration; 0: the stream itself has it */
    bool short_frames; /* 960 samples instead of 1024 */
    bool needs_core;   /* depends on a core coder, which we do not have */
};

struct aac_adts {
    struct aac_config config;
    size_t header_len;
    size_t frame_len; /* including the header */
    int blocks;       /* raw data blocks in the frame, 1..4 */
};

/** @return 0, or -EINVAL: too short, a reserved rate, or an object type that is not AAC. */
int aac_config_parse(const uint8_t *record, size_t len, struct aac_config *config);

/** @return true if frames of this configuration may be sent unchanged under a plain LC one. */
bool aac_config_is_plain(const struct aac_config *config);

/** Write the two bytes of an LC configuration.  sample_rate must have an index; channels is 1 or 2.
 */
void aac_config_write(uint8_t record[AAC_CONFIG_LEN], int sample_rate, int channels);

/**
 * A frame that is silent and needs no frame before it: one raw_data_block (ISO/IEC 14496-3,
 * 4.4.2.1) of a single channel or a channel pair element without any spectral data.
 *
 * @param channels  1 or 2.
 * @param len       set to the number of bytes.
 * @return static storage.
 */
const uint8_t *aac_silent_frame(int channels, size_t *len);

/**
 * What a raw frame's first element of sound says (raw_data_block, ISO/IEC 14496-3, 4.4.2.1).
 *
 * @return 1: a single channel; 2: a pair; 0: it does not say.
 */
int aac_frame_channels(const uint8_t *data, size_t len);

/** @return the duration of a frame, microseconds, rounded down. */
int64_t aac_frame_us(int sample_rate);

/** @return the samplingFrequencyIndex of a rate, or -1. */
int aac_rate_index(int sample_rate);

/** @return 0, or -EINVAL: data does not begin with a complete ADTS frame. */
int aac_adts_parse(const uint8_t *data, size_t len, struct aac_adts *adts);

#define AAC_ADTS_LEN ((size_t)7)

/**
 * Write the ADTS header of a frame (ISO/IEC 13818-7 6.2).
 *
 * @param len  of the frame, without the header.
 * @return 0, or -EINVAL: the configuration is not plain, or the frame is too long for ADTS.
 */
int aac_adts_write(uint8_t header[AAC_ADTS_LEN], const struct aac_config *config, size_t len);

#endif /* WORKER_AAC_H */
