#include "master/path_set.h"

#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 8u

/* @return where the path is, or where it would be put in. */
static uint32_t place_of(const struct path_set *set, uint32_t path)
{
    uint32_t low = 0, high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->values[middle] < path)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct path_set *set, uint32_t i, uint32_t path)
{
    return i < set->count && set->values[i] == path;
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

bool path_set_has(const struct path_set *set, uint32_t path)
{
    return is_at(set, place_of(set, path), path);
}

void path_set_add(struct path_set *set, uint32_t path)
{
    if (path_set_has(set, path))
        return;
    if (set->count == PATH_SET_MAX)
        remove_at(set, path % PATH_SET_MAX); /* any: hashes are as good as random */
    if (set->count == set->room)
        grow(set);
    uint32_t i = place_of(set, path);
    memmove(set->values + i + 1, set->values + i, (set->count - i) * sizeof(*set->values));
    set->values[i] = path;
    set->count++;
}

void path_set_remove(struct path_set *set, uint32_t path)
{
    uint32_t i = place_of(set, path);
    if (is_at(set, i, path))
        remove_at(set, i);
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
        uint32_t path;
        memcpy(&path, bytes + i * sizeof(path), sizeof(path));
        path_set_add(set, path);
    }
}
