/*
 * Decides whether to pass a camera's audio through or transcode it, and to what.  Worker, any
 * thread.  Pure.
 */
#ifndef WORKER_AUDIO_FORMAT_H
#define WORKER_AUDIO_FORMAT_H

#include <libavcodec/codec_par.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The output format; it is always AAC-LC. */
struct audio_format {
    bool pass_through; /* true: send the camera's frames unchanged */
    int sample_rate;
    int channels;     /* 1 or 2 */
    int bandwidth_hz; /* if transcoding: highest frequency in the sound; 0: unknown or unlimited */
};

/**
 * Choose the output format for a track, and repair wrong or missing parameters, so that a decoder
 * can be opened with them.
 *
 * @param par  as announced; repaired in place.  Borrowed.
 * @return 0; -ENOTSUP: this codec, or these parameters, cannot become AAC.
 */
int audio_format_choose(AVCodecParameters *par, struct audio_format *format);

/** @return a packet's duration, given the repaired par; 0 if unknown. */
int64_t audio_format_duration_us(const AVCodecParameters *par, const uint8_t *data, size_t len);

/**
 * The name of a camera's audio codec in struct ipc_stats.
 *
 * @return FourCC, big endian: the usual MP4 code if there is one, else the first letters of
 *         libavcodec's name; 0 for AV_CODEC_ID_NONE.
 */
uint32_t audio_format_fourcc(enum AVCodecID codec);

#endif /* WORKER_AUDIO_FORMAT_H */
