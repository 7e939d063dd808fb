/*
 * The H.264 rendition of a camera whose own codec not all viewers can play: one decoder and one
 * encoder, shared by all viewers, on a thread of their own.  Worker.  Every function is called on
 * the loop thread, and none waits for the encoder.  Open it when the first such viewer comes, close
 * it when the last one goes.
 *
 * Pictures keep their pts; there are no B-frames, so dts equals pts.  The output is at most as
 * large as the rendition is opened for, 8-bit 4:2:0, with a key frame at least every 2 s and
 * parameter sets in every key frame.
 *
 * The rendition leaves out pictures rather than fall behind: pictures far behind the newest frame
 * are decoded but not encoded (so a GOP pushed at once gives the newest picture soon), but for one
 * in RENDITION_STARVED_US: where the machine is so short of time that each picture is far behind
 * when it is decoded, viewers see that one.  When even decoding cannot keep up (RENDITION_QUEUE_*),
 * everything up to the next key frame is dropped.
 */
#ifndef WORKER_RENDITION_H
#define WORKER_RENDITION_H

#include "worker/media/frame.h"

#include <stdint.h>
#include <uv.h>

/* Bounds of the input queue: beyond either, it is emptied and waits for a key frame. */
#define RENDITION_QUEUE_FRAMES 1024
#define RENDITION_QUEUE_BYTES (48u << 20)
/* Pictures that are older than the newest one queued by more than this are not encoded. */
#define RENDITION_LATE_US 250000
#define RENDITION_STARVED_US 1000000
#define RENDITION_KEY_INTERVAL_US 2000000

struct rendition;

struct rendition_stats {
    uint64_t frames_in;      /* pushed */
    uint64_t frames_out;     /* emitted */
    uint64_t frames_late;    /* decoded, but too late to be encoded */
    uint64_t frames_dropped; /* never decoded: queue full, damaged, or waiting for a key frame */
};

/**
 * Start the thread.
 *
 * @param lines_max  as for transcoder_new().
 * @param emit  called on the loop thread with each H.264 frame.  The frame is Borrowed: take a
 *              reference to keep it.  Its received_us is when it was encoded.
 *              Never called after rendition_close().
 * @param out   the rendition.  Caller owns; rendition_close().
 * @return 0; -ENOTSUP if this libavcodec has no decoder of the codec or no libx264; other negative
 *         errno.
 */
int rendition_open(uv_loop_t *loop, enum AVCodecID codec, int lines_max,
                   void (*emit)(void *ctx, struct frame *frame), void *ctx, struct rendition **out);

/**
 * Push the camera's next frame, in decoding order.  Audio and H.264 are ignored.  After a
 * gap that frame->damaged does not mark, the first frame must be a key frame.
 *
 * @param frame  Shared: a reference is taken.
 */
void rendition_push(struct rendition *rendition, struct frame *frame);

/** Make the next picture a key frame: a viewer joins. */
void rendition_request_key(struct rendition *rendition);

/** Counters since rendition_open(). */
void rendition_get_stats(struct rendition *rendition, struct rendition_stats *stats);

/** Add stats to sum. */
void rendition_stats_add(struct rendition_stats *sum, const struct rendition_stats *stats);

/** How long it has failed: the time in us from the first to the newest frame that could not be
 * decoded or encoded, since the last frame came out.  0: it has not failed, or only once. */
int64_t rendition_failing_us(struct rendition *rendition);

/**
 * Stop.  Returns at once; the thread ends after its current picture, and the loop joins it.
 *
 * @param rendition  Moved: *rendition becomes NULL.  If it is NULL already, closed is not called.
 * @param closed     called on the loop thread when all is released; may be NULL.
 */
void rendition_close(struct rendition **rendition, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_RENDITION_H */
