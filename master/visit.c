#include "master/visit.h"

#include "common/fd.h"
#include "common/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct visit {
    int fd;
    bool resumed;              /* a worker began the answer, as far as the record says */
    struct handover_slot last; /* of the worker that ended */
    size_t len;
    unsigned char request[]; /* the used part of a struct ipc_client */
};

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

struct visit *visit_new(const struct ipc_client *request, int fd)
{
    int ours = duplicate(fd);
    if (ours == -1)
        return NULL;
    size_t len =
        offsetof(struct ipc_client, bytes) + (size_t)request->head_bytes + request->rest_bytes;
    struct visit *v = xcalloc(1, sizeof(*v) + len);
    v->fd = ours;
    v->len = len;
    memcpy(v->request, request, len);
    return v;
}

void visit_free(struct visit **visit)
{
    if (*visit == NULL)
        return;
    fd_close(&(*visit)->fd);
    free(*visit);
    *visit = NULL;
}

/* Has the client neither closed nor gone?  Nobody else looks while it has no worker. */
static bool is_connected(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

/* The same request came again, and the bytes that came with the first one were used. */
static void forget_rest(struct visit *v)
{
    struct ipc_client message;
    visit_request(v, &message);
    message.rest_bytes = 0;
    v->len = offsetof(struct ipc_client, bytes) + message.head_bytes;
    memcpy(v->request, &message, offsetof(struct ipc_client, bytes));
}

enum visit_fate visit_judge(struct visit *visit, const struct handover_slot *slot)
{
    struct ipc_client message;
    if (slot == NULL || !is_connected(visit->fd))
        return VISIT_ENDS;
    visit_request(visit, &message);
    bool snapshot = message.kind == IPC_CLIENT_SNAPSHOT;
    switch (handover_get(slot)) {
    case HANDOVER_UNANSWERED:
        /* of a WebSocket that waits, the handshake was answered, and frames are read */
        return visit->resumed || handover_is_reading(slot) ? VISIT_ENDS : VISIT_GOES_ON;
    case HANDOVER_AGAIN:
        forget_rest(visit);
        return snapshot ? VISIT_GOES_ON : VISIT_ENDS;
    case HANDOVER_WHOLE:
        visit->resumed = true;
        handover_copy(&visit->last, slot);
        return !snapshot && handover_may_go_on(slot) ? VISIT_GOES_ON : VISIT_ENDS;
    case HANDOVER_KEPT:
        return snapshot && message.keep != 0 ? VISIT_RETURNS : VISIT_ENDS;
    case HANDOVER_WITHIN:
    case HANDOVER_MARKS:
        break;
    }
    return VISIT_ENDS;
}

const char *visit_name(const struct visit *visit)
{
    return (const char *)visit->request + offsetof(struct ipc_client, camera);
}

void visit_request(const struct visit *visit, struct ipc_client *message)
{
    memset(message, 0, sizeof(*message));
    memcpy(message, visit->request, visit->len);
    message->resumed = visit->resumed;
}

void visit_fill_slot(const struct visit *visit, struct handover_slot *slot)
{
    if (visit->resumed)
        handover_copy(slot, &visit->last);
    else
        handover_reset(slot);
}

int visit_socket(const struct visit *visit)
{
    return duplicate(visit->fd);
}
