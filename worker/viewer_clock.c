#include "worker/viewer_clock.h"

#define SKIP_STEP_MS 40 /* what a viewer sees of a gap: one frame at 25 frames per second */

void viewer_clock_start(struct viewer_clock *clock, int64_t start_us, int64_t edge_us)
{
    clock->start_us = start_us;
    clock->edge_us = edge_us > start_us ? edge_us : start_us;
    clock->skipped_us = 0;
    for (int i = 0; i < TRACK_COUNT; i++)
        clock->last_ms[i] = -1;
}

/* Monotonic, so that decoding and display order survive the compression. */
static int64_t to_viewer_us(const struct viewer_clock *c, int64_t t_us)
{
    int64_t edge_viewer_us = (c->edge_us - c->start_us) / VIEWER_CLOCK_COMPRESSION;
    int64_t out_us = t_us < c->edge_us ? (t_us - c->start_us) / VIEWER_CLOCK_COMPRESSION
                                       : edge_viewer_us + (t_us - c->edge_us);
    return out_us - c->skipped_us;
}

bool viewer_clock_map(struct viewer_clock *clock, const struct frame *frame, uint32_t *ts_ms,
                      int32_t *cts_ms)
{
    if (frame->dts_us < (frame->track == TRACK_AUDIO ? clock->edge_us : clock->start_us))
        return false;
    int64_t dts_ms = to_viewer_us(clock, frame->dts_us) / 1000;
    int64_t pts_ms = to_viewer_us(clock, frame->pts_us) / 1000;
    int64_t last_ms = clock->last_ms[frame->track];
    if (frame->track == TRACK_AUDIO && dts_ms < last_ms)
        return false; /* audio from before a gap that was closed */
    if (dts_ms <= last_ms)
        dts_ms = last_ms + 1;
    clock->last_ms[frame->track] = dts_ms;
    *ts_ms = (uint32_t)dts_ms;
    *cts_ms = pts_ms > dts_ms ? (int32_t)(pts_ms - dts_ms) : 0;
    return true;
}

void viewer_clock_skip_to(struct viewer_clock *clock, const struct frame *frame)
{
    int64_t last_ms = clock->last_ms[TRACK_VIDEO];
    int64_t gap_us = to_viewer_us(clock, frame->dts_us) - (last_ms + SKIP_STEP_MS) * 1000;
    if (gap_us > 0)
        clock->skipped_us += gap_us;
}
