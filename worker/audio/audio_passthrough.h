/*
 * Passes a camera's AAC frames through unchanged: removes headers, makes time stamps continuous and
 * fills gaps with silent frames.  The configuration follows what the frames say of their rate and
 * channels.  Worker, source thread.
 */
#ifndef WORKER_AUDIO_PASSTHROUGH_H
#define WORKER_AUDIO_PASSTHROUGH_H

#include "worker/audio/audio_emit.h"

struct audio_passthrough;

/**
 * @param pass         set on success.  Caller owns; audio_passthrough_close().
 * @param sample_rate  must have an AAC index.
 * @param channels     1 or 2.
 * @return 0 or -ENOMEM.
 */
int audio_passthrough_open(struct audio_passthrough **pass, int sample_rate, int channels,
                           audio_emit_fn *emit, void *ctx);

/** @return Shared, never NULL. */
struct codec_config *audio_passthrough_config(const struct audio_passthrough *pass);

/** Set the time of the first frame.  Only while nothing has been sent. */
void audio_passthrough_start(struct audio_passthrough *pass, int64_t start_us);

/** @return the time at which the last frame sent ends. */
int64_t audio_passthrough_end_us(const struct audio_passthrough *pass);

/** As audio_set_pace(). */
void audio_passthrough_set_pace(struct audio_passthrough *pass, double pace);

/** As audio_push(). */
int audio_passthrough_push(struct audio_passthrough *pass, const uint8_t *data, size_t len,
                           int64_t pts_us, int64_t received_us);

/** Send whole frames of silence that last at most duration_us.  @return 0 or -ENOMEM. */
int audio_passthrough_silence(struct audio_passthrough *pass, int64_t duration_us,
                              int64_t received_us);

/** Leave a gap that is too long to fill. */
void audio_passthrough_skip(struct audio_passthrough *pass, int64_t duration_us);

/** Close *pass and set it to NULL.  *pass may be NULL. */
void audio_passthrough_close(struct audio_passthrough **pass);

#endif /* WORKER_AUDIO_PASSTHROUGH_H */
