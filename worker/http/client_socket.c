#include "worker/http/client_socket.h"

#include "common/clock.h"
#include "common/fd.h"
#include "worker/http/departures.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A slot may become another client's as soon as the master knows that this one has left. */
static void give_up_slot(struct client_socket *s)
{
    handover_begin(s->slot);
    s->slot = &s->own;
}

static void take_slot(struct client_socket *s, const struct departures *d)
{
    struct handover_slot *slot = d != NULL ? handover_slot(d->handover, s->ticket) : NULL;
    s->slot = slot != NULL ? slot : &s->own;
}

void client_socket_open(struct client_socket *socket, uv_loop_t *loop, int *fd,
                        const struct ipc_client *request, void *user)
{
    struct client_socket *s = socket;
    int one = 1;
    *s = (struct client_socket){.fd = fd_take(fd)};
    s->ticket = request->ticket;
    take_slot(s, loop->data);
    s->opened_ms = s->progress_ms = clock_ms();
    (void)snprintf(s->label, sizeof(s->label), "%s#%llu", request->peer,
                   (unsigned long long)request->conn_id);
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (uv_poll_init(loop, &s->poll, s->fd) != 0)
        abort(); /* the descriptor is a socket: the master accepted it */
    s->poll.data = user;
}

static void say_that_it_left(struct client_socket *socket)
{
    if (socket->has_left)
        return;
    give_up_slot(socket);
    departures_add(socket->poll.loop->data, socket->ticket);
    socket->has_left = true;
}

void client_socket_close(struct client_socket *socket, uv_close_cb closed)
{
    say_that_it_left(socket);
    uv_close((uv_handle_t *)&socket->poll, closed);
    (void)shutdown(socket->fd, SHUT_WR);
    fd_close(&socket->fd);
}

int client_socket_release(struct client_socket *socket, uv_close_cb closed)
{
    give_up_slot(socket);
    socket->has_left = true;                        /* its return tells the master */
    uv_close((uv_handle_t *)&socket->poll, closed); /* out of the poll set at once */
    return fd_take(&socket->fd);
}

void client_socket_poll(struct client_socket *socket, int events, uv_poll_cb cb)
{
    if (events == socket->events)
        return; /* libuv would take it out of the poll set and put it back: two system calls */
    socket->events = events;
    if (events == 0)
        (void)uv_poll_stop(&socket->poll);
    else
        (void)uv_poll_start(&socket->poll, events, cb);
}

ssize_t client_socket_send(struct client_socket *socket, const struct msghdr *message)
{
    ssize_t n;
    do
        n = sendmsg(socket->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    socket->progress_ms = clock_ms();
    return n;
}

ssize_t client_socket_recv(struct client_socket *socket, void *data, size_t size)
{
    ssize_t n;
    do
        n = recv(socket->fd, data, size, MSG_DONTWAIT);
    while (n == -1 && errno == EINTR);
    if (n > 0)
        return n;
    return n == -1 && errno == EAGAIN ? 0 : -1;
}

void client_socket_linger(struct client_socket *socket)
{
    say_that_it_left(socket);
    socket->linger_ms = clock_ms() + CLIENT_SOCKET_LINGER_MS;
    (void)shutdown(socket->fd, SHUT_WR);
}

bool client_socket_throw_away(struct client_socket *socket)
{
    char data[4096];
    ssize_t n = client_socket_recv(socket, data, sizeof(data));
    if (n > 0)
        socket->thrown_away += (size_t)n;
    return n >= 0 && socket->thrown_away <= CLIENT_SOCKET_LINGER_BYTES;
}

bool client_socket_is_spent(const struct client_socket *socket, int64_t now_ms)
{
    return socket->linger_ms != 0 && now_ms > socket->linger_ms;
}

struct log_context client_socket_log(const struct client_socket *socket)
{
    return (struct log_context){.client = socket->label};
}

const char *client_socket_camera(const struct ipc_client *request, const char *shown)
{
    return request->camera[0] != '\0' ? request->camera : shown;
}

size_t client_socket_error(char *buf, const struct ipc_client *request, enum http_error error,
                           const char *shown, const char *message)
{
    return http_reply_error(buf, error, request->origin, client_socket_camera(request, shown),
                            message, (int)request->head);
}
