/*
 * The frame that an access unit becomes: the camera's NAL units untouched, each after a 4-byte
 * length.  Worker, the source's thread; pure.
 *
 * Parameter sets stay where they were sent, but for those that are repeated after the first slice:
 * hardware decoders take them for the end of the picture (ITU-T H.264 7.4.1.2.3).
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
    const struct nal *missing_sets_of; /* put those in front that this slice's configuration has
                                          and the unit lacks; NULL: none */
    bool add_recovery_point; /* H.264: an SEI that says that decoding may start here (D.1.8) */
};

/**
 * Keep a unit's parameter sets.
 *
 * @param damaged  one of them may be cut short: it must not replace a good one, but any is better
 *                 than none.
 */
void access_unit_frame_keep_sets(struct parameter_sets *sets, const struct nal_list *nals,
                                 bool damaged);

/** @return NULL when out of memory.  Caller owns; frame_unref(). */
struct frame *access_unit_frame_new(const struct access_unit_frame *what);

#endif /* WORKER_ACCESS_UNIT_FRAME_H */
