/*
 * Turns a camera's sound into AAC-LC frames, which every player accepts: AAC is passed through,
 * other codecs are decoded, resampled and encoded.  Worker, source thread; one object per camera.
 * Does not block, starts no thread.
 *
 * Input time stamps are on the output clock (timeline.h).  Output time stamps are sample-exact and
 * continuous: gaps are filled with silence, overlaps dropped, small drift is corrected by
 * stretching.
 */
#ifndef WORKER_AUDIO_H
#define WORKER_AUDIO_H

#include "worker/audio/audio_emit.h"

#include <libavcodec/codec_par.h>

struct audio;

/**
 * Prepare for a track.  audio_config() is valid from now on.
 *
 * @param audio  set on success, else NULL.  Caller owns; audio_close().
 * @param par    codec, and if known sample rate, channels, extradata, bits_per_coded_sample (for
 *               G.726).  Borrowed for the call.
 * @param emit   called only from audio_push() and audio_fill().
 * @return 0; -ENOTSUP: this codec, or these parameters, cannot become AAC (go on without audio);
 *         -ENOMEM.
 */
int audio_open(struct audio **audio, const AVCodecParameters *par, audio_emit_fn *emit, void *ctx);

/** @return true if a track announced with par after a reconnect can go on using this object. */
bool audio_accepts(const struct audio *audio, const AVCodecParameters *par);

/**
 * The current AudioSpecificConfig: two bytes, AAC-LC, mono or stereo.  It changes only if a camera
 * sends ADTS headers that contradict its announcement; the frames then carry the new one.
 * @return Shared, never NULL: take a reference to keep it.
 */
struct codec_config *audio_config(const struct audio *audio);

/** @return the duration of len bytes of this track, for timeline_in.duration_us; 0 if unknown. */
int64_t audio_duration_us(const struct audio *audio, const uint8_t *data, size_t len);

/**
 * Set the ratio of output time to the camera's time: at 2, one second of the camera's sound must
 * last two.  Starts at 1.
 */
void audio_set_pace(struct audio *audio, double pace);

/**
 * Take one packet.  A packet that cannot be decoded is dropped, and the stream goes on.
 *
 * @param data         followed by AV_INPUT_BUFFER_PADDING_SIZE readable bytes.  Borrowed.
 * @param pts_us       time of its first sample, on the output clock.
 * @param received_us  copied into the frames made from it.
 * @return 0; -EINVAL: the packet, or part of it, was dropped; -ENOMEM.
 */
int audio_push(struct audio *audio, const uint8_t *data, size_t len, int64_t pts_us,
               int64_t received_us);

/**
 * Keep players going while the announced audio track sends nothing: emit silence that ends a little
 * behind the video.  Call with every video frame.  The distance is long while sound flows, so that
 * silence does not take the place of a late packet, and short before it begins or once it stops.
 *
 * @param video_us  decode time of the newest video frame, on the output clock: a wrong composition
 *                  time must not fill the time that is to come.
 * @return 0 or -ENOMEM.
 */
int audio_fill(struct audio *audio, int64_t video_us, int64_t received_us);

/** Reset the decoder after a reconnect; output time stamps go on. */
void audio_reset(struct audio *audio);

/** Close *audio and set it to NULL; sound still in the encoder is dropped.  *audio may be NULL. */
void audio_close(struct audio **audio);

#endif /* WORKER_AUDIO_H */
