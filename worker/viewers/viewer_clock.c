#include "worker/viewers/viewer_clock.h"

#include <libavutil/mathematics.h>

/*
 * How long a closed gap still is, and how late the first picture at normal pace is.
 *
 * Both are for mpegts.js: it delivers the last two pictures before a new sequence header after that
 * header, and Chromium's media source then drops them.  The media source bridges a hole of up to
 * twice the longest distance between pictures that it has seen.  If all distances are equal, that
 * is just too short for two pictures and a gap.  So one distance is made longer, once, by at least
 * half the gap.
 */
#define SKIP_STEP_MS 10
#define LATE_ONCE_MS 10
#define CATCH_UP 4 /* times the normal pace */

void viewer_clock_start_live(struct viewer_clock *clock, int64_t start_us, int64_t edge_us,
                             uint64_t cached, int64_t lead_us)
{
    int64_t cached_us = (int64_t)cached * VIEWER_CLOCK_STEP_US;
    *clock = (struct viewer_clock){.start_us = start_us, .edge_us = edge_us, .lead_us = lead_us};
    clock->cached_us = cached_us < edge_us - start_us ? cached_us : edge_us - start_us;
    clock->level_us = edge_us;
    if (clock->cached_us > lead_us)
        clock->level_us += (clock->cached_us - lead_us) * CATCH_UP / (CATCH_UP - 1);
    for (int i = 0; i < TRACK_COUNT; i++)
        clock->last_ms[i] = -1;
}

void viewer_clock_start(struct viewer_clock *clock, int64_t start_us)
{
    viewer_clock_start_live(clock, start_us, start_us, 0, 0);
}

void viewer_clock_resume(struct viewer_clock *clock, const int64_t last_ms[TRACK_COUNT])
{
    clock->skipped_us = -(last_ms[TRACK_VIDEO] + SKIP_STEP_MS) * 1000;
    clock->was_late = true;
    for (int i = 0; i < TRACK_COUNT; i++)
        clock->last_ms[i] = last_ms[i];
}

int64_t viewer_clock_level_us(const struct viewer_clock *clock)
{
    return clock->lead_us + clock->level_us - clock->edge_us;
}

void viewer_clock_sound_from(struct viewer_clock *clock, int64_t from_us)
{
    clock->last_ms[TRACK_AUDIO] = from_us / 1000 - 1;
}

/* Monotonic, so that decoding and display order survive the compression. */
static int64_t to_viewer_us(const struct viewer_clock *c, enum track track, int64_t t_us)
{
    int64_t out_us = t_us - c->edge_us + c->lead_us;
    if (track == TRACK_VIDEO && t_us <= c->start_us)
        out_us = t_us - c->start_us;
    else if (track == TRACK_VIDEO && t_us <= c->edge_us)
        out_us = av_rescale(t_us - c->start_us, c->cached_us, c->edge_us - c->start_us);
    else if (track == TRACK_VIDEO && t_us < c->level_us)
        out_us = c->cached_us + (t_us - c->edge_us) / CATCH_UP;
    return out_us - c->skipped_us;
}

bool viewer_clock_map(struct viewer_clock *clock, const struct frame *frame, uint32_t *ts_ms,
                      int32_t *cts_ms)
{
    int64_t dts_us = to_viewer_us(clock, frame->track, frame->dts_us);
    if (dts_us < 0)
        return false;
    int64_t dts_ms = dts_us / 1000;
    int64_t pts_ms = to_viewer_us(clock, frame->track, frame->pts_us) / 1000;
    int64_t last_ms = clock->last_ms[frame->track];
    if (frame->track == TRACK_AUDIO && dts_ms < last_ms)
        return false; /* audio from before a closed gap */
    if (frame->track == TRACK_VIDEO && frame->dts_us > clock->level_us && !clock->was_late) {
        clock->was_late = true;
        dts_ms += LATE_ONCE_MS;
        pts_ms += LATE_ONCE_MS;
    }
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
    int64_t gap_us =
        to_viewer_us(clock, TRACK_VIDEO, frame->dts_us) - (last_ms + SKIP_STEP_MS) * 1000;
    if (gap_us > 0)
        clock->skipped_us += gap_us;
}
