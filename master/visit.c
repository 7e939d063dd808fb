#include "master/visit.h"

#include "common/fd.h"
#include "common/websocket_close.h"
#include "common/xalloc.h"
#include "master/client_fields.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct visit {
    int fd;
    bool resumed;              /* a worker began the answer, as far as the record says */
    struct handover_slot last; /* of the worker that ended */
    size_t len;                /* of the request */
    uint8_t request[];         /* as in client_fields.h; the camera's name follows, terminated */
};

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void fill(struct visit *v, const struct ipc_client *request, const uint8_t *fields,
                 size_t len)
{
    v->len = len;
    memcpy(v->request, fields, len);
    memcpy(v->request + len, request->camera, strlen(request->camera) + 1);
}

/* @param fd  Moved. */
static struct visit *make(const struct ipc_client *request, int fd)
{
    static uint8_t fields[CLIENT_FIELDS_MAX];
    size_t len = client_fields_write(request, fields);
    struct visit *v = xcalloc(1, sizeof(*v) + len + strlen(request->camera) + 1);
    v->fd = fd;
    fill(v, request, fields, len);
    explicit_bzero(fields, len); /* a camera's password, perhaps */
    return v;
}

struct visit *visit_new(const struct ipc_client *request, int fd)
{
    int ours = duplicate(fd);
    return ours != -1 ? make(request, ours) : NULL;
}

void visit_free(struct visit **visit)
{
    if (*visit == NULL)
        return;
    fd_close(&(*visit)->fd);
    explicit_bzero(*visit, sizeof(**visit) + (*visit)->len + strlen(visit_name(*visit)));
    free(*visit);
    *visit = NULL;
}

bool visit_is_connected(const struct visit *visit)
{
    char byte;
    ssize_t n = recv(visit->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

void visit_disconnect(const struct visit *visit)
{
    (void)shutdown(visit->fd, SHUT_RDWR);
}

static uint64_t conn_id_of(const struct visit *visit)
{
    struct ipc_client message;
    visit_request(visit, &message);
    return message.conn_id;
}

bool visit_has_socket(const struct visit *visit, int fd)
{
    struct stat ours;
    struct stat theirs;
    return fstat(visit->fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The same request came again, and the bytes that came with the first one were used. */
static void forget_rest(struct visit *v)
{
    struct ipc_client message;
    uint8_t fields[CLIENT_FIELDS_MAX];
    visit_request(v, &message);
    message.rest_bytes = 0;
    size_t len = client_fields_write(&message, fields); /* not longer than it was */
    explicit_bzero(v->request, v->len + strlen(visit_name(v)));
    fill(v, &message, fields, len);
    explicit_bzero(fields, sizeof(fields)); /* a camera's password, perhaps */
    explicit_bzero(&message, sizeof(message));
}

enum visit_fate visit_judge(struct visit *visit, const struct handover_slot *slot)
{
    struct ipc_client message;
    if (slot == NULL || !visit_is_connected(visit))
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

bool visit_outlived_master(struct visit *visit, const struct handover_slot *slot)
{
    return slot != NULL && slot->client == conn_id_of(visit) &&
           visit_judge(visit, slot) == VISIT_GOES_ON;
}

/* A close with bytes unread would reset the connection, and the client might never see its answer.
 */
static void skip_unread(int fd)
{
    char bytes[4096];
    for (int i = 0; i < 16 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; i++) {
    }
}

void visit_refuse(const struct visit *visit, enum http_error error, const char *camera,
                  const char *message)
{
    static char answer[HTTP_REPLY_MAX];
    struct ipc_client request;
    if (visit->resumed) {
        visit_disconnect(visit);
        return;
    }
    visit_request(visit, &request);
    if (request.camera[0] != '\0')
        camera = request.camera; /* it was asked for by name */
    size_t len = request.websocket != 0 ? websocket_error((uint8_t *)answer, error, camera, message)
                                        : http_reply_error(answer, error, request.origin, camera,
                                                           message, request.head != 0);
    (void)send(visit->fd, answer, len, MSG_DONTWAIT | MSG_NOSIGNAL); /* its buffer is empty */
    (void)shutdown(visit->fd, SHUT_WR);
    skip_unread(visit->fd);
}

const char *visit_name(const struct visit *visit)
{
    return (const char *)visit->request + visit->len;
}

void visit_request(const struct visit *visit, struct ipc_client *message)
{
    bool ours = client_fields_read(visit->request, visit->len, message);
    assert(ours);
    (void)ours;
    message->resumed = visit->resumed;
}

void visit_fill_slot(const struct visit *visit, struct handover_slot *slot)
{
    handover_reset(slot, conn_id_of(visit));
    if (visit->resumed)
        handover_copy(slot, &visit->last);
}

int visit_socket(const struct visit *visit)
{
    return duplicate(visit->fd);
}

size_t visit_save(const struct visit *visit, struct takeover_writer *w, struct visit_record *record,
                  uint8_t *fields)
{
    *record = (struct visit_record){.fd = takeover_pass(w, visit->fd),
                                    .resumed = visit->resumed,
                                    .bytes = visit->last.bytes,
                                    .codec = visit->last.codec};
    for (int i = 0; i < HANDOVER_TRACKS; i++) {
        record->last_ms[i] = visit->last.last_ms[i];
        record->told[i] = visit->last.told[i];
    }
    memcpy(fields, visit->request, visit->len);
    return visit->len;
}

static void restore_slot(const struct visit_record *record, struct handover_slot *slot)
{
    for (int i = 0; i < HANDOVER_TRACKS; i++) {
        slot->last_ms[i] = record->last_ms[i];
        slot->told[i] = record->told[i];
    }
    slot->bytes = record->bytes;
    slot->codec = record->codec;
    handover_set(slot, HANDOVER_WHOLE);
}

struct visit *visit_restore(const struct visit_record *record, const uint8_t *fields, size_t len,
                            int *fd)
{
    struct ipc_client message;
    if (!client_fields_read(fields, len, &message) ||
        !ipc_string_ok(message.camera, sizeof(message.camera)))
        return NULL;
    struct visit *v = make(&message, fd_take(fd));
    v->resumed = record->resumed != 0;
    if (v->resumed)
        restore_slot(record, &v->last);
    explicit_bzero(&message, sizeof(message));
    return v;
}
