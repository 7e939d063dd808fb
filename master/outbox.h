/*
 * Messages that wait until a worker's channel has room: thousands of viewers may come while the
 * worker takes a hundred.  Master, loop thread.
 *
 * Bounds: OUTBOX_MAX messages, beyond which a client is refused; and time, since a worker that
 * reads nothing for WORKER_SILENCE_MS is killed and its outbox cleared.
 */
#ifndef MASTER_OUTBOX_H
#define MASTER_OUTBOX_H

#include "common/ipc.h"

#include <stdbool.h>
#include <sys/queue.h>

#define OUTBOX_MAX 8192 /* as many as SERVER_MAX_CONNS: 22 MB when each is a client */

struct outbox_entry;
STAILQ_HEAD(outbox_list, outbox_entry);

/* Lives in its user by value.  Members are private. */
struct outbox {
    struct outbox_list entries;
    size_t count;
};

void outbox_init(struct outbox *outbox);

/** Drop the waiting messages and close their descriptors. */
void outbox_clear(struct outbox *outbox);

/** Does no message wait? */
bool outbox_is_empty(const struct outbox *outbox);

/**
 * Send a message, or keep it until outbox_flush() when others wait or the channel is full.
 *
 * @param sock, type, payload, fd  as for ipc_send().
 * @return as ipc_send(); -EAGAIN only when OUTBOX_MAX messages wait.
 */
int outbox_send(struct outbox *outbox, int sock, enum ipc_type type, const void *payload, int *fd);

/**
 * The channel has room: send the waiting messages in order.
 *
 * @return 0 nothing waits any more, -EAGAIN the channel is full again, other negative errno: it is
 *         broken.
 */
int outbox_flush(struct outbox *outbox, int sock);

#endif /* MASTER_OUTBOX_H */
