/*
 * Test help: the test plays the nursery, and nothing is ever forked.  The Makefile wraps
 * nursery_link's functions (-Wl,--wrap); the test defines the two that it judges or decides by.
 */
#ifndef TEST_UNIT_PLAYED_NURSERY_H
#define TEST_UNIT_PLAYED_NURSERY_H

#include "master/nursery_link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/* What the nursery would tell. */
static const struct nursery_link_events *nursery;

int __real_nursery_link_open(uv_loop_t *loop, const struct conf *conf,
                             const struct nursery_link_events *events, void *owner,
                             struct nursery_link **out);
int __wrap_nursery_link_open(uv_loop_t *loop, const struct conf *conf,
                             const struct nursery_link_events *events, void *owner,
                             struct nursery_link **out);
bool __wrap_nursery_link_is_open(const struct nursery_link *link);
int __wrap_nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel);

/* Only its program is missing. */
int __wrap_nursery_link_open(uv_loop_t *loop, const struct conf *conf,
                             const struct nursery_link_events *events, void *owner,
                             struct nursery_link **out)
{
    nursery = events;
    return __real_nursery_link_open(loop, conf, events, owner, out) == -ENOENT ? 0 : -EEXIST;
}

#endif /* TEST_UNIT_PLAYED_NURSERY_H */
