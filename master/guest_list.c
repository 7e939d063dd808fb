#include "master/guest_list.h"

#include <stdlib.h>

#define ROOM_MIN 8
#define GUEST_TICKET_MAX (1u << 24)

bool guest_is_viewer(enum ipc_client_kind kind)
{
    return kind != IPC_CLIENT_SNAPSHOT;
}

static bool takes_pictures(enum ipc_client_kind kind)
{
    return kind != IPC_CLIENT_STREAM;
}

static void grow(struct guest_list *list)
{
    uint32_t room = list->room > 0 ? 2 * list->room : ROOM_MIN;
    struct guest *guests = reallocarray(list->guests, room, sizeof(*guests));
    if (guests == NULL)
        abort();
    for (uint32_t i = list->room; i < room; i++)
        guests[i] = (struct guest){.next_free = i + 1};
    list->guests = guests;
    list->room = room;
}

/* @param free  the link to a free ticket, which the guest gets. */
static uint32_t seat(struct guest_list *list, uint32_t *free, const struct client_key *client,
                     const union address *from, enum ipc_client_kind kind)
{
    uint32_t ticket = *free;
    struct guest *guest = &list->guests[ticket];
    *free = guest->next_free;
    *guest = (struct guest){.client = *client, .from = *from, .kind = kind, .here = true};
    list->count++;
    if (guest_is_viewer(kind))
        client_share_take(&list->viewers, client);
    if (takes_pictures(kind))
        client_share_take(&list->pictures, client);
    return ticket;
}

uint32_t guest_list_add(struct guest_list *list, const struct client_key *client,
                        const union address *from, enum ipc_client_kind kind)
{
    if (list->first_free == list->room)
        grow(list);
    return seat(list, &list->first_free, client, from, kind);
}

struct guest *guest_list_put(struct guest_list *list, uint32_t ticket,
                             const struct client_key *client, const union address *from,
                             enum ipc_client_kind kind)
{
    if (ticket >= GUEST_TICKET_MAX)
        return NULL;
    while (ticket >= list->room)
        grow(list);
    uint32_t *free = &list->first_free;
    while (*free != ticket && *free < list->room) /* tickets come in order: it is near */
        free = &list->guests[*free].next_free;
    if (*free != ticket)
        return NULL;
    (void)seat(list, free, client, from, kind);
    return &list->guests[ticket];
}

bool guest_list_remove(struct guest_list *list, uint32_t ticket, struct guest *guest)
{
    if (ticket >= list->room || !list->guests[ticket].here)
        return false;
    *guest = list->guests[ticket];
    list->guests[ticket] = (struct guest){.next_free = list->first_free};
    list->first_free = ticket;
    list->count--;
    if (guest_is_viewer(guest->kind))
        client_share_give(&list->viewers, &guest->client);
    if (takes_pictures(guest->kind))
        client_share_give(&list->pictures, &guest->client);
    return true;
}

struct guest *guest_list_find(const struct guest_list *list, uint32_t ticket)
{
    return ticket < list->room && list->guests[ticket].here ? &list->guests[ticket] : NULL;
}

bool guest_list_has(const struct guest_list *list, const struct client_key *client)
{
    uint32_t ticket = 0;
    while (ticket < list->room &&
           !(list->guests[ticket].here && client_key_equal(&list->guests[ticket].client, client)))
        ticket++;
    return ticket < list->room;
}

uint32_t guest_list_any(const struct guest_list *list)
{
    uint32_t ticket = 0;
    while (ticket < list->room && !list->guests[ticket].here)
        ticket++;
    return ticket;
}

void guest_list_clear(struct guest_list *list)
{
    free(list->guests);
    client_share_clear(&list->viewers);
    client_share_clear(&list->pictures);
    *list = (struct guest_list){0};
}
