/*
 * The socket of a client that the master handed over: polling, deadlines, and an end that does not
 * tear the answer.  Worker, loop thread.  Lives in its user by value.
 *
 * Closing a socket with bytes unread resets the connection, and the client may lose the end of its
 * answer: client_socket_linger() reads and throws away what still comes, within bounds.
 */
#ifndef WORKER_CLIENT_SOCKET_H
#define WORKER_CLIENT_SOCKET_H

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
    int64_t opened_ms;
    int64_t progress_ms; /* it took or brought something */
    int64_t linger_ms;   /* lingering ends then; 0: not lingering */
    size_t thrown_away;  /* bytes, since then */
    uint32_t ticket;     /* of the request */
    bool has_left;       /* which has been said */
    char label[IPC_PEER_MAX + 24];
};

/**
 * Take over a connected socket.  Nothing is polled yet.  When the client is answered or lost, its
 * ticket goes to the struct departures that loop->data is; NULL: it does not.
 *
 * @param fd       non-blocking.  Moved.
 * @param request  for the name in log lines.  Borrowed for the call.
 * @param user     becomes poll.data.
 */
void client_socket_open(struct client_socket *socket, uv_loop_t *loop, int *fd,
                        const struct ipc_client *request, void *user);

/** Close at once; closed() gets the handle whose data is the user. */
void client_socket_close(struct client_socket *socket, uv_close_cb closed);

/** Give the socket away: as client_socket_close(), but the descriptor is the caller's. */
int client_socket_release(struct client_socket *socket, uv_close_cb closed);

/** Poll for UV_READABLE, UV_WRITABLE, both or nothing. */
void client_socket_poll(struct client_socket *socket, int events, uv_poll_cb cb);

/** Write what fits. @return bytes; 0 when it is full; -1 when the connection is lost. */
ssize_t client_socket_send(struct client_socket *socket, const struct msghdr *message);

/** Read what is there. @return bytes; 0 when nothing is; -1 at its end or when it is lost. */
ssize_t client_socket_recv(struct client_socket *socket, void *data, size_t size);

/** All is sent: tell the peer, and have client_socket_throw_away() called when it is readable. */
void client_socket_linger(struct client_socket *socket);

/** Read and forget. @return false: the peer has closed, is lost, or has sent too much: close. */
bool client_socket_throw_away(struct client_socket *socket);

/** Has it lingered long enough? */
bool client_socket_is_spent(const struct client_socket *socket, int64_t now_ms);

/** How it is called in log lines.  Borrows the label. */
struct log_context client_socket_log(const struct client_socket *socket);

#endif /* WORKER_CLIENT_SOCKET_H */
