/*
 * Frames on their way from the source's thread to the loop thread.  Worker; pushed from one
 * thread, taken on the loop thread.
 *
 * Bounds: FRAME_QUEUE_ITEMS and FRAME_QUEUE_BYTES.  At the bound frames are refused until the
 * next key frame fits, so that what comes out is always decodable; refusals are counted.
 */
#ifndef WORKER_FRAME_QUEUE_H
#define WORKER_FRAME_QUEUE_H

#include "worker/media/frame.h"

#include <pthread.h>

#define FRAME_QUEUE_ITEMS 1024
#define FRAME_QUEUE_BYTES ((size_t)64 << 20)

/* Either a frame, or the news that the tracks are settled. */
struct frame_queue_item {
    struct frame *frame;         /* NULL: tracks */
    enum AVCodecID camera_audio; /* of a tracks item: what the camera sends, or NONE */
    struct codec_config *audio;  /* of a tracks item: the AAC configuration, or NULL */
};

struct frame_queue {
    pthread_mutex_t lock;
    struct frame_queue_item items[FRAME_QUEUE_ITEMS];
    unsigned first;
    unsigned count;
    size_t bytes;
    bool refusing; /* until the next key frame */
    uint64_t refused;
};

void frame_queue_init(struct frame_queue *q);
/** Free what is left in the queue.  No thread may use it any more. */
void frame_queue_destroy(struct frame_queue *q);

/** Append an item; its frame and configuration are moved, whether they fit or not. */
void frame_queue_push(struct frame_queue *q, struct frame_queue_item item);

/** @return true and *item filled (Caller owns what is in it), or false when empty. */
bool frame_queue_take(struct frame_queue *q, struct frame_queue_item *item);

/** Frames refused so far. */
uint64_t frame_queue_refused(struct frame_queue *q);

#endif /* WORKER_FRAME_QUEUE_H */
