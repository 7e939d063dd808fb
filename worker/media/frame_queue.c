#include "worker/media/frame_queue.h"

#include <string.h>

void frame_queue_init(struct frame_queue *q)
{
    memset(q, 0, sizeof(*q));
    (void)pthread_mutex_init(&q->lock, NULL);
}

static void item_free(struct frame_queue_item *item)
{
    frame_unref(&item->frame);
    codec_config_unref(&item->audio);
}

void frame_queue_destroy(struct frame_queue *q)
{
    struct frame_queue_item item;
    while (frame_queue_take(q, &item))
        item_free(&item);
    (void)pthread_mutex_destroy(&q->lock);
}

/* The last slot is kept for the tracks item, which is never refused: each connection has one. */
static bool has_room(const struct frame_queue *q, const struct frame *frame)
{
    return q->count < FRAME_QUEUE_ITEMS - 1 && q->bytes + frame->len <= FRAME_QUEUE_BYTES;
}

static bool accepts(struct frame_queue *q, const struct frame *frame)
{
    if (frame == NULL)
        return q->count < FRAME_QUEUE_ITEMS;
    if (q->refusing && !(frame->track == TRACK_VIDEO && frame->key))
        return false;
    q->refusing = !has_room(q, frame);
    return !q->refusing;
}

bool frame_queue_push(struct frame_queue *q, struct frame_queue_item item)
{
    (void)pthread_mutex_lock(&q->lock);
    bool accepted = accepts(q, item.frame);
    if (accepted) {
        q->items[(q->first + q->count++) % FRAME_QUEUE_ITEMS] = item;
        q->bytes += item.frame != NULL ? item.frame->len : 0;
    } else {
        q->refused++;
    }
    bool filling = q->count > FRAME_QUEUE_ITEMS / 4 || q->bytes > FRAME_QUEUE_BYTES / 4;
    (void)pthread_mutex_unlock(&q->lock);
    if (!accepted)
        item_free(&item);
    return filling;
}

bool frame_queue_take(struct frame_queue *q, struct frame_queue_item *item)
{
    (void)pthread_mutex_lock(&q->lock);
    bool taken = q->count > 0;
    if (taken) {
        *item = q->items[q->first];
        q->first = (q->first + 1) % FRAME_QUEUE_ITEMS;
        q->count--;
        q->bytes -= item->frame != NULL ? item->frame->len : 0;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return taken;
}

uint64_t frame_queue_refused(struct frame_queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    uint64_t n = q->refused;
    (void)pthread_mutex_unlock(&q->lock);
    return n;
}
