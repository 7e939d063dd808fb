/*
 * Keeps the newest picture of a camera up to date on request: reads the ring of frames, and decodes
 * new frames in the thread pool, never more than one job at a time.  Worker, loop thread.
 *
 * Frames before the newest key frame are left out when that key frame has not been decoded yet;
 * otherwise each frame is decoded once, in order, except those that no other frame refers to. After
 * a damaged frame decoding starts anew at the next frame where it can, such as a recovery point.  A
 * feed of key frames decodes only key frames, each by itself.
 */
#ifndef WORKER_PICTURE_FEED_H
#define WORKER_PICTURE_FEED_H

#include "common/ipc.h"
#include "worker/media/frame_ring.h"
#include "worker/pictures/picture_stamp.h"

#include <libavutil/frame.h>
#include <uv.h>

/* Frames decoded by one job; a longer backlog takes several. */
#define PICTURE_FEED_JOB_FRAMES_MAX 128
/* A picture counts as the newest while at most this many frames after it could not be decoded. */
#define PICTURE_FEED_LOST_MAX 2

struct picture_feed;

/** @param kind  the newest picture, or the newest key frame.
 * @param on_done  called when a job is done, never from within a function of this file.
 * @param ring  Borrowed until picture_feed_close().
 * @return never NULL.  Caller owns; picture_feed_close(). */
struct picture_feed *picture_feed_new(uv_loop_t *loop, const struct frame_ring *ring,
                                      enum ipc_picture kind, void (*on_done)(void *ctx), void *ctx);

/** Free once no job is under way, then call closed(): maybe at once. */
void picture_feed_close(struct picture_feed *feed, void (*closed)(void *ctx), void *ctx);

/**
 * Decode the frames that have come since; a no-op while a job is under way.
 * @return true if a job is under way now; false if there is nothing to decode.
 */
bool picture_feed_update(struct picture_feed *feed);

/** Frames of the ring, of both tracks, that the feed has not looked at yet. */
uint64_t picture_feed_backlog(const struct picture_feed *feed);

/** Was the last frame decoded without errors, so that the next one can be? */
bool picture_feed_has_chain(const struct picture_feed *feed);

struct picture_feed_newest {
    /* Borrowed until control returns to the loop.  NULL: let go until the job under way, which
     * decodes several frames, is done. */
    const AVFrame *frame;
    struct picture_stamp stamp;
    /* The picture is the newest of all frames of the ring before this number; 0: it is not, because
     * too many frames after it could not be decoded. */
    uint64_t until;
};

/** Fill *newest. @return false: there is no good picture. */
bool picture_feed_get(const struct picture_feed *feed, struct picture_feed_newest *newest);

/** Why the last job failed: -ENOTSUP (codec), -ENOMEM; 0: it did not, or is under way. */
int picture_feed_error(const struct picture_feed *feed);

/** Give back all memory; the next update starts at the newest key frame of the ring. */
void picture_feed_forget(struct picture_feed *feed);

/** The ring was cleared: as picture_feed_forget(), and the frames so far do not count. */
void picture_feed_disconnect(struct picture_feed *feed);

/** Does it hold memory worth giving back? */
bool picture_feed_holds_memory(const struct picture_feed *feed);

/** Frames given to the decoder so far. */
uint64_t picture_feed_decoded(const struct picture_feed *feed);

#endif /* WORKER_PICTURE_FEED_H */
