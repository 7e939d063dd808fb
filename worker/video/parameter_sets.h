/*
 * Keeps the parameter sets of one video track, and makes the codec configuration from them. Worker,
 * the source's thread.  libavcodec reads the picture size and the frame rate.
 */
#ifndef WORKER_PARAMETER_SETS_H
#define WORKER_PARAMETER_SETS_H

#include "worker/media/frame.h"
#include "worker/video/nal.h"

#define PARAMETER_SETS_MAX 64         /* further sets are ignored */
#define PARAMETER_SET_MAX_BYTES 4096u /* larger sets are ignored */

enum parameter_set_kind { PARAMETER_SET_VPS, PARAMETER_SET_SPS, PARAMETER_SET_PPS };

struct parameter_set {
    uint8_t kind;           /* enum parameter_set_kind */
    uint8_t id;             /* its own */
    uint8_t parent_id;      /* PPS: its SPS's id; HEVC SPS: its VPS's id */
    bool fields;            /* H.264 SPS: see sps.h */
    uint8_t frame_num_bits; /* H.264 SPS: length of frame_num in a slice's header */
    /* HEVC PPS (H.265 7.3.2.3.1): needed to read a slice's header. */
    bool dependent_slices;    /* dependent_slice_segments_enabled_flag */
    uint8_t extra_slice_bits; /* num_extra_slice_header_bits */
    bool in_unit;             /* sent in band in the current access unit */
    uint16_t len;
    uint8_t *data; /* from the NAL header on */
};

struct parameter_sets {
    enum AVCodecID codec;
    unsigned length_size; /* bytes of a NAL unit's length, by the last avcC or hvcC; else 4 */
    unsigned count;
    bool changed;                           /* since the last parameter_sets_config() */
    const struct parameter_set *active_sps; /* in that call */
    struct parameter_set set[PARAMETER_SETS_MAX];
};

void parameter_sets_init(struct parameter_sets *sets, enum AVCodecID codec);
void parameter_sets_clear(struct parameter_sets *sets);

/**
 * Keep a VPS, SPS or PPS in place of one with the same kind and id.  Bad ones are ignored.
 *
 * @param nal      Borrowed.
 * @param in_unit  it is in the payload of the current access unit.
 */
void parameter_sets_add(struct parameter_sets *sets, const struct nal *nal, bool in_unit);

/** May two pictures of the track be the fields of one frame, as far as is known? */
bool parameter_sets_may_have_fields(const struct parameter_sets *sets);

/** Could this be extradata at all, by its beginning and length?  It may still hold no sets. */
bool parameter_sets_is_extradata(enum AVCodecID codec, const uint8_t *data, size_t len);

/** Add the sets in extradata: Annex B, avcC (ISO/IEC 14496-15 5.3.3) or hvcC (8.3.3).  Borrowed. */
void parameter_sets_add_extradata(struct parameter_sets *sets, const uint8_t *data, size_t len);

/**
 * Which codec do the parameter sets in an avcC, an hvcC, or NAL units with start codes or 4-byte
 * lengths belong to?  For containers that name the wrong codec.
 * @return AV_CODEC_ID_H264, AV_CODEC_ID_HEVC; AV_CODEC_ID_NONE if that cannot be told.
 */
enum AVCodecID parameter_sets_guess_codec(const uint8_t *data, size_t len);

/** Is `set` one of the sets that a configuration made for this slice contains? */
bool parameter_sets_is_active(const struct parameter_sets *sets, const struct nal *slice,
                              const struct parameter_set *set);

/** Forget which sets were sent in the current access unit. */
void parameter_sets_begin_unit(struct parameter_sets *sets);

/** Are all sets that this slice refers to present? */
bool parameter_sets_complete(const struct parameter_sets *sets, const struct nal *slice);

/** The PPS that this slice refers to.  Borrowed until a set is added; NULL if it is missing. */
const struct parameter_set *parameter_sets_pps(const struct parameter_sets *sets,
                                               const struct nal *slice);

/** frame_num of an H.264 slice (7.4.3), or -1 if its sets are missing. */
int parameter_sets_frame_num(const struct parameter_sets *sets, const struct nal *slice);

/**
 * Bring the configuration up to date with the sets that a key frame's slice refers to.
 *
 * @param slice   a slice of the key frame.  Borrowed.
 * @param config  in: the one in force or NULL; replaced only if the record changed.
 * @return 1 replaced, 0 unchanged, -ENOENT sets are missing, -EINVAL libavcodec does not
 *         understand them, -ENOMEM.
 */
int parameter_sets_config(struct parameter_sets *sets, const struct nal *slice,
                          struct codec_config **config);

#endif /* WORKER_PARAMETER_SETS_H */
