/*
 * Frames on their way from the source's thread to the loop thread.  Worker; one thread pushes, the
 * loop thread takes.
 *
 * Bounds: FRAME_QUEUE_ITEMS and FRAME_QUEUE_BYTES.  A full queue refuses and counts frames until
 * the next key frame fits, so that the frames which come out can always be decoded.
 */
#ifndef WORKER_FRAME_QUEUE_H
#define WORKER_FRAME_QUEUE_H

#include "worker/media/frame.h"

#include <pthread.h>

#define FRAME_QUEUE_ITEMS 1024
#define FRAME_QUEUE_BYTES ((size_t)64 << 20)

/* A frame, or the message that the tracks are known. */
struct frame_queue_item {
    struct frame *frame;         /* NULL: a tracks item */
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
/** Free the items that are left.  No thread may use the queue any more. */
void frame_queue_destroy(struct frame_queue *q);

/**
 * Append an item.  Its frame and configuration are Moved, whether they fit or not.
 *
 * @return true if more than a quarter of the queue is full now.
 */
bool frame_queue_push(struct frame_queue *q, struct frame_queue_item item);

/** @return true and *item filled (Caller owns its contents), or false if the queue is empty. */
bool frame_queue_take(struct frame_queue *q, struct frame_queue_item *item);

/** Frames refused so far. */
uint64_t frame_queue_refused(struct frame_queue *q);

#endif /* WORKER_FRAME_QUEUE_H */
