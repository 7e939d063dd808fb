/*
 * Compares how often pictures are requested with the length of a GOP: is it worth decoding frames
 * early?  Worker, one thread.  Pure: the time is passed in.  Lives in its user by value.
 */
#ifndef WORKER_SNAPSHOT_PACE_H
#define WORKER_SNAPSHOT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot_pace {
    int64_t asked_us;   /* time of the last request; 0: none yet */
    bool asked_often;   /* the last two came within half a GOP */
    bool has_key;       /* key_dts_us is known */
    int64_t key_dts_us; /* dts of the newest key frame */
    int64_t gop_us;     /* time between the last two key frames, or since the last one if longer */
};

/** A video frame has come. */
void snapshot_pace_frame(struct snapshot_pace *pace, int64_t dts_us, bool key);

/** The camera is gone: the next key frame ends no GOP. */
void snapshot_pace_disconnect(struct snapshot_pace *pace);

/** A picture is requested now. */
void snapshot_pace_request(struct snapshot_pace *pace, int64_t now_us);

/** Clients are waiting or streaming: they count as asking. */
void snapshot_pace_touch(struct snapshot_pace *pace, int64_t now_us);

/**
 * Is the next request expected within the GOP?  Then every frame must be decoded anyway, and
 * decoding early shortens the wait.
 */
bool snapshot_pace_is_fast(const struct snapshot_pace *pace, int64_t now_us);

/** Microseconds since somebody last asked. */
int64_t snapshot_pace_idle_us(const struct snapshot_pace *pace, int64_t now_us);

#endif /* WORKER_SNAPSHOT_PACE_H */
