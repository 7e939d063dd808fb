/*
 * Test help: a camera's sound put into worker/audio/ packet by packet, at times that the test
 * chooses, and where the bursts of its tone come out.  AUDIO_VERBOSE=1 prints what is measured.
 */
#ifndef TEST_UNIT_AUDIO_SESSION_H
#define TEST_UNIT_AUDIO_SESSION_H

#include "test/unit/audio_tools.h"

#include <stdio.h>

static inline bool audio_verbose(void)
{
    return getenv("AUDIO_VERBOSE") != NULL;
}

/* The two ways of making AAC: by transcoding, and by sending on. */
static const struct camera_audio ways[2] = {
    {.encoder = "pcm_alaw", .sample_rate = 8000, .channels = 1, .bursts = true},
    {.encoder = "aac", .sample_rate = 16000, .channels = 1, .bit_rate = 48000, .bursts = true},
};

struct session {
    struct camera_audio camera;
    struct audio *audio;
    struct output out;
};

static inline void session_open_sparse(struct session *s, const struct camera_audio *camera,
                                       int seconds, int every)
{
    memset(s, 0, sizeof(*s));
    s->camera = *camera;
    camera_audio_open(&s->camera);
    assert_int_equal(audio_open(&s->audio, s->camera.par, output_take, &s->out), 0);
    output_open(&s->out, audio_config(s->audio), seconds, every);
}

static inline void session_open(struct session *s, const struct camera_audio *camera, int seconds)
{
    session_open_sparse(s, camera, seconds, 0);
}

static inline void session_close(struct session *s)
{
    audio_close(&s->audio);
    output_close(&s->out);
    camera_audio_close(&s->camera);
}

/* Make the camera's next packet.  @return its time in the camera's samples, in seconds. */
static inline double next_packet(struct session *s)
{
    camera_audio_next(&s->camera);
    return (double)s->camera.packet->pts / s->camera.sample_rate;
}

static inline void push_at(struct session *s, double time_s)
{
    int64_t pts_us = START + llrint(time_s * 1e6);
    const AVPacket *p = s->camera.packet;
    assert_int_equal(audio_push(s->audio, p->data, (size_t)p->size, pts_us, pts_us), 0);
}

static inline double onset_error_ms(const struct session *s, int second)
{
    return (output_onset(&s->out, second + 0.3, second + 0.9) - (second + 0.5)) * 1000;
}

/*
 * The camera's samples run at one clock, its time stamps at another that is fast by skew.  For
 * every second the sound must be where the time stamps say.
 */
static inline void run_skewed(const struct camera_audio *camera, double skew, int seconds,
                              int every, double max_ms)
{
    struct session s;
    double worst = 0, last = 0;
    struct camera_audio sparse = *camera;
    sparse.burst_every = every;
    session_open_sparse(&s, &sparse, seconds + 2, every);
    for (double t = 0; t * (1 + skew) < seconds + 1;) {
        t = next_packet(&s);
        push_at(&s, t * (1 + skew));
    }
    for (int second = 1; second < seconds - 1; second++) {
        /* A burst begins at .5 of the camera's second, which is then: */
        double truth = (second + 0.5) * (1 + skew);
        if (every > 0 && second % every != 0)
            continue;
        last = (output_onset(&s.out, truth - 0.2, truth + 0.2) - truth) * 1000;
        worst = fmax(worst, fabs(last));
        if (truth > seconds - 1)
            break;
    }
    if (audio_verbose())
        print_message("%s, skew %+.2f %%, %d s: worst %.1f ms, at the end %.1f ms\n",
                      camera->encoder, skew * 100, seconds, worst, last);
    assert_true(worst < max_ms);
    assert_true(fabs(last) < 6);
    assert_true(s.out.worst_gap_us <= 1 * MS);
    session_close(&s);
}

#endif /* TEST_UNIT_AUDIO_SESSION_H */
