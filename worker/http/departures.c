#include "worker/http/departures.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void departures_add(struct departures *d, uint32_t ticket)
{
    if (d == NULL)
        return;
    if (d->count == d->room) {
        d->room = d->room > 0 ? 2 * d->room : 16;
        d->tickets = reallocarray(d->tickets, d->room, sizeof(d->tickets[0]));
        if (d->tickets == NULL)
            abort();
    }
    d->tickets[d->count++] = ticket;
}

bool departures_next(const struct departures *d, struct ipc_left *left)
{
    *left =
        (struct ipc_left){.count = (uint32_t)(d->count < IPC_LEFT_MAX ? d->count : IPC_LEFT_MAX)};
    if (left->count > 0)
        memcpy(left->tickets, d->tickets + d->count - left->count,
               left->count * sizeof(left->tickets[0]));
    return left->count > 0;
}

void departures_drop(struct departures *d, const struct ipc_left *left)
{
    assert(left->count <= d->count);
    d->count -= left->count;
    if (d->count == 0)
        departures_clear(d);
}

void departures_clear(struct departures *d)
{
    free(d->tickets);
    d->tickets = NULL;
    d->count = d->room = 0;
}
