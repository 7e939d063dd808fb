/*
 * The NAL units of an access unit in progress.  Worker, the source's thread; pure.
 *
 * They are copied into a buffer that grows and is reused, or, while the buffer is empty, listed in
 * place: most access units come in one piece.
 */
#ifndef WORKER_NAL_LIST_H
#define WORKER_NAL_LIST_H

#include "worker/video/nal.h"

/* A list that would exceed one of these sets overflow and is useless from then on. */
#define NAL_LIST_MAX 1024

struct nal_place {
    uint32_t offset; /* from base */
    uint32_t len;
    bool cut; /* a part of it is missing */
};

/* Plain: lives in its user by value, zeroed.  Only nal_list.c writes the members. */
struct nal_list {
    const uint8_t *base; /* buffer, or the block of NAL units listed in place */
    unsigned count;
    bool overflow;
    size_t used; /* bytes of buffer */
    size_t capacity;
    uint8_t *buffer;
    struct nal_place nals[NAL_LIST_MAX];
};

/** Free the memory; the list itself is the caller's. */
void nal_list_free(struct nal_list *list);

/** Forget all NAL units, keep the memory. */
void nal_list_clear(struct nal_list *list);

/** Get NAL unit i.  Borrowed until the list changes. */
struct nal nal_list_get(const struct nal_list *list, unsigned i);

/** Copy a NAL unit to the end. */
void nal_list_add(struct nal_list *list, const struct nal *nal);

/** Copy more bytes to the end of the last NAL unit, which must itself be a copy. */
void nal_list_extend(struct nal_list *list, const uint8_t *data, size_t len);

/** Remove zero bytes from the end of the last NAL unit, but keep min_len bytes. */
void nal_list_trim(struct nal_list *list, size_t min_len);

/**
 * List a NAL unit in place: in an empty list, or after others in place.
 *
 * @param base  the block that holds all of them.  Borrowed until nal_list_clear().
 */
void nal_list_refer(struct nal_list *list, const uint8_t *base, const struct nal *nal);

/** Copy the NAL units of another list to the end, and clear the other list. */
void nal_list_append(struct nal_list *list, struct nal_list *other);

/** Forget the last NAL unit. */
void nal_list_drop_last(struct nal_list *list);

/** A part of the last NAL unit is missing. */
void nal_list_cut_last(struct nal_list *list);

/** Forget the NAL units that are cut. */
void nal_list_drop_cut(struct nal_list *list);

#endif /* WORKER_NAL_LIST_H */
