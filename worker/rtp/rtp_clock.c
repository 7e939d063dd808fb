#include "worker/rtp/rtp_clock.h"

#include <string.h>

#define BELIEVABLE_US 10000000  /* audio and video further apart than this: a clock is wrong */
#define RTPTIME_BELIEVABLE_S 10 /* how far the first packet may be from RTP-Info's rtptime */
#define NTP_OF_UNIX_EPOCH (UINT64_C(2208988800) << 32) /* RFC 5905, figure 4 */

void rtp_clock_init(struct rtp_clock *clock, const uint32_t rates[TRACK_COUNT])
{
    memset(clock, 0, sizeof(*clock));
    for (int t = 0; t < TRACK_COUNT; t++)
        clock->tracks[t].rate = rates[t];
}

void rtp_clock_rtptime(struct rtp_clock *clock, enum track track, uint32_t rtptime)
{
    clock->tracks[track].has_rtptime = true;
    clock->tracks[track].rtptime = rtptime;
}

static int64_t ticks_to_us(const struct rtp_clock_track *t, int64_t ticks)
{
    return ticks / t->rate * 1000000 + ticks % t->rate * 1000000 / t->rate;
}

static int64_t us_to_ticks(const struct rtp_clock_track *t, int64_t us)
{
    return us / 1000000 * t->rate + us % 1000000 * t->rate / 1000000;
}

/* Microseconds between two NTP times. */
static int64_t ntp_difference_us(uint64_t a, uint64_t b)
{
    int64_t d = (int64_t)(a - b);
    return (d >> 32) * 1000000 +
           (int64_t)((((uint64_t)d & 0xFFFFFFFFu) * 1000000 + (1u << 31)) >> 32);
}

/* How much later `t`'s unwrapped 0 is than `other`'s, on the camera's clock. */
static bool report_distance(const struct rtp_clock_track *t, const struct rtp_clock_track *other,
                            int64_t *us)
{
    if (!t->has_report || !other->has_report)
        return false;
    if ((uint32_t)t->report_ntp == 0 && (uint32_t)other->report_ntp == 0)
        return false; /* a wall clock that counts whole seconds */
    *us = ntp_difference_us(t->report_ntp, other->report_ntp) -
          ticks_to_us(t, t->report_unwrapped) + ticks_to_us(other, other->report_unwrapped);
    int64_t arrival = t->first_us - other->first_us;
    int64_t doubt = *us - arrival;
    return doubt > -BELIEVABLE_US && doubt < BELIEVABLE_US;
}

/* The same by RTP-Info, whose rtptimes stand for the same moment. */
static bool rtptime_distance(const struct rtp_clock_track *t, uint32_t first,
                             const struct rtp_clock_track *other, uint32_t other_first, int64_t *us)
{
    if (!t->has_rtptime || !other->has_rtptime)
        return false;
    int32_t after = (int32_t)(first - t->rtptime);
    int32_t other_after = (int32_t)(other_first - other->rtptime);
    if (after < -(int64_t)t->rate || after > (int64_t)t->rate * RTPTIME_BELIEVABLE_S ||
        other_after < -(int64_t)other->rate ||
        other_after > (int64_t)other->rate * RTPTIME_BELIEVABLE_S)
        return false; /* 0, or from another session: a common mistake */
    *us = ticks_to_us(t, after) - ticks_to_us(other, other_after);
    return true;
}

static void start(struct rtp_clock *clock, enum track track, uint32_t timestamp,
                  int64_t received_us)
{
    struct rtp_clock_track *t = &clock->tracks[track];
    const struct rtp_clock_track *other =
        &clock->tracks[track == TRACK_VIDEO ? TRACK_AUDIO : TRACK_VIDEO];
    t->started = true;
    t->last = timestamp;
    t->first_us = received_us;
    if (t->has_early_report) {
        t->has_report = true;
        t->report_unwrapped = (int32_t)(t->early_timestamp - timestamp);
        t->report_ntp = t->early_ntp;
    }
    if (!other->started)
        return;
    int64_t distance;
    uint32_t other_first = other->last - (uint32_t)other->unwrapped;
    if (!report_distance(t, other, &distance) &&
        !rtptime_distance(t, timestamp, other, other_first, &distance))
        distance = received_us - other->first_us;
    t->offset_us = other->offset_us + distance;
}

bool rtp_clock_report(struct rtp_clock *clock, enum track track, uint64_t ntp, uint32_t timestamp,
                      int64_t *pts, int64_t *wall_us)
{
    struct rtp_clock_track *t = &clock->tracks[track];
    if (ntp == 0)
        return false; /* the camera has no clock */
    if (!t->started) {
        t->has_early_report = true;
        t->early_timestamp = timestamp;
        t->early_ntp = ntp;
        return false;
    }
    t->has_report = true;
    t->report_unwrapped = t->unwrapped + (int32_t)(timestamp - t->last);
    t->report_ntp = ntp;
    if (!clock->has_wall_zero)
        clock->wall_zero = ntp >> 32 << 32;
    clock->has_wall_zero = true;
    *pts = t->report_unwrapped + us_to_ticks(t, t->offset_us);
    *wall_us = ntp_difference_us(ntp, clock->wall_zero);
    return true;
}

int64_t rtp_clock_pts(struct rtp_clock *clock, enum track track, uint32_t timestamp,
                      int64_t received_us)
{
    struct rtp_clock_track *t = &clock->tracks[track];
    if (!t->started) {
        start(clock, track, timestamp, received_us);
    } else {
        t->unwrapped += (int32_t)(timestamp - t->last);
        t->last = timestamp;
    }
    return t->unwrapped + us_to_ticks(t, t->offset_us);
}

int64_t rtp_clock_captured_us(const struct rtp_clock *clock, int64_t pts, int64_t unix_us)
{
    const struct rtp_clock_track *t = &clock->tracks[TRACK_VIDEO];
    if (!t->has_report)
        return 0;
    int64_t unwrapped = pts - us_to_ticks(t, t->offset_us);
    int64_t captured_us = ntp_difference_us(t->report_ntp, NTP_OF_UNIX_EPOCH) +
                          ticks_to_us(t, unwrapped - t->report_unwrapped);
    int64_t age_us = unix_us - captured_us;
    return age_us <= RTP_CLOCK_OLD_US && age_us >= -RTP_CLOCK_AHEAD_US ? captured_us : 0;
}
