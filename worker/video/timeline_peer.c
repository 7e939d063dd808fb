#include "worker/video/timeline_peer.h"

#include <math.h>
#include <stdlib.h>

#define APART_US 30000            /* tracks that differ by more: their clocks do not keep step */
#define APART_PACE 0.02           /* the same for their paces, */
#define APART_SHARE 0.25          /* ... and this part of their error */
#define ONE_REPORT_PACE 0.01      /* a clock whose pace is wrong by more needs a second report */
#define REPORT_AGE_US 40000000    /* a report counts for so long; the pace is known, */
#define ONE_REPORT_AGE_US 6000000 /* ... or is not */
#define RELATION_MAX_US 10000000  /* audio and video further apart than this: a clock is wrong */

static int64_t out_of(const struct timeline_track *t, int64_t source_us)
{
    return timeline_steer_out(&t->steer, source_us + t->offset_us);
}

bool timeline_peer_is_known(const struct timeline_track *track, int64_t now_us)
{
    const struct timeline_track *t = track;
    bool sane = timeline_steer_is_settled(&t->steer) &&
                fabs(timeline_steer_clock(&t->steer) - 1) <= ONE_REPORT_PACE;
    int64_t age_us = now_us - t->camera.received_us;
    return t->camera.believed && !camera_clock_is_coarse(&t->camera) &&
           (t->camera.paced ? age_us <= REPORT_AGE_US : sane && age_us <= ONE_REPORT_AGE_US);
}

bool timeline_peer_are_known(const struct timeline_track *a, const struct timeline_track *b,
                             int64_t now_us)
{
    return timeline_peer_is_known(a, now_us) && timeline_peer_is_known(b, now_us) &&
           !(camera_clock_may_be_coarse(&a->camera) && camera_clock_may_be_coarse(&b->camera));
}

/* Where sound must be to match the picture, by sender reports. */
static void ask_reports(const struct timeline_track *audio, const struct timeline_track *video,
                        int64_t source_us, int64_t now_us, struct timeline_steer_peer *peer)
{
    if (!timeline_peer_are_known(audio, video, now_us) ||
        timeline_steer_denies_reports(&audio->steer) ||
        timeline_steer_denies_reports(&video->steer))
        return;
    int64_t wall = camera_clock_wall(&audio->camera, source_us);
    int64_t picture = camera_clock_stamp(&video->camera, wall);
    peer->wanted_us = out_of(video, picture) - out_of(audio, source_us);
    peer->certain = llabs(peer->wanted_us) < RELATION_MAX_US;
    peer->proven = audio->camera.paced && video->camera.paced;
    if (audio->camera.steady && video->camera.steady)
        peer->clock_pace =
            timeline_steer_clock(&video->steer) * audio->camera.pace / video->camera.pace;
}

/* Do the two tracks' arrivals say that their clocks do not keep step?  A track that became late at
 * once is still in step. */
static bool run_apart(const struct timeline_steer *audio, const struct timeline_steer *video,
                      int64_t wanted_us)
{
    double audio_pace = timeline_steer_clock(audio), video_pace = timeline_steer_clock(video);
    double error = fmax(fabs(audio_pace - 1), fabs(video_pace - 1));
    double slope = timeline_steer_slope(video);
    int64_t late_us = timeline_steer_late_us(audio) - timeline_steer_late_us(video);
    int64_t apart_us =
        timeline_steer_lateness_us(audio, slope) - timeline_steer_lateness_us(video, slope);
    bool together = llabs(apart_us - late_us) <= APART_US ||
                    (llabs(apart_us) <= APART_US && llabs(wanted_us) <= APART_US);
    return !together || fabs(audio_pace - video_pace) > APART_PACE + APART_SHARE * error;
}

/* The same by equal stamps. */
static void ask_stamps(const struct timeline_track *audio, const struct timeline_track *video,
                       int64_t source_us, struct timeline_steer_peer *peer)
{
    if (audio->offset_us != video->offset_us)
        return;
    peer->wanted_us = out_of(video, source_us) - out_of(audio, source_us);
    peer->asked = !run_apart(&audio->steer, &video->steer, peer->wanted_us);
}

struct timeline_steer_peer timeline_peer_ask(const struct timeline_track *audio,
                                             const struct timeline_track *video, int64_t source_us,
                                             int64_t now_us)
{
    struct timeline_steer_peer peer = {
        .correction = timeline_steer_correction(&video->steer),
        .off_us = timeline_steer_off_us(&video->steer),
    };
    ask_reports(audio, video, source_us, now_us, &peer);
    if (!peer.certain)
        ask_stamps(audio, video, source_us, &peer);
    return peer;
}
