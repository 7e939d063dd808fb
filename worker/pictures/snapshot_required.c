#include "worker/pictures/snapshot_required.h"

#include <stdlib.h>

/* Composition times that differ by less count as equal: timestamps are rounded. */
#define CTS_SLACK_US 1000

const struct frame *snapshot_frame_before(const struct frame_ring *ring, uint64_t *seq)
{
    while (*seq > frame_ring_tail(ring)) {
        const struct frame *f = frame_ring_get(ring, --*seq);
        if (f->track == TRACK_VIDEO)
            return f;
    }
    return NULL;
}

uint64_t snapshot_required_seq(const struct frame_ring *ring, enum ipc_picture kind, bool has_chain)
{
    uint64_t seq = frame_ring_head(ring);
    uint64_t key;
    if (kind == IPC_PICTURE_KEY)
        return frame_ring_key(ring, &key) ? key + 1 : seq;
    const struct frame *newest = snapshot_frame_before(ring, &seq);
    const struct frame *before = newest != NULL ? snapshot_frame_before(ring, &seq) : NULL;
    if (before == NULL || !has_chain)
        return frame_ring_head(ring);
    int64_t cts_step_us = (newest->pts_us - newest->dts_us) - (before->pts_us - before->dts_us);
    return llabs(cts_step_us) < CTS_SLACK_US ? seq + 1 : frame_ring_head(ring);
}
