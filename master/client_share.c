#include "master/client_share.h"

#include "common/xalloc.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_MIN 16

/* There are at most as many clients as connections, so colliding keys do little harm: no seed. */
static size_t home(const struct client_share *share, const struct client_key *key)
{
    return (size_t)client_key_hash(key, 0) & (share->room - 1);
}

/* The client's slot, or the empty slot where it would be.  The table must have room. */
static size_t find(const struct client_share *share, const struct client_key *key)
{
    size_t i = home(share, key);
    while (share->slots[i].held > 0 && !client_key_equal(&share->slots[i].key, key))
        i = (i + 1) & (share->room - 1);
    return i;
}

static void resize(struct client_share *share, size_t room)
{
    struct client_share old = *share;
    share->room = room;
    share->slots = xcalloc(room, sizeof(share->slots[0]));
    for (size_t i = 0; i < old.room; i++) {
        if (old.slots[i].held > 0)
            share->slots[find(share, &old.slots[i].key)] = old.slots[i];
    }
    free(old.slots);
}

size_t client_share_held(const struct client_share *share, const struct client_key *key)
{
    return share->room > 0 ? share->slots[find(share, key)].held : 0;
}

bool client_share_fair(const struct client_key *key, size_t held, size_t total, size_t limit,
                       unsigned percent, size_t floor)
{
    size_t others = total - held;
    if (total >= limit)
        return false;
    return client_key_is_none(key) || held < (limit - others) * percent / 100 || held < floor;
}

bool client_share_allows(const struct client_share *share, const struct client_key *key,
                         size_t limit, unsigned percent, size_t floor)
{
    return client_share_fair(key, client_share_held(share, key), share->total, limit, percent,
                             floor);
}

void client_share_take(struct client_share *share, const struct client_key *key)
{
    if (2 * (share->clients + 1) > share->room)
        resize(share, share->room > 0 ? 2 * share->room : ROOM_MIN);
    struct client_share_slot *slot = &share->slots[find(share, key)];
    slot->key = *key;
    share->clients += slot->held == 0;
    slot->held++;
    share->total++;
}

/* Close the gap, so that no search ends early (Knuth, volume 3, algorithm 6.4 R). */
static void remove_slot(struct client_share *share, size_t hole)
{
    size_t mask = share->room - 1;
    for (size_t i = (hole + 1) & mask; share->slots[i].held > 0; i = (i + 1) & mask) {
        if (((i - home(share, &share->slots[i].key)) & mask) < ((i - hole) & mask))
            continue;
        share->slots[hole] = share->slots[i];
        hole = i;
    }
    share->slots[hole].held = 0;
}

void client_share_give(struct client_share *share, const struct client_key *key)
{
    assert(client_share_held(share, key) > 0);
    size_t i = find(share, key);
    share->total--;
    if (--share->slots[i].held > 0)
        return;
    remove_slot(share, i);
    share->clients--;
    if (share->room > ROOM_MIN && 8 * share->clients < share->room)
        resize(share, share->room / 2);
}

void client_share_clear(struct client_share *share)
{
    free(share->slots);
    *share = (struct client_share){0};
}
