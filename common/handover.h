/*
 * What the successor of a worker needs to go on with its clients: memory that the master and one
 * worker share, with one slot per client.  Every process; no I/O after the mapping is made.
 *
 * The worker marks its slots with plain stores, so that whenever it is killed the master knows
 * about each client whether another worker may go on.  The master reads a slot only when the
 * worker's process has ended.  A worker that was taken over may write anything: the master believes
 * no more than handover_may_go_on() checks, and a slot is about that worker's own client.
 *
 * A slot belongs to the client with the ticket of the same number, from the CLIENT message that
 * carries the ticket until LEFT or RETURN carries it back.
 */
#ifndef COMMON_HANDOVER_H
#define COMMON_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory itself carries it.  Bump it on any change to the layout below, unless a reserved
 * member gets a meaning in which 0 says that nothing is known, as client did. */
#define HANDOVER_VERSION 1u
/* Clients beyond this number end with their worker.  Pages that nobody writes to cost nothing. */
#define HANDOVER_SLOTS 65536u
/* The longest time stamp of a viewer, milliseconds: FLV players read 31 bits. */
#define HANDOVER_TIME_MAX_MS INT32_MAX

enum handover_track { HANDOVER_VIDEO, HANDOVER_AUDIO, HANDOVER_TRACKS };

/* What became of the client's request so far.  Zero is right for a client that just came. */
enum handover_mark {
    HANDOVER_UNANSWERED, /* nothing was sent: the request can be answered from its beginning */
    HANDOVER_AGAIN,      /* the same request came once more and is not answered, no byte follows */
    HANDOVER_WHOLE,      /* the answer has begun, and ends with a whole FLV tag or MJPEG part */
    HANDOVER_KEPT,       /* answered whole; the connection stays, no byte of a request was read */
    HANDOVER_WITHIN,     /* anything else: within a write or a read, or left */
    HANDOVER_MARKS
};

/* One client: a cache line.  The members after `reading` are valid while the mark is WHOLE. */
struct handover_slot {
    _Atomic uint32_t mark;            /* enum handover_mark */
    _Atomic uint32_t reading;         /* 1: within a WebSocket frame from the viewer */
    int64_t last_ms[HANDOVER_TRACKS]; /* newest time stamp of each track; -1: none */
    uint64_t told[HANDOVER_TRACKS];   /* handover_digest() of the sequence header; 0: no track */
    uint64_t bytes;                   /* written by all workers so far */
    uint32_t codec;                   /* of the video: FourCC, big endian: 'avc1' 'hvc1' */
    uint32_t reserved;
    uint64_t client; /* whose it is: conn_id of its request.  The master's; workers leave it */
};
_Static_assert(sizeof(struct handover_slot) == 64, "the layout is part of HANDOVER_VERSION");

struct handover;

/**
 * Make the memory.  Its size is sealed, so that no worker can make the master's reads fail.
 *
 * @param fd   the memory, to be sent to the worker.  Caller owns.
 * @param out  Caller owns; handover_free().
 * @return 0 or negative errno.
 */
int handover_new(struct handover **out, int *fd);

/**
 * Map memory that handover_new() made.
 *
 * @param fd  Borrowed.
 * @return 0; negative errno; -EPROTO: another version or size.
 */
int handover_open(int fd, struct handover **out);

/** The same, for a master that takes another one's place: the descriptor is Moved on success. */
int handover_adopt(int *fd, struct handover **out);

/** @return the memory's descriptor, which a master's mapping keeps; -1: none.  Borrowed. */
int handover_descriptor(const struct handover *handover);

/** Unmap it, and clear *handover.  NULL is fine. */
void handover_free(struct handover **handover);

/** @return the slot of a ticket; NULL: this client has none. */
struct handover_slot *handover_slot(struct handover *handover, uint32_t ticket);

/** A new client: nothing is known about it.  @param client  conn_id of its request. */
void handover_reset(struct handover_slot *slot, uint64_t client);

/** A copy for a successor's slot, marked WHOLE; whose it is stays. */
void handover_copy(struct handover_slot *to, const struct handover_slot *from);

/** May another worker go on after this slot's last tag, as far as one can tell? */
bool handover_may_go_on(const struct handover_slot *slot);

/** @return a number, never 0, by which two sequence headers are told apart.  Not for security. */
uint64_t handover_digest(const uint8_t *record, size_t len);

static inline enum handover_mark handover_get(const struct handover_slot *slot)
{
    return (enum handover_mark)atomic_load_explicit(&slot->mark, memory_order_acquire);
}

/** Set a mark.  All that this thread wrote before is seen by whoever sees the mark. */
static inline void handover_set(struct handover_slot *slot, enum handover_mark mark)
{
    atomic_store_explicit(&slot->mark, (uint32_t)mark, memory_order_release);
}

/** A write, or a change of the slot, begins: nothing below may be done before the mark is set. */
static inline void handover_begin(struct handover_slot *slot)
{
    atomic_store_explicit(&slot->mark, HANDOVER_WITHIN, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

/** The parser of WebSocket frames is within one, or between two. */
static inline void handover_set_reading(struct handover_slot *slot, bool reading)
{
    atomic_store_explicit(&slot->reading, reading, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

static inline bool handover_is_reading(const struct handover_slot *slot)
{
    return atomic_load_explicit(&slot->reading, memory_order_relaxed) != 0;
}

#endif /* COMMON_HANDOVER_H */
