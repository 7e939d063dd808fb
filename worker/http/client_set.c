#include "worker/http/client_set.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 8

void client_set_add(struct client_set *set, void *client)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity > 0 ? set->capacity * 2 : FIRST_CAPACITY;
        set->items = realloc(set->items, set->capacity * sizeof(void *));
        if (set->items == NULL)
            abort(); /* one pointer per client, and the callers bound their number */
    }
    set->items[set->count++] = client;
}

void client_set_remove(struct client_set *set, const void *client)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i] == client) {
            set->items[i] = set->items[--set->count];
            return;
        }
    }
}

void client_set_clear(struct client_set *set)
{
    free(set->items);
    memset(set, 0, sizeof(*set));
}
