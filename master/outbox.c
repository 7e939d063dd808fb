#include "master/outbox.h"

#include "common/fd.h"
#include "common/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct outbox_entry {
    STAILQ_ENTRY(outbox_entry) link;
    enum ipc_type type;
    int fd; /* -1: none */
    unsigned char payload[];
};

void outbox_init(struct outbox *outbox)
{
    STAILQ_INIT(&outbox->entries);
    outbox->count = 0;
}

static void drop_first(struct outbox *outbox)
{
    struct outbox_entry *entry = STAILQ_FIRST(&outbox->entries);
    STAILQ_REMOVE_HEAD(&outbox->entries, link);
    outbox->count--;
    fd_close(&entry->fd);
    free(entry);
}

void outbox_clear(struct outbox *outbox)
{
    while (!outbox_is_empty(outbox))
        drop_first(outbox);
}

bool outbox_is_empty(const struct outbox *outbox)
{
    return STAILQ_EMPTY(&outbox->entries);
}

int outbox_send(struct outbox *outbox, int sock, enum ipc_type type, const void *payload, int *fd)
{
    int rc = outbox_is_empty(outbox) ? ipc_send(sock, type, payload, fd) : -EAGAIN;
    if (rc != -EAGAIN || outbox->count == OUTBOX_MAX)
        return rc;
    size_t len = ipc_desc[type].len;
    struct outbox_entry *entry = xcalloc(1, sizeof(*entry) + len);
    entry->type = type;
    entry->fd = fd != NULL ? fd_take(fd) : -1;
    memcpy(entry->payload, payload, len);
    STAILQ_INSERT_TAIL(&outbox->entries, entry, link);
    outbox->count++;
    return 0;
}

int outbox_flush(struct outbox *outbox, int sock)
{
    while (!outbox_is_empty(outbox)) {
        struct outbox_entry *entry = STAILQ_FIRST(&outbox->entries);
        int rc = ipc_send(sock, entry->type, entry->payload, entry->fd != -1 ? &entry->fd : NULL);
        if (rc != 0)
            return rc;
        drop_first(outbox);
    }
    return 0;
}
