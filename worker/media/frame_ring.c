#include "worker/media/frame_ring.h"

#include "common/xalloc.h"

#include <assert.h>
#include <stdlib.h>

#define INITIAL_CAPACITY \
    256 /* a power of two, as every capacity: seq & (capacity - 1) is the slot */

struct frame_ring {
    struct frame **slots;
    size_t capacity;
    uint64_t tail;
    uint64_t head;
    uint64_t key; /* the one to begin with, meaningful while has_key */
    bool has_key;
    uint64_t newest_key;     /* likewise; it may be damaged */
    uint64_t newest_picture; /* meaningful once newest_dts_us is */
    size_t bytes;
    size_t max_bytes;
    int64_t max_lag_us;
    int64_t newest_dts_us;     /* of the pictures; INT64_MIN: none */
    int64_t newest_picture_us; /* its arrival, likewise */
    int64_t excused_us;
    uint64_t overflows;
};

static struct frame **slot(const struct frame_ring *r, uint64_t seq)
{
    return &r->slots[seq & (r->capacity - 1)];
}

/* What a frame takes of max_bytes: its head too, so that tiny frames cannot pile up. */
static size_t cost(const struct frame *f)
{
    return sizeof(*f) + f->len;
}

struct frame_ring *frame_ring_new(size_t max_bytes, int64_t max_lag_us)
{
    struct frame_ring *r = xcalloc(1, sizeof(*r));
    r->capacity = INITIAL_CAPACITY;
    r->slots = xcalloc(r->capacity, sizeof(struct frame *));
    r->newest_dts_us = r->newest_picture_us = r->excused_us = INT64_MIN;
    frame_ring_set_limits(r, max_bytes, max_lag_us);
    return r;
}

void frame_ring_free(struct frame_ring **ring)
{
    struct frame_ring *r = *ring;
    *ring = NULL;
    if (r == NULL)
        return;
    frame_ring_clear(r);
    free(r->slots);
    free(r);
}

void frame_ring_set_limits(struct frame_ring *ring, size_t max_bytes, int64_t max_lag_us)
{
    ring->max_bytes = max_bytes;
    ring->max_lag_us = max_lag_us;
}

static void drop_oldest(struct frame_ring *r)
{
    struct frame **f = slot(r, r->tail);
    r->bytes -= cost(*f);
    frame_unref(f);
    if (r->has_key && r->tail == r->key) {
        r->has_key = r->newest_key > r->key;
        r->key = r->newest_key;
    }
    r->tail++;
}

/* Is the oldest frame neither part of the GOP nor needed by a viewer within the lag allowed?  Sound
 * alone is nothing to join, however long the picture does not come.  Only arrival tells: the two
 * tracks' time stamps need not have much to do with each other. */
static bool oldest_is_spent(const struct frame_ring *r)
{
    int64_t newest_us = r->newest_picture_us;
    if (newest_us == INT64_MIN)
        newest_us = (*slot(r, r->head - 1))->received_us;
    else if (!r->has_key || r->tail >= r->key)
        return false;
    int64_t oldest_us = (*slot(r, r->tail))->received_us;
    if (oldest_us < r->excused_us)
        oldest_us = r->excused_us;
    return newest_us - oldest_us > r->max_lag_us;
}

static void grow(struct frame_ring *r)
{
    size_t capacity = r->capacity * 2;
    struct frame **slots = xcalloc(capacity, sizeof(struct frame *));
    for (uint64_t seq = r->tail; seq < r->head; seq++)
        slots[seq & (capacity - 1)] = *slot(r, seq);
    free(r->slots);
    r->slots = slots;
    r->capacity = capacity;
}

/* Viewers begin with a whole key frame, unless that is too long ago. */
static bool is_worse_than_key(const struct frame_ring *r, const struct frame *frame)
{
    const struct frame *key = r->has_key ? *slot(r, r->key) : NULL;
    return key != NULL && frame->damaged && !key->damaged &&
           frame->received_us - key->received_us <= FRAME_RING_WHOLE_KEY_US;
}

static void take_key(struct frame_ring *r, const struct frame *frame)
{
    r->newest_key = r->head;
    if (is_worse_than_key(r, frame))
        return;
    r->key = r->head;
    r->has_key = true;
}

void frame_ring_push(struct frame_ring *ring, struct frame *frame)
{
    assert(frame != NULL);
    if (ring->head - ring->tail == ring->capacity)
        grow(ring);
    if (frame->track == TRACK_VIDEO) {
        ring->newest_dts_us = frame->dts_us;
        ring->newest_picture_us = frame->received_us;
        ring->newest_picture = ring->head;
        if (frame->key)
            take_key(ring, frame);
    }
    *slot(ring, ring->head++) = frame;
    ring->bytes += cost(frame);

    while (oldest_is_spent(ring))
        drop_oldest(ring);
    bool had_key = ring->has_key;
    while (ring->bytes > ring->max_bytes && ring->head - ring->tail > 1)
        drop_oldest(ring);
    if (had_key && !ring->has_key)
        ring->overflows++;
}

void frame_ring_clear(struct frame_ring *ring)
{
    while (ring->tail < ring->head)
        drop_oldest(ring);
    ring->newest_dts_us = ring->newest_picture_us = INT64_MIN;
}

uint64_t frame_ring_head(const struct frame_ring *ring)
{
    return ring->head;
}

uint64_t frame_ring_tail(const struct frame_ring *ring)
{
    return ring->tail;
}

struct frame *frame_ring_get(const struct frame_ring *ring, uint64_t seq)
{
    return seq >= ring->tail && seq < ring->head ? *slot(ring, seq) : NULL;
}

bool frame_ring_key(const struct frame_ring *ring, uint64_t *seq)
{
    if (ring->has_key)
        *seq = ring->key;
    return ring->has_key;
}

bool frame_ring_newest_key(const struct frame_ring *ring, uint64_t *seq)
{
    if (ring->has_key)
        *seq = ring->newest_key;
    return ring->has_key;
}

uint64_t frame_ring_pictures_after_key(const struct frame_ring *ring)
{
    uint64_t pictures = 0;
    for (uint64_t seq = ring->key + 1; ring->has_key && seq < ring->head; seq++)
        pictures += (*slot(ring, seq))->track == TRACK_VIDEO;
    return pictures;
}

struct frame *frame_ring_newest_picture(const struct frame_ring *ring)
{
    bool any = ring->newest_dts_us != INT64_MIN;
    return any ? frame_ring_get(ring, ring->newest_picture) : NULL;
}

int64_t frame_ring_newest_dts_us(const struct frame_ring *ring)
{
    return ring->newest_dts_us;
}

int64_t frame_ring_newest_arrival_us(const struct frame_ring *ring)
{
    return ring->newest_picture_us;
}

void frame_ring_excuse_lag(struct frame_ring *ring, int64_t until_us)
{
    ring->excused_us = until_us;
}

int64_t frame_ring_excused_us(const struct frame_ring *ring)
{
    return ring->excused_us;
}

uint64_t frame_ring_overflows(const struct frame_ring *ring)
{
    return ring->overflows;
}
