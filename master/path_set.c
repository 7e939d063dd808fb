#include "master/path_set.h"

#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 8u
#define IS_PATH (UINT32_C(1) << 31) /* a slot has it not */

/* @return where the value is, or where it would be put in. */
static uint32_t place_of(const struct path_set *set, uint32_t value)
{
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_value(const struct path_set *set, uint32_t value)
{
    uint32_t i = place_of(set, value);
    return i < set->count && set->values[i] == value;
}

static void grow(struct path_set *set)
{
    uint32_t room = set->room > 0 ? 2 * set->room : ROOM_MIN;
    uint32_t *values = xcalloc(room, sizeof(*values));
    if (set->count > 0)
        memcpy(values, set->values, set->count * sizeof(*values));
    free(set->values);
    set->values = values;
    set->room = room;
}

static void remove_at(struct path_set *set, uint32_t i)
{
    set->count--;
    memmove(set->values + i, set->values + i + 1, (set->count - i) * sizeof(*set->values));
}

static void add_value(struct path_set *set, uint32_t value)
{
    if (has_value(set, value))
        return;
    if (set->count == PATH_SET_MAX)
        remove_at(set, value % PATH_SET_MAX); /* any: hashes are as good as random */
    if (set->count == set->room)
        grow(set);
    uint32_t i = place_of(set, value);
    memmove(set->values + i + 1, set->values + i, (set->count - i) * sizeof(*set->values));
    set->values[i] = value;
    set->count++;
}

static void remove_value(struct path_set *set, uint32_t value)
{
    uint32_t i = place_of(set, value);
    if (i < set->count && set->values[i] == value)
        remove_at(set, i);
}

bool path_set_has(const struct path_set *set, uint32_t path)
{
    return has_value(set, path | IS_PATH) || has_value(set, path % PATH_SET_SLOTS);
}

void path_set_add(struct path_set *set, uint32_t path)
{
    add_value(set, path | IS_PATH);
}

void path_set_remove(struct path_set *set, uint32_t path)
{
    remove_value(set, path | IS_PATH);
    remove_value(set, path % PATH_SET_SLOTS);
}

void path_set_clear(struct path_set *set)
{
    free(set->values);
    *set = (struct path_set){0};
}

bool path_set_will_grow(const struct path_set *set)
{
    return set->count == set->room && set->room < PATH_SET_MAX;
}

void path_set_copy(struct path_set *set, const uint8_t *bytes, size_t count)
{
    path_set_clear(set);
    for (size_t i = 0; i < count && i < PATH_SET_MAX; i++) {
        uint32_t value;
        memcpy(&value, bytes + i * sizeof(value), sizeof(value));
        add_value(set, value);
    }
}

void path_set_write_slots(const struct path_set *set, uint64_t words[PATH_SET_SLOT_WORDS])
{
    memset(words, 0, PATH_SET_SLOT_WORDS * sizeof(words[0]));
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t slot = set->values[i] % PATH_SET_SLOTS;
        words[slot / 64] |= UINT64_C(1) << slot % 64;
    }
}

void path_set_add_slots(struct path_set *set, const uint64_t words[PATH_SET_SLOT_WORDS])
{
    for (uint32_t slot = 0; slot < PATH_SET_SLOTS; slot++) {
        if ((words[slot / 64] >> slot % 64 & 1) != 0)
            add_value(set, slot);
    }
}
