#include "master/text_index.h"

#include "common/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 16

/* FNV-1a, 64 bits, with the high bits, which are mixed better, folded into the low ones. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

static size_t next(const struct text_index *index, size_t i)
{
    return (i + 1) & (index->room - 1);
}

/* Where does the probing for a hash begin? */
static size_t home(const struct text_index *index, uint64_t hash)
{
    return (size_t)hash & (index->room - 1);
}

static void put_slot(struct text_index *index, const struct text_index_slot *slot)
{
    size_t i = home(index, slot->hash);
    while (index->slots[i].text != NULL)
        i = next(index, i);
    index->slots[i] = *slot;
    index->used++;
}

static void grow(struct text_index *index)
{
    struct text_index old = *index;
    index->room = old.room > 0 ? 2 * old.room : ROOM_MIN;
    index->slots = xcalloc(index->room, sizeof(index->slots[0]));
    index->used = 0;
    for (size_t i = 0; i < old.room; i++) {
        if (old.slots[i].text != NULL)
            put_slot(index, &old.slots[i]);
    }
    free(old.slots);
}

void text_index_put(struct text_index *index, const char *text, const void *item)
{
    const struct text_index_slot slot = {.hash = hash_text(text), .text = text, .item = item};
    assert(item != NULL);
    if (2 * (index->used + 1) > index->room)
        grow(index);
    put_slot(index, &slot);
}

/* The slot with this text and, unless NULL, this item; room when there is none. */
static size_t find_slot(const struct text_index *index, const char *text, const void *item)
{
    uint64_t hash = hash_text(text);
    if (index->room == 0)
        return 0;
    for (size_t i = home(index, hash); index->slots[i].text != NULL; i = next(index, i)) {
        const struct text_index_slot *slot = &index->slots[i];
        if (slot->hash == hash && (item == NULL || slot->item == item) &&
            strcmp(slot->text, text) == 0)
            return i;
    }
    return index->room;
}

const void *text_index_find(const struct text_index *index, const char *text)
{
    size_t i = find_slot(index, text, NULL);
    return i < index->room ? index->slots[i].item : NULL;
}

/* Moves up the entries that the removed slot displaced, so that no probing ends early (Knuth, The
 * Art of Computer Programming, volume 3, algorithm 6.4 R). */
void text_index_remove(struct text_index *index, const char *text, const void *item)
{
    size_t hole = find_slot(index, text, item);
    if (hole == index->room)
        return;
    for (size_t i = next(index, hole); index->slots[i].text != NULL; i = next(index, i)) {
        size_t wanted = home(index, index->slots[i].hash);
        size_t mask = index->room - 1;
        if (((i - wanted) & mask) < ((i - hole) & mask))
            continue; /* its probing begins behind the hole */
        index->slots[hole] = index->slots[i];
        hole = i;
    }
    index->slots[hole] = (struct text_index_slot){0};
    index->used--;
}

void text_index_clear(struct text_index *index)
{
    free(index->slots);
    *index = (struct text_index){0};
}
