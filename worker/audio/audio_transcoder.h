/*
 * Decodes a camera's audio packets, resamples the sound and writes it to an encoder at the right
 * time.  Worker, source thread.
 */
#ifndef WORKER_AUDIO_TRANSCODER_H
#define WORKER_AUDIO_TRANSCODER_H

#include "worker/audio/audio_encoder.h"

struct audio_transcoder;

/**
 * @param par      codec and its parameters; the caller has repaired them (audio_format_choose()).
 *                 Borrowed for the call.
 * @param encoder  takes the sound.  Borrowed; outlives the transcoder.
 * @return 0; -ENOTSUP: no decoder for these parameters; -ENOMEM.
 */
int audio_transcoder_open(struct audio_transcoder **transcoder, const AVCodecParameters *par,
                          struct audio_encoder *encoder);

/** As audio_set_pace(). */
void audio_transcoder_set_pace(struct audio_transcoder *transcoder, double pace);

/** As audio_push(). */
int audio_transcoder_push(struct audio_transcoder *transcoder, const uint8_t *data, size_t len,
                          int64_t pts_us, int64_t received_us);

/** Reset the decoder. */
void audio_transcoder_reset(struct audio_transcoder *transcoder);

/** Close *transcoder and set it to NULL.  *transcoder may be NULL. */
void audio_transcoder_close(struct audio_transcoder **transcoder);

#endif /* WORKER_AUDIO_TRANSCODER_H */
