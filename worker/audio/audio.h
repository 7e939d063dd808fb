/*
 * Turns a camera's sound into AAC-LC frames, which every player takes: AAC is passed through, the
 * rest is decoded, resampled and encoded.  Worker, source thread; one object per camera.  Must not
 * block, starts no thread.
 *
 * Time stamps in are on the output clock (timeline.h).  Time stamps out are sample-exact and
 * continuous: gaps are filled with silence, overlaps dropped, small drift is taken up by
 * stretching.
 */
#ifndef WORKER_AUDIO_H
#define WORKER_AUDIO_H

#include "worker/audio/audio_emit.h"

#include <libavcodec/codec_par.h>

struct audio;

/**
 * Get ready for a track.  The configuration is known from here on (audio_config()).
 *
 * @param audio  set on success, else NULL.  Caller owns; audio_close().
 * @param par    codec, and as far as known sample rate, channels, extradata,
 *               bits_per_coded_sample (G.726).  Borrowed for the call.
 * @param emit   called from audio_push() and audio_fill() only.
 * @return 0; -ENOTSUP a codec or parameters that cannot become AAC: go on without audio; -ENOMEM.
 */
int audio_open(struct audio **audio, const AVCodecParameters *par, audio_emit_fn *emit, void *ctx);

/** @return whether a track announced with par (after a reconnect) can go on with this object. */
bool audio_accepts(const struct audio *audio, const AVCodecParameters *par);

/**
 * The AudioSpecificConfig in force: two bytes, AAC-LC, mono or stereo.  It changes only if a camera
 * sends ADTS headers that contradict what it announced; then the frames carry the new one.
 * @return Shared, never NULL: take a reference to keep it.
 */
struct codec_config *audio_config(const struct audio *audio);

/** @return how long len bytes of this track last, for timeline_in.duration_us; 0 if unknown. */
int64_t audio_duration_us(const struct audio *audio, const uint8_t *data, size_t len);

/**
 * How fast the camera's clock is compared with the output clock.  At 2, a second of the camera's
 * sound has to last two.  1 until it is set.
 */
void audio_set_pace(struct audio *audio, double pace);

/**
 * One packet.  A packet that cannot be decoded is dropped and the stream goes on.
 *
 * @param data         AV_INPUT_BUFFER_PADDING_SIZE readable bytes follow.  Borrowed.
 * @param pts_us       of its first sample, on the output clock.
 * @param received_us  put into the frames made from it.
 * @return 0; -EINVAL the packet (or a part of it) was dropped; -ENOMEM.
 */
int audio_push(struct audio *audio, const uint8_t *data, size_t len, int64_t pts_us,
               int64_t received_us);

/**
 * Keep players going while the announced audio track sends nothing: make silence up to some lag
 * behind the video.  Call with every video frame.  The lag is long while sound flows, so that a
 * late packet does not find its place taken, and short once it has stopped or before it has begun.
 *
 * @param video_pts_us  of the newest video frame, on the output clock.
 * @return 0 or -ENOMEM.
 */
int audio_fill(struct audio *audio, int64_t video_pts_us, int64_t received_us);

/** Forget what the decoder remembers (after a reconnect); output time stamps go on. */
void audio_reset(struct audio *audio);

/** Close and clear *audio; what the encoder still holds is dropped.  NULL is fine. */
void audio_close(struct audio **audio);

#endif /* WORKER_AUDIO_H */
