/*
 * Encodes sound as AAC-LC frames with sample-exact time stamps.  Worker, source thread.
 *
 * The encoder is a tape: samples are appended at its end, and each sample's time follows from its
 * number.  A frame's time stamp is the time of the sound that a decoder makes of it; this accounts
 * for the encoder's priming of 1024 samples.
 */
#ifndef WORKER_AUDIO_ENCODER_H
#define WORKER_AUDIO_ENCODER_H

#include "worker/audio/audio_emit.h"
#include "worker/audio/audio_format.h"

struct audio_encoder;

/**
 * @param encoder  set on success.  Caller owns; audio_encoder_close().
 * @param format   its rate must have an AAC index and be at most 48000; frequencies above its
 *                 bandwidth are not encoded.  Borrowed for the call.
 * @return 0; -ENOTSUP: no encoder for this; -ENOMEM.
 */
int audio_encoder_open(struct audio_encoder **encoder, const struct audio_format *format,
                       audio_emit_fn *emit, void *ctx);

/** @return Shared, never NULL. */
struct codec_config *audio_encoder_config(const struct audio_encoder *encoder);

/** Set the time of the first sample.  Only while nothing has been written. */
void audio_encoder_start(struct audio_encoder *encoder, int64_t start_us);

/** @return samples written, including silence and gaps. */
int64_t audio_encoder_written(const struct audio_encoder *encoder);

/** @return the time of the next sample to be written. */
int64_t audio_encoder_end_us(const struct audio_encoder *encoder);

/** @return the number of the sample at time_us; negative before the start. */
int64_t audio_encoder_sample_at(const struct audio_encoder *encoder, int64_t time_us);

/** @return the number of samples in duration_us. */
int64_t audio_encoder_samples(const struct audio_encoder *encoder, int64_t duration_us);

/**
 * Append samples; finished frames are emitted.
 *
 * @param planes       one array of floats per channel; NULL: silence.  Borrowed.
 * @param received_us  copied into frames emitted from now on.
 * @return 0 or -ENOMEM.
 */
int audio_encoder_write(struct audio_encoder *encoder, const float *const *planes, int64_t samples,
                        int64_t received_us);

/** Leave a gap that is too long to fill: the time stamps jump.  @return 0 or -ENOMEM. */
int audio_encoder_skip(struct audio_encoder *encoder, int64_t samples, int64_t received_us);

/** Close *encoder and set it to NULL.  *encoder may be NULL. */
void audio_encoder_close(struct audio_encoder **encoder);

#endif /* WORKER_AUDIO_ENCODER_H */
