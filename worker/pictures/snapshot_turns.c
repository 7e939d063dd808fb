/* See snapshot_turns.h. */
#include "worker/pictures/snapshot_turns.h"

#include <stddef.h>

uint64_t snapshot_turns_last(const struct snapshot_turns *turns, uint64_t client)
{
    for (size_t i = 0; i < SNAPSHOT_TURNS_CLIENTS; i++) {
        if (turns->served[i].client == client)
            return turns->served[i].turn;
    }
    return 0;
}

void snapshot_turns_take(struct snapshot_turns *turns, uint64_t client)
{
    size_t at = 0; /* the client's, or that of the longest ago */
    for (size_t i = 0; i < SNAPSHOT_TURNS_CLIENTS; i++) {
        if (turns->served[i].turn != 0 && turns->served[i].client == client) {
            at = i;
            break;
        }
        if (turns->served[i].turn < turns->served[at].turn)
            at = i;
    }
    turns->served[at].client = client;
    turns->served[at].turn = ++turns->turn;
}
