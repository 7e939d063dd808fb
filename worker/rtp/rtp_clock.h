/*
 * Puts RTP timestamps of audio and video on one common base.  Worker; pure.
 *
 * Each track counts on its own clock from a random start.  Its zero comes from the first of these
 * that is available: sender reports (RFC 3550 section 6.4.1), PLAY's RTP-Info if both tracks'
 * values are believable, or the arrival of the first packets.  The zero never moves: later reports
 * go to the output clock (timeline.h), which moves sound to its picture without a jump.
 */
#ifndef WORKER_RTP_CLOCK_H
#define WORKER_RTP_CLOCK_H

#include "worker/media/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* A capture time further than this before or after the arrival: the camera's clock is wrong. */
#define RTP_CLOCK_OLD_US 10000000
#define RTP_CLOCK_AHEAD_US 1000000

struct rtp_clock_track {
    uint32_t rate; /* Hz; 0: no such track */
    bool started;
    uint32_t last;     /* timestamp */
    int64_t unwrapped; /* `last` in 64 bits; the first packet is 0 */
    int64_t offset_us; /* pts = unwrapped + offset */
    int64_t first_us;  /* arrival of the first packet */
    bool has_rtptime;
    uint32_t rtptime;
    bool has_report;
    int64_t report_unwrapped;
    uint64_t report_ntp;
    bool has_early_report; /* a report came before the first packet */
    uint32_t early_timestamp;
    uint64_t early_ntp;
};

struct rtp_clock {
    struct rtp_clock_track tracks[TRACK_COUNT];
    bool has_wall_zero; /* there was a report */
    uint64_t wall_zero; /* NTP time from which wall times are counted, of whole seconds */
};

/** @param rates  clock rates, Hz; 0 for a missing track. */
void rtp_clock_init(struct rtp_clock *clock, const uint32_t rates[TRACK_COUNT]);

/** RTP-Info gave the timestamp of the first packet after PLAY. */
void rtp_clock_rtptime(struct rtp_clock *clock, enum track track, uint32_t rtptime);

/**
 * A sender report: `timestamp` was sampled at `ntp`.
 *
 * @param pts      set to the time of `timestamp`, as from rtp_clock_pts().
 * @param wall_us  set to the camera's wall clock at that time, counted from the whole second of
 *                 its first report.
 * @return false if the report tells nothing (yet); then neither is set.
 */
bool rtp_clock_report(struct rtp_clock *clock, enum track track, uint64_t ntp, uint32_t timestamp,
                      int64_t *pts, int64_t *wall_us);

/**
 * A packet's time, in the track's clock rate, on the base common to all tracks, 64 bit.
 * Call it with packets in order.  Jumps of the camera's timestamps pass through.
 */
int64_t rtp_clock_pts(struct rtp_clock *clock, enum track track, uint32_t timestamp,
                      int64_t received_us);

/**
 * When a video packet was captured, by the camera's clock.
 *
 * @param pts      the packet's time from rtp_clock_pts().
 * @param unix_us  UNIX time of its arrival.
 * @return UNIX time; 0 without a sender report, or if the result is impossible: more than
 *         RTP_CLOCK_OLD_US before or RTP_CLOCK_AHEAD_US after the arrival.
 */
int64_t rtp_clock_captured_us(const struct rtp_clock *clock, int64_t pts, int64_t unix_us);

#endif /* WORKER_RTP_CLOCK_H */
