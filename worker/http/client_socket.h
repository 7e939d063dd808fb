/*
 * The socket of a client that the master handed over: polling, deadlines, and a close that does not
 * cut off the answer.  Worker, loop thread.  Lives in its user by value.
 *
 * Closing a socket with bytes unread resets the connection, and the client may lose the end of its
 * answer.  So a lingering socket reads and throws away what still comes, within bounds.
 */
#ifndef WORKER_CLIENT_SOCKET_H
#define WORKER_CLIENT_SOCKET_H

#include "common/handover.h"
#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/log.h"

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

/* An answered client has this long to close, and may send this much meanwhile. */
#define CLIENT_SOCKET_LINGER_MS 1000
#define CLIENT_SOCKET_LINGER_BYTES (1 << 20)

struct client_socket {
    uv_poll_t poll; /* poll.data is the user's */
    int fd;         /* -1 once closed */
    int events;     /* polled for */
    int64_t opened_ms;
    int64_t progress_ms;        /* when bytes were last written, or an answer begun */
    int64_t linger_ms;          /* when lingering ends; 0: not lingering */
    size_t thrown_away;         /* bytes, while lingering */
    uint32_t ticket;            /* the request's */
    bool has_left;              /* the master is told, or will be */
    struct handover_slot *slot; /* never NULL: mark here what was written (handover.h) */
    struct handover_slot own;   /* the slot of a client that has none, or has left */
    char label[IPC_PEER_MAX + 24];
};

/**
 * Take over a connected socket, without polling it yet.  When the client is answered or lost, its
 * ticket is added to the struct departures at loop->data, unless that is NULL; its slot is there,
 * too.
 *
 * @param fd       non-blocking.  Moved.
 * @param request  has the ticket, and the client's name for log lines.  Borrowed for the call.
 * @param user     becomes poll.data.
 */
void client_socket_open(struct client_socket *socket, uv_loop_t *loop, int *fd,
                        const struct ipc_client *request, void *user);

/** Close at once; closed() gets the poll handle, whose data is the user. */
void client_socket_close(struct client_socket *socket, uv_close_cb closed);

/** As client_socket_close(), but return the open descriptor.  Caller owns. */
int client_socket_release(struct client_socket *socket, uv_close_cb closed);

/** Poll for UV_READABLE, UV_WRITABLE, both or nothing.  A socket has one callback all its life. */
void client_socket_poll(struct client_socket *socket, int events, uv_poll_cb cb);

/** Write what fits. @return bytes; 0: the socket is full; -1: the connection is lost. */
ssize_t client_socket_send(struct client_socket *socket, const struct msghdr *message);

/** Read what is there. @return bytes; 0: nothing is there; -1: the peer has closed, or is lost. */
ssize_t client_socket_recv(struct client_socket *socket, void *data, size_t size);

/** All is sent: tell the peer.  From now on call client_socket_throw_away() to read. */
void client_socket_linger(struct client_socket *socket);

/** Read and forget. @return false: the peer has closed, is lost, or has sent too much: close. */
bool client_socket_throw_away(struct client_socket *socket);

/** Has it lingered long enough? */
bool client_socket_is_spent(const struct client_socket *socket, int64_t now_ms);

/** What an answer calls the camera: the name by which the request asks for it, or `shown`. */
const char *client_socket_camera(const struct ipc_client *request, const char *shown);

/**
 * Write a complete error answer.  It calls the camera as the request does: by name or by URL.
 *
 * @param buf    HTTP_REPLY_MAX bytes.  Caller owns.
 * @param shown  the camera's redacted URL.
 * @return bytes written.
 */
size_t client_socket_error(char *buf, const struct ipc_client *request, enum http_error error,
                           const char *shown, const char *message);

/** The client's name in log lines.  Borrows the label. */
struct log_context client_socket_log(const struct client_socket *socket);

#endif /* WORKER_CLIENT_SOCKET_H */
