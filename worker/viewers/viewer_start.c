#include "worker/viewers/viewer_start.h"

#include "worker/media/aac.h"

/*
 * A player is behind the camera by the lead plus the 0.03 to 0.1 s that it takes to start.  This
 * must cover mpegts.js (which passes on a frame when the next one has come), Chromium (50 ms of
 * sound) and network jitter: with 60 ms less, players ran dry in half of the joins.
 */
#define LEAD_US 90000
#define SOUND_LATE_US 100000     /* assumed delay of sound while it is unknown */
#define SOUND_LATE_MAX_US 300000 /* the longest delay of sound that the lead covers */
#define RECENT_US 1000000        /* the delay of sound is measured over this time */
#define DISTANCE_US 40000        /* assumed distance between pictures while it is unknown */
#define EDGE_AGE_MAX_US 2000000
#define SILENCE_US 400000
#define SILENCE_MAX_US 2000000

/* What the frames of the last second show. */
struct recent {
    int64_t distance_us; /* between the newest two pictures: how old one is when the next comes */
    bool sounds;
    int64_t sound_us;      /* dts of the newest sound */
    int64_t sound_late_us; /* largest delay of sound against the newest picture */
};

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t delay_us(const struct frame *f)
{
    return f->received_us - f->dts_us;
}

static struct recent look_back(const struct frame_ring *ring, const struct frame *edge)
{
    struct recent r = {.distance_us = DISTANCE_US, .sound_late_us = SOUND_LATE_US};
    bool distance_known = false;
    for (uint64_t seq = frame_ring_head(ring); seq > frame_ring_tail(ring); seq--) {
        const struct frame *f = frame_ring_get(ring, seq - 1);
        int64_t age_us = edge->received_us - f->received_us;
        if (age_us > (distance_known ? RECENT_US : EDGE_AGE_MAX_US))
            break;
        if (f->track == TRACK_VIDEO && f != edge && !distance_known) {
            r.distance_us = age_us;
            distance_known = true;
        } else if (f->track == TRACK_AUDIO && age_us <= RECENT_US) {
            int64_t late_us = clamp(delay_us(f) - delay_us(edge), 0, SOUND_LATE_MAX_US);
            if (!r.sounds)
                r.sound_us = f->dts_us;
            if (!r.sounds || late_us > r.sound_late_us)
                r.sound_late_us = late_us;
            r.sounds = true;
        }
    }
    return r;
}

/* Place whole frames of silence that end where a frame of the camera's sound will begin. */
static void place_silence(struct viewer_start *s, const struct recent *r, int sample_rate)
{
    int64_t frame_us = aac_frame_us(sample_rate);
    int64_t to_us = clamp(viewer_clock_level_us(&s->clock), SILENCE_US, SILENCE_MAX_US);
    if (r->sounds) {
        int64_t sound_us = r->sound_us - s->clock.edge_us + s->clock.lead_us;
        s->silent_from_us = sound_us % frame_us + (sound_us % frame_us < 0 ? frame_us : 0);
    }
    s->silent_frames = (int)((to_us - s->silent_from_us + frame_us - 1) / frame_us);
    int64_t end_us = s->silent_from_us + s->silent_frames * frame_us;
    viewer_clock_sound_from(&s->clock, end_us - frame_us / 2);
}

static void start_live(struct viewer_start *s, const struct frame_ring *ring, uint64_t key,
                       const struct viewer_join *join, const struct codec_config *audio)
{
    const struct frame *edge = frame_ring_newest_picture(ring);
    struct recent r = look_back(ring, edge);
    uint64_t cached = frame_ring_pictures_after_key(ring);
    int64_t lead_us = LEAD_US - clamp(join->now_us - edge->received_us, 0, r.distance_us);
    if (audio != NULL)
        lead_us += r.sound_late_us + join->sound_held_us;
    else if (lead_us > (int64_t)cached * VIEWER_CLOCK_STEP_US)
        lead_us = (int64_t)cached * VIEWER_CLOCK_STEP_US;
    viewer_clock_start_live(&s->clock, frame_ring_get(ring, key)->dts_us, edge->dts_us, cached,
                            lead_us);
    if (audio != NULL)
        place_silence(s, &r, audio->sample_rate);
}

struct viewer_start viewer_start_find(const struct frame_ring *ring, const struct viewer_join *join,
                                      const struct codec_config *audio)
{
    struct viewer_start s = {0};
    uint64_t key;
    bool cached = frame_ring_key(ring, &key);
    bool at_key = cached && key + 1 == frame_ring_head(ring);
    if (!cached || (join->join == IPC_JOIN_KEY && !at_key)) {
        s.cursor = frame_ring_head(ring);
        s.wait_key = true;
        viewer_clock_start(&s.clock, frame_ring_newest_dts_us(ring));
        return s;
    }
    s.cursor = key;
    if (join->join == IPC_JOIN_LIVE)
        start_live(&s, ring, key, join, audio);
    else
        viewer_clock_start(&s.clock, frame_ring_get(ring, key)->dts_us);
    return s;
}
