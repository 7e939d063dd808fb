/*
 * How much of one thing each client holds, and a fair share of it.  Master, loop thread; pure.
 *
 * A client may hold `percent` of what the others leave: alone half of all, say, and whoever comes
 * after it half of the rest.  So one address cannot take what all need, and a few that try cannot
 * either.  Up to CLIENT_SHARE_FLOOR are free for everybody while there are any: a wall of tiles is
 * one address.  Clients without an address (a Unix socket) are not bounded.
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

/** @return how many a client holds. */
size_t client_share_held(const struct client_share *share, const struct client_key *key);

/**
 * May a client take one more?
 *
 * @param limit    of all clients together.
 * @param percent  1..100; 100: the limit alone decides.
 */
bool client_share_allows(const struct client_share *share, const struct client_key *key,
                         size_t limit, unsigned percent);

/** Take one.  It is not asked again whether that is allowed. */
void client_share_take(struct client_share *share, const struct client_key *key);

/** Give one back that was taken. */
void client_share_give(struct client_share *share, const struct client_key *key);

/** Free the memory; whatever was held is forgotten. */
void client_share_clear(struct client_share *share);

#endif /* MASTER_CLIENT_SHARE_H */
