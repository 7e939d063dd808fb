/*
 * Decides what becomes of the audio that a camera sends.  Worker, any thread.  Pure.
 */
#ifndef WORKER_AUDIO_FORMAT_H
#define WORKER_AUDIO_FORMAT_H

#include <libavcodec/codec_par.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What goes out: always AAC-LC. */
struct audio_format {
    bool pass_through; /* the camera's frames as they are */
    int sample_rate;
    int channels;     /* 1 or 2 */
    int bandwidth_hz; /* not passed through: the sound has nothing above it; 0: not known, or all */
};

/**
 * Choose what goes out for a track, and repair what cameras and session descriptions get wrong or
 * leave out, so that a decoder can be opened with it.
 *
 * @param par  as announced; repaired in place.  Borrowed.
 * @return 0; -ENOTSUP a codec, or a lack of parameters, that cannot become AAC.
 */
int audio_format_choose(AVCodecParameters *par, struct audio_format *format);

/** @return how long a packet lasts, from par as repaired above; 0 if it cannot be told. */
int64_t audio_format_duration_us(const AVCodecParameters *par, const uint8_t *data, size_t len);

/**
 * What a camera's sound is called in struct ipc_stats.
 *
 * @return FourCC, big endian: that of ISO/IEC 14496-12 where there is one, else the first letters
 * of libavcodec's name; 0 for AV_CODEC_ID_NONE.
 */
uint32_t audio_format_fourcc(enum AVCodecID codec);

#endif /* WORKER_AUDIO_FORMAT_H */
