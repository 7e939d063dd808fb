/*
 * What format a sound track of FLV has: by its configuration, by its frames, by its tags' headers,
 * and where those are missing or wrong, by how much sound comes in the time that the stamps tell.
 * Worker, the source's thread; pure.
 *
 * G.711 is 8 kHz by E.4.2.1, but some cameras send 16 kHz, and many say stereo of mono sound.  AAC
 * of some publishers has neither a configuration nor ADTS headers.
 */
#ifndef WORKER_FLV_SOUND_H
#define WORKER_FLV_SOUND_H

#include "worker/flv/flv_tag.h"

#include <libavcodec/codec_par.h>

#define FLV_CONFIG_MAX_BYTES (64u << 10)

/* Plain: lives in its user by value, zeroed.  Only flv_sound.c writes the members. */
struct flv_sound {
    enum AVCodecID codec; /* what is measured */
    uint32_t first_ms;    /* since when */
    uint32_t newest_ms;
    uint64_t amount;      /* of sound: bytes, of AAC samples */
    unsigned rate;        /* Hz, by measuring; 0: not known */
    unsigned channels;    /* meaningful if rate is known */
    unsigned likely_rate; /* by the newest measurement; 0: it fits no format */
    unsigned likely_channels;
    unsigned agreeing; /* measurements in a row that said so */
    bool unreadable;   /* there was a configuration, which nobody understands */
};

enum flv_sound_news {
    FLV_SOUND_OLD, /* nothing new, or not enough to know the format */
    FLV_SOUND_NEW, /* unit's rate and channels, and its data if it is a configuration, count */
    FLV_SOUND_UNREADABLE /* it is a configuration that cannot be read */
};

/**
 * Read what a unit tells of the format of its track, and correct the unit where that is known.
 *
 * @param known    the track's format so far; NULL: none.  Borrowed.
 * @param patient  may the format be measured before it is told?
 */
enum flv_sound_news flv_sound_read(struct flv_sound *sound, const struct flv_tag *tag,
                                   struct flv_unit *unit, const AVCodecParameters *known,
                                   bool patient);

/** Is the unit, a configuration of any track, the one that is known? */
bool flv_unit_is_known_config(const AVCodecParameters *known, const struct flv_unit *unit);

#endif /* WORKER_FLV_SOUND_H */
