#include "worker/video/timeline_order.h"

#define LEAP_FRAMES_MAX 8 /* larger steps of settled stamps are no frames that are reordered */

int64_t timeline_order_nominal(const struct timeline_in *packet)
{
    return packet->duration_us > 0 ? packet->duration_us : TIMELINE_DURATION_GUESS_US;
}

/* How far stamps of frames that follow each other are apart. */
static int64_t interval_of(const struct timeline_track *t, const struct timeline_in *p)
{
    return t->interval_us > 0 ? t->interval_us : timeline_order_nominal(p);
}

/* How far a first frame's decode time is before its stamp. */
static int64_t reorder_delay(const struct timeline_track *t, const struct timeline_in *p)
{
    if (p->track != TRACK_VIDEO || p->dts_us != TIMELINE_NONE)
        return 0;
    return decode_order_frames(&t->order, p->reorder_frames) * interval_of(t, p);
}

/* How far decode times were before the newest stamps: the less of two, since the newest may be of a
 * frame ahead of its turn. */
static int64_t behind_of(const struct timeline_track *t)
{
    return t->behind_us[0] < t->behind_us[1] ? t->behind_us[0] : t->behind_us[1];
}

/* The first step back: from now on the order tells decode times.  What came so far was steered by
 * its stamps: begin anew as if it had not been, or, if that was long ago, keep the distance. */
static void begin_order(struct timeline_track *t, const struct timeline_in *p)
{
    struct timeline_steer *s = &t->steer;
    if (t->order.learned == 0) /* else frames have stepped back before */
        t->interval_us = behind_of(t) / decode_order_frames(&t->order, p->reorder_frames);
    int64_t delay_us = reorder_delay(t, p);
    t->by_order = true;
    t->delay_us = delay_us;
    if (timeline_steer_is_settled(s) || timeline_steer_is_bursting(s) || t->resumed_us != 0)
        return;
    t->delay_us = 0;
    timeline_steer_start(s, t->first_us - delay_us, timeline_steer_out(s, t->first_us) - delay_us,
                         t->mapped_us);
}

int64_t timeline_order_first(struct timeline_track *track, const struct timeline_in *packet,
                             int64_t stamp_us)
{
    int64_t delay_us = reorder_delay(track, packet);
    track->stamps.count = 0;
    return track->by_order && delay_us > 0 ? stamp_us - delay_us + track->delay_us : stamp_us;
}

int64_t timeline_order_decode(struct timeline_track *track, const struct timeline_in *packet,
                              int64_t stamp_us)
{
    struct timeline_track *t = track;
    const struct timeline_in *p = packet;
    if (reorder_delay(t, p) == 0)
        return stamp_us;
    t->stamps.learned = t->order.learned;
    int64_t decode_us =
        decode_order_put(&t->stamps, p->reorder_frames, stamp_us, interval_of(t, p));
    if (!t->by_order && decode_order_latest(&t->stamps, stamp_us) > stamp_us)
        begin_order(t, p);
    t->behind_us[0] = t->behind_us[1];
    t->behind_us[1] = stamp_us - decode_us;
    return t->by_order ? decode_us + t->delay_us : stamp_us;
}

bool timeline_order_is_ahead(struct timeline_track *track, const struct timeline_in *packet,
                             int64_t decode_us)
{
    struct timeline_track *t = track;
    const struct timeline_in *p = packet;
    int64_t nominal = timeline_order_nominal(p);
    int64_t step = decode_us - t->steer.newest_stamp_us;
    bool before = t->leapt, settled = timeline_steer_is_settled(&t->steer);
    bool declared = reorder_delay(t, p) > 0;
    if (p->track != TRACK_VIDEO || p->dts_us != TIMELINE_NONE || t->by_order)
        return false;
    if (before && decode_us < t->leapt_to_us && !t->reorders) {
        t->reorders = true; /* begin anew, and ignore the arrival of such frames */
        timeline_steer_start(&t->steer, decode_us, timeline_steer_out(&t->steer, decode_us),
                             p->received_us);
    }
    t->leapt = step > nominal * 3 / 2 && p->received_us - t->last_received_us <
                                             (declared && !settled ? step * 3 / 4 : step / 2);
    t->leapt_to_us = decode_us;
    bool may_begin = declared && step <= LEAP_FRAMES_MAX * nominal;
    return t->leapt && !before && (t->reorders || may_begin || !settled);
}
