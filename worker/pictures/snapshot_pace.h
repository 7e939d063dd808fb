/*
 * How often pictures are asked for, beside how long a GOP is: is it worth decoding frames before
 * somebody asks?  Worker, one thread.  Pure: the time is given.  Lives in its user by value.
 */
#ifndef WORKER_SNAPSHOT_PACE_H
#define WORKER_SNAPSHOT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot_pace {
    int64_t asked_us;   /* the last request; 0: none yet */
    bool asked_often;   /* the last two came within half a GOP */
    bool has_key;       /* key_dts_us is known */
    int64_t key_dts_us; /* of the newest key frame */
    int64_t gop_us; /* between the last two key frames, or since the last one if that is longer */
};

/** A video frame has come. */
void snapshot_pace_frame(struct snapshot_pace *pace, int64_t dts_us, bool key);

/** The camera is gone: the next key frame ends no GOP. */
void snapshot_pace_disconnect(struct snapshot_pace *pace);

/** A picture is asked for, now. */
void snapshot_pace_request(struct snapshot_pace *pace, int64_t now_us);

/** There are clients whose request is still open: they count as asking. */
void snapshot_pace_touch(struct snapshot_pace *pace, int64_t now_us);

/**
 * Is the next request expected within the GOP?  Then every frame has to be decoded anyway, and what
 * is decoded early need not be waited for.
 */
bool snapshot_pace_is_fast(const struct snapshot_pace *pace, int64_t now_us);

/** For how long has nobody asked, microseconds? */
int64_t snapshot_pace_idle_us(const struct snapshot_pace *pace, int64_t now_us);

#endif /* WORKER_SNAPSHOT_PACE_H */
