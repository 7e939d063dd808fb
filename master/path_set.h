/*
 * A set of camera paths, by their hashes: what a recorder's channels have answered.  Master, loop
 * thread; pure.
 *
 * Two of 2,048 paths have the same hash once in two thousand sets.
 */
#ifndef MASTER_PATH_SET_H
#define MASTER_PATH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A recorder's 1,024 channels with two streams each.  At the bound another path goes. */
#define PATH_SET_MAX 2048u
#define PATH_SET_SMALL 16u /* room for as many costs little */

struct path_set {     /* zeroed at first; path_set_clear() frees it */
    uint32_t *values; /* in ascending order */
    uint32_t count;
    uint32_t room;
};

/** @param path  a hash of the path. */
bool path_set_has(const struct path_set *set, uint32_t path);

/** Add a path; at PATH_SET_MAX any other is removed for it. */
void path_set_add(struct path_set *set, uint32_t path);

void path_set_remove(struct path_set *set, uint32_t path);

/** Forget all and give the memory back.  The set can be used again. */
void path_set_clear(struct path_set *set);

/** Will the next path that is added double the memory? */
bool path_set_will_grow(const struct path_set *set);

/**
 * Take in another set's paths, in the place of this one's.
 *
 * @param bytes  4 for each path, of any alignment.  Borrowed.
 * @param count  those beyond PATH_SET_MAX are ignored.
 */
void path_set_copy(struct path_set *set, const uint8_t *bytes, size_t count);

#endif /* MASTER_PATH_SET_H */
