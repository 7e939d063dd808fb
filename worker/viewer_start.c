#include "worker/viewer_start.h"

#include "worker/aac.h"

/*
 * How far the player is behind what the camera sends: the lead, and 0.03 to 0.1 s that it takes to
 * begin.  That has to do for what mpegts.js (which hands on a frame when the next one has come) and
 * Chromium (50 ms of sound) need, and for a way that is not always as fast: with 60 ms less it ran
 * dry in half of the joins.
 */
#define LEAD_US 90000
#define SOUND_LATE_US 100000     /* while it is not known by how much */
#define SOUND_LATE_MAX_US 300000 /* later than that it is not waited for from the beginning */
#define RECENT_US 1000000        /* sound that tells how late it is */
#define EDGE_AGE_MAX_US 200000   /* of the newest picture, as far as it counts */
#define SILENCE_US 400000

/* The cached GOP. */
struct gop {
    uint64_t pictures; /* after the key frame */
    bool sounds;
    int64_t sound_us;      /* dts of the newest sound */
    int64_t sound_late_us; /* by how much sound came later than the newest picture, at most */
};

static int64_t delay_us(const struct frame *f)
{
    return f->received_us - f->dts_us;
}

static const struct frame *newest_picture(const struct frame_ring *ring)
{
    const struct frame *f = NULL;
    for (uint64_t seq = frame_ring_head(ring); seq > frame_ring_tail(ring); seq--) {
        f = frame_ring_get(ring, seq - 1);
        if (f->track == TRACK_VIDEO)
            return f;
    }
    return NULL;
}

static struct gop look_at_gop(const struct frame_ring *ring, uint64_t key, const struct frame *edge)
{
    struct gop g = {.sound_late_us = INT64_MIN};
    for (uint64_t seq = key + 1; seq < frame_ring_head(ring); seq++) {
        const struct frame *f = frame_ring_get(ring, seq);
        if (f->track == TRACK_VIDEO) {
            g.pictures++;
            continue;
        }
        g.sounds = true;
        g.sound_us = f->dts_us;
        int64_t late_us = delay_us(f) - delay_us(edge);
        if (edge->received_us - f->received_us < RECENT_US && late_us > g.sound_late_us)
            g.sound_late_us = late_us;
    }
    return g;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static int64_t sound_late_us(const struct gop *g)
{
    if (g->sound_late_us == INT64_MIN)
        return SOUND_LATE_US;
    return clamp(g->sound_late_us, 0, SOUND_LATE_MAX_US);
}

/* Whole frames of silence that end where a frame of the camera's sound will begin. */
static void place_silence(struct viewer_start *s, const struct gop *g, int sample_rate)
{
    int64_t frame_us = INT64_C(1000000) * AAC_FRAME_SAMPLES / sample_rate;
    int64_t level_us = viewer_clock_level_us(&s->clock);
    s->silent_to_us = level_us > SILENCE_US ? level_us : SILENCE_US;
    if (g->sounds) {
        int64_t sound_us = g->sound_us - s->clock.edge_us + s->clock.lead_us;
        s->silent_from_us = sound_us % frame_us + (sound_us % frame_us < 0 ? frame_us : 0);
    }
}

static void start_live(struct viewer_start *s, const struct frame_ring *ring, uint64_t key,
                       const struct codec_config *audio, int64_t now_us)
{
    const struct frame *edge = newest_picture(ring);
    int64_t key_us = frame_ring_get(ring, key)->dts_us;
    struct gop g = look_at_gop(ring, key, edge);
    int64_t lead_us = LEAD_US - clamp(now_us - edge->received_us, 0, EDGE_AGE_MAX_US);
    lead_us += audio != NULL ? sound_late_us(&g) : 0;
    int64_t most_us = audio != NULL ? lead_us : (int64_t)g.pictures * VIEWER_CLOCK_STEP_US;
    viewer_clock_start_live(&s->clock, key_us, edge->dts_us, g.pictures,
                            clamp(lead_us, 0, most_us));
    if (audio != NULL)
        place_silence(s, &g, audio->sample_rate);
}

struct viewer_start viewer_start_find(const struct frame_ring *ring, enum ipc_join join,
                                      const struct codec_config *audio, int64_t now_us)
{
    struct viewer_start s = {0};
    uint64_t key;
    bool cached = frame_ring_key(ring, &key);
    bool at_key = cached && key + 1 == frame_ring_head(ring);
    if (!cached || (join == IPC_JOIN_KEY && !at_key)) {
        s.cursor = frame_ring_head(ring);
        s.wait_key = true;
        viewer_clock_start(&s.clock, frame_ring_newest_dts_us(ring));
        return s;
    }
    s.cursor = key;
    if (join == IPC_JOIN_LIVE)
        start_live(&s, ring, key, audio, now_us);
    else
        viewer_clock_start(&s.clock, frame_ring_get(ring, key)->dts_us);
    return s;
}
