/*
 * Finds items by text: a hash table of texts that live elsewhere.  Master, loop thread; pure, no
 * I/O.
 *
 * Open addressing with linear probing, at most half full.  The hash is no secret: texts chosen to
 * collide turn it into a linear search, but the caller bounds the number of entries.
 */
#ifndef MASTER_TEXT_INDEX_H
#define MASTER_TEXT_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct text_index_slot {
    uint64_t hash;
    const char *text; /* NULL: empty */
    const void *item;
};

struct text_index { /* zeroed at first */
    struct text_index_slot *slots;
    size_t room; /* 0 or a power of two */
    size_t used;
};

/**
 * Add an item.  Several may have the same text.
 *
 * @param text  terminated.  Borrowed until the item is removed; must not change meanwhile.
 * @param item  not NULL.  Borrowed.
 */
void text_index_put(struct text_index *index, const char *text, const void *item);

/** @return an item with an equal text, any of them if there are several; NULL: none. */
const void *text_index_find(const struct text_index *index, const char *text);

/** Remove an item that was put with a text.  Nothing happens when it is not there. */
void text_index_remove(struct text_index *index, const char *text, const void *item);

/** Forget all items and give the memory back.  The index can be used again. */
void text_index_clear(struct text_index *index);

#endif /* MASTER_TEXT_INDEX_H */
