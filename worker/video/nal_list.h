/*
 * The NAL units of an access unit in progress.  Worker, the source's thread; pure.
 *
 * They are copied into a buffer that grows and is kept, or, where nothing is in the buffer, listed
 * where they are: most access units come in one piece.
 */
#ifndef WORKER_NAL_LIST_H
#define WORKER_NAL_LIST_H

#include "worker/video/nal.h"

/* A list over one of these is of no use any more: overflow is set. */
#define NAL_LIST_MAX_BYTES (8u << 20)
#define NAL_LIST_MAX 1024

struct nal_place {
    uint32_t offset; /* from base */
    uint32_t len;
};

/* Plain: lives in its user by value, zeroed.  Members are read only, but for nal_list.c. */
struct nal_list {
    const uint8_t *base; /* buffer, or where NAL units are listed in place */
    unsigned count;
    bool overflow;
    size_t used; /* bytes of buffer */
    size_t capacity;
    uint8_t *buffer;
    struct nal_place nals[NAL_LIST_MAX];
};

void nal_list_free(struct nal_list *list);

/** Forget all NAL units, keep the memory. */
void nal_list_clear(struct nal_list *list);

/** NAL unit i.  Borrowed until the list changes. */
struct nal nal_list_get(const struct nal_list *list, unsigned i);

/** Copy a NAL unit to the end. */
void nal_list_add(struct nal_list *list, const struct nal *nal);

/** Copy more bytes to the last NAL unit, which was copied too. */
void nal_list_extend(struct nal_list *list, const uint8_t *data, size_t len);

/** Take zero bytes off the end of the last NAL unit, down to min_len bytes. */
void nal_list_trim(struct nal_list *list, size_t min_len);

/**
 * List a NAL unit where it is: in an empty list, or after others listed so.
 *
 * @param base  the block that holds all of them.  Borrowed until nal_list_clear().
 */
void nal_list_refer(struct nal_list *list, const uint8_t *base, const struct nal *nal);

/** Copy the NAL units of another list to the end, and clear that one. */
void nal_list_append(struct nal_list *list, struct nal_list *other);

/** Forget the last NAL unit. */
void nal_list_drop_last(struct nal_list *list);

#endif /* WORKER_NAL_LIST_H */
