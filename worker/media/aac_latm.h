/*
 * Takes AAC frames out of LATM's AudioMuxElement (ISO/IEC 14496-3 1.7.3) that carries its own
 * configuration, as RFC 6416 has it unless a description says cpresent=0.  Worker; pure.
 */
#ifndef WORKER_AAC_LATM_H
#define WORKER_AAC_LATM_H

#include "worker/media/aac.h"

/* What the newest StreamMuxConfig said.  Zeroed: none came. */
struct aac_latm {
    bool known;
    struct aac_config config;
};

/**
 * Read an element: one program with one layer and one frame.
 *
 * @param frame  room for len bytes.
 * @return bytes of the frame, or -EINVAL: the element is broken, of another kind, or its
 *         configuration has not come.
 */
int aac_latm_read(struct aac_latm *latm, const uint8_t *data, size_t len, uint8_t *frame);

#endif /* WORKER_AAC_LATM_H */
