/*
 * Counts how much of one resource each client holds, and bounds it by a fair share.  Master, loop
 * thread; pure.
 *
 * A client may hold `percent` of what the others leave: at 50, the first client gets half of all,
 * and the next one half of the rest.  So neither one address nor a few can take what all need.
 * Every client may hold CLIENT_SHARE_FLOOR while any are left: a wall of tiles is one address.
 * Clients without an address (a Unix socket) are bounded by the limit alone.
 */
#ifndef MASTER_CLIENT_SHARE_H
#define MASTER_CLIENT_SHARE_H

#include "master/client_key.h"

#include <stddef.h>

#define CLIENT_SHARE_FLOOR 64

struct client_share_slot {
    struct client_key key;
    size_t held; /* 0: empty */
};

struct client_share { /* zeroed at first */
    struct client_share_slot *slots;
    size_t room; /* 0 or a power of two; at most half full */
    size_t clients;
    size_t total; /* held by all */
};

/**
 * The rule by itself: may a client that holds `held` of `total` take one more?
 *
 * @param limit    for all clients together.
 * @param percent  1..100; 100: the limit alone decides.
 * @param floor    every client may hold so many.
 */
bool client_share_fair(const struct client_key *key, size_t held, size_t total, size_t limit,
                       unsigned percent, size_t floor);

/** @return how many a client holds. */
size_t client_share_held(const struct client_share *share, const struct client_key *key);

/** May a client take one more?  Parameters as above. */
bool client_share_allows(const struct client_share *share, const struct client_key *key,
                         size_t limit, unsigned percent, size_t floor);

/** Take one, without checking whether that is allowed. */
void client_share_take(struct client_share *share, const struct client_key *key);

/** Give one back. */
void client_share_give(struct client_share *share, const struct client_key *key);

/** Free the memory and forget what was held. */
void client_share_clear(struct client_share *share);

#endif /* MASTER_CLIENT_SHARE_H */
