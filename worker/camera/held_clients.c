#include "worker/camera/held_clients.h"

#include "common/fd.h"
#include "common/xalloc.h"
#include "worker/viewers/outputs.h"

#include <stdlib.h>

struct held_client {
    struct held_client *next;
    int fd;
    struct ipc_client request;
};

void held_clients_add(struct held_clients *held, int *fd, const struct ipc_client *request)
{
    struct held_client *c = xcalloc(1, sizeof(*c));
    c->fd = fd_take(fd);
    c->request = *request;
    if (held->last != NULL)
        held->last->next = c;
    else
        held->first = c;
    held->last = c;
    held->count++;
}

void held_clients_release(struct held_clients *held, struct outputs *outputs)
{
    struct held_client *c = held->first;
    *held = (struct held_clients){0};
    while (c != NULL) {
        struct held_client *next = c->next;
        outputs_add_client(outputs, &c->fd, &c->request);
        free(c);
        c = next;
    }
}
