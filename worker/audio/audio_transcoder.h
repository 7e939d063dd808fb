/*
 * Decodes a camera's audio packets, resamples them and writes them to an encoder at the right
 * place.  Worker, source thread.
 */
#ifndef WORKER_AUDIO_TRANSCODER_H
#define WORKER_AUDIO_TRANSCODER_H

#include "worker/audio/audio_encoder.h"

struct audio_transcoder;

/**
 * @param par      codec and its parameters; what is missing or wrong in them is repaired by the
 *                 caller.  Borrowed for the call.
 * @param encoder  where the sound goes.  Borrowed; outlives the transcoder.
 * @return 0; -ENOTSUP no decoder for these parameters; -ENOMEM.
 */
int audio_transcoder_open(struct audio_transcoder **transcoder, const AVCodecParameters *par,
                          struct audio_encoder *encoder);

/** As audio_set_pace(). */
void audio_transcoder_set_pace(struct audio_transcoder *transcoder, double pace);

/** As audio_push(). */
int audio_transcoder_push(struct audio_transcoder *transcoder, const uint8_t *data, size_t len,
                          int64_t pts_us, int64_t received_us);

/** Forget what the decoder remembers. */
void audio_transcoder_reset(struct audio_transcoder *transcoder);

/** Close and clear *transcoder.  NULL is fine. */
void audio_transcoder_close(struct audio_transcoder **transcoder);

#endif /* WORKER_AUDIO_TRANSCODER_H */
