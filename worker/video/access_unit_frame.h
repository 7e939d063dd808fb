/*
 * Makes the frame of an access unit: the camera's unchanged NAL units, each after a 4-byte length.
 * Worker, the source's thread; pure.
 *
 * Parameter sets and SEI stay where they were sent, but those after the first slice are left out:
 * hardware decoders and parsers take them for the end of the picture (ITU-T H.264 7.4.1.2.3).
 */
#ifndef WORKER_ACCESS_UNIT_FRAME_H
#define WORKER_ACCESS_UNIT_FRAME_H

#include "worker/media/frame.h"
#include "worker/video/nal_list.h"
#include "worker/video/parameter_sets.h"

struct access_unit_frame {
    struct codec_config *config;
    const struct nal_list *nals;
    const struct parameter_sets *sets;
    const struct nal *missing_sets_of; /* a slice: put the parameter sets that it needs and the unit
                                          lacks in front; NULL: none */
    bool add_recovery_point;           /* H.264: add an SEI that lets decoding start here (D.1.8) */
};

/**
 * Keep a unit's parameter sets.
 *
 * @param damaged  a set may be cut short: keep them only if sets that the picture needs are
 *                 missing.
 */
void access_unit_frame_keep_sets(struct parameter_sets *sets, const struct nal_list *nals,
                                 bool damaged);

/** @return NULL when out of memory.  Caller owns; frame_unref(). */
struct frame *access_unit_frame_new(const struct access_unit_frame *what);

#endif /* WORKER_ACCESS_UNIT_FRAME_H */
