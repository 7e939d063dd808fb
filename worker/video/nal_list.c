#include "worker/video/nal_list.h"

#include "worker/media/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY (64u << 10)

void nal_list_free(struct nal_list *list)
{
    free(list->buffer);
    list->buffer = NULL;
}

void nal_list_clear(struct nal_list *list)
{
    list->base = list->buffer;
    list->used = 0;
    list->count = 0;
    list->overflow = false;
}

struct nal nal_list_get(const struct nal_list *list, unsigned i)
{
    assert(i < list->count);
    return (struct nal){.data = list->base + list->nals[i].offset, .len = list->nals[i].len};
}

/* Make room for len more bytes in the buffer. */
static bool reserve(struct nal_list *list, size_t len)
{
    assert(list->base == list->buffer);
    if (list->overflow || len > FRAME_MAX_BYTES - list->used) {
        list->overflow = true;
        return false;
    }
    if (list->used + len <= list->capacity)
        return true;
    size_t capacity = list->capacity == 0 ? FIRST_CAPACITY : list->capacity;
    while (capacity < list->used + len)
        capacity *= 2;
    uint8_t *buffer = realloc(list->buffer, capacity);
    if (buffer == NULL) {
        list->overflow = true;
        return false;
    }
    list->base = list->buffer = buffer;
    list->capacity = capacity;
    return true;
}

static void place(struct nal_list *list, size_t offset, size_t len)
{
    if (list->count == NAL_LIST_MAX) {
        list->overflow = true;
        return;
    }
    struct nal_place *last = &list->nals[list->count++];
    last->offset = (uint32_t)offset;
    last->len = (uint32_t)len;
    last->cut = false;
}

void nal_list_add(struct nal_list *list, const struct nal *nal)
{
    if (!reserve(list, nal->len))
        return;
    memcpy(list->buffer + list->used, nal->data, nal->len);
    place(list, list->used, nal->len);
    list->used += nal->len;
}

void nal_list_extend(struct nal_list *list, const uint8_t *data, size_t len)
{
    assert(list->count > 0);
    if (!reserve(list, len))
        return;
    struct nal_place *last = &list->nals[list->count - 1];
    list->used = last->offset + last->len; /* it may have been trimmed */
    memcpy(list->buffer + list->used, data, len);
    last->len += (uint32_t)len;
    list->used += len;
}

void nal_list_trim(struct nal_list *list, size_t min_len)
{
    if (list->count == 0)
        return;
    struct nal_place *last = &list->nals[list->count - 1];
    while (last->len > min_len && list->base[last->offset + last->len - 1] == 0)
        last->len--;
}

void nal_list_refer(struct nal_list *list, const uint8_t *base, const struct nal *nal)
{
    assert(list->used == 0 && (list->count == 0 || list->base == base));
    list->base = base;
    size_t offset = (size_t)(nal->data - base);
    if (offset + nal->len > FRAME_MAX_BYTES)
        list->overflow = true;
    else
        place(list, offset, nal->len);
}

void nal_list_append(struct nal_list *list, struct nal_list *other)
{
    list->overflow = list->overflow || other->overflow;
    for (unsigned i = 0; i < other->count; i++) {
        struct nal nal = nal_list_get(other, i);
        nal_list_add(list, &nal);
    }
    nal_list_clear(other);
}

void nal_list_drop_last(struct nal_list *list)
{
    if (list->count > 0)
        list->count--;
}

void nal_list_cut_last(struct nal_list *list)
{
    if (list->count > 0)
        list->nals[list->count - 1].cut = true;
}

void nal_list_drop_cut(struct nal_list *list)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < list->count; i++)
        if (!list->nals[i].cut)
            list->nals[kept++] = list->nals[i];
    list->count = kept;
}
