/*
 * Frames of any video codec in, H.264 frames out: the synchronous half of the
 * rendition, without threads or queues of its own.  Worker, rendition thread (any one thread at a
 * time).  It must not touch the loop.
 */
#ifndef WORKER_TRANSCODER_H
#define WORKER_TRANSCODER_H

#include "worker/media/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct transcoder;

struct transcoder_sink {
    /* An H.264 frame.  Moved. */
    void (*on_frame)(void *ctx, struct frame *frame);
    /* Is a picture with this pts still worth encoding?  Called before each one. */
    bool (*wanted)(void *ctx, int64_t pts_us);
    void *ctx;
};

/** @return 0 if this libavcodec has a decoder of the codec, and the encoder; else -ENOTSUP. */
int transcoder_available(enum AVCodecID codec);

/**
 * @param lines_max        the longest short side of a picture; the long side is 16/9 of that, at
 *                         most.  Pictures are never made larger.
 * @param key_interval_us  longest time between two key frames.
 * @param sink  copied.
 * @return NULL when out of memory.  Caller owns; transcoder_free().
 */
struct transcoder *transcoder_new(int lines_max, int64_t key_interval_us,
                                  const struct transcoder_sink *sink);

/** Make the next encoded picture a key frame. */
void transcoder_request_key(struct transcoder *t);

/** The next frame does not continue the previous ones: forget pictures not yet out. */
void transcoder_flush(struct transcoder *t);

/**
 * Decode one frame and encode the pictures that come out.  After a frame that cannot be decoded,
 * frames are left out until the next key frame.
 *
 * @param frame  video, as in frame.h.  Borrowed.
 * @return 0, or negative errno when decoder or encoder could not be opened or failed; the next
 *         key frame tries again.
 */
int transcoder_push(struct transcoder *t, struct frame *frame);

/** NULL is fine. */
void transcoder_free(struct transcoder *t);

#endif /* WORKER_TRANSCODER_H */
