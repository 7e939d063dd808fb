#include "worker/rtsp/dial.h"

#include "common/camera_access.h"
#include "common/closing.h"
#include "common/fd.h"
#include "common/xalloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct attempt {
    uv_poll_t poll;
    struct dial *dial;
    int fd;
};

struct dial {
    uv_loop_t *loop;
    struct dial_events events;
    char host[256];
    const struct ipc_access *access;
    const char *own_host;

    uv_getaddrinfo_t lookup;
    struct addrinfo *addresses;
    const struct addrinfo *next;
    struct attempt *attempts[DIAL_ADDRESSES_MAX]; /* NULL: over */
    unsigned tried;
    unsigned under_way;
    uv_timer_t timer; /* for the next address */
    bool forbidden;   /* an address was forbidden, and no other was tried */
    char failure[128];

    struct closing closing; /* look-up, timer, attempts */
    bool ended;             /* the last event was sent, or dial_close() called */
};

static void try_next(struct dial *d);

/* --- the end ------------------------------------------------------------ */

static void release(struct dial *d)
{
    if (!closing_release(&d->closing))
        return;
    uv_freeaddrinfo(d->addresses);
    closing_finish(&d->closing, d);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct attempt *a = handle->data;
    struct dial *d = a->dial;
    free(a);
    release(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* @return the attempt's socket.  Caller owns. */
static int end_attempt(struct dial *d, unsigned i)
{
    struct attempt *a = d->attempts[i];
    int fd = fd_take(&a->fd);
    d->attempts[i] = NULL;
    d->under_way--;
    uv_close((uv_handle_t *)&a->poll, on_attempt_closed); /* this stops watching the socket */
    return fd;
}

static void end_all(struct dial *d)
{
    d->ended = true;
    (void)uv_timer_stop(&d->timer);
    for (unsigned i = 0; i < d->tried; i++) {
        if (d->attempts[i] != NULL) {
            int fd = end_attempt(d, i);
            fd_close(&fd);
        }
    }
}

static void fail(struct dial *d)
{
    end_all(d);
    d->events.on_failed(d->events.ctx, d->failure, d->forbidden);
}

/* --- addresses ---------------------------------------------------------- */

static void attempt_failed(struct dial *d, int error)
{
    d->forbidden = false;
    (void)snprintf(d->failure, sizeof(d->failure), "%s", uv_strerror(-error));
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct attempt *a = poll->data;
    struct dial *d = a->dial;
    unsigned i = 0;
    int error = 0;
    socklen_t len = sizeof(error);
    (void)events;
    while (d->attempts[i] != a)
        i++;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0)
        error = -status; /* libuv reports EBADF for any error */
    int fd = end_attempt(d, i);
    if (error == 0) {
        end_all(d);
        d->events.on_connected(d->events.ctx, &fd);
        fd_close(&fd);
        return;
    }
    fd_close(&fd);
    attempt_failed(d, error);
    try_next(d);
}

static void on_timer(uv_timer_t *timer)
{
    try_next(timer->data);
}

/* @return 0 if the attempt has started, or an errno. */
static int start_attempt(struct dial *d, const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    /* If connect() succeeds at once, the first poll reports it. */
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        int error = errno;
        fd_close(&fd);
        return error;
    }
    struct attempt *a = xcalloc(1, sizeof(*a));
    int rc = uv_poll_init(d->loop, &a->poll, fd);
    if (rc != 0) {
        free(a);
        fd_close(&fd);
        return -rc;
    }
    a->dial = d;
    a->fd = fd;
    a->poll.data = a;
    d->attempts[d->tried++] = a;
    d->under_way++;
    closing_hold(&d->closing);
    (void)uv_poll_start(&a->poll, UV_WRITABLE, on_writable);
    return 0;
}

static bool may_connect(const struct dial *d, const struct sockaddr *address)
{
    return d->access == NULL || camera_access_address(d->access, d->own_host, d->host, address);
}

static void try_next(struct dial *d)
{
    while (d->next != NULL && d->tried < DIAL_ADDRESSES_MAX) {
        const struct addrinfo *address = d->next;
        d->next = address->ai_next;
        /* Judge the address, not the name: each look-up may give another one. */
        if (!may_connect(d, address->ai_addr)) {
            if (d->failure[0] == '\0') {
                d->forbidden = true;
                (void)snprintf(d->failure, sizeof(d->failure),
                               "the camera's address is not allowed");
            }
            continue;
        }
        int error = start_attempt(d, address);
        if (error != 0) {
            attempt_failed(d, error);
            continue;
        }
        if (d->next != NULL)
            (void)uv_timer_start(&d->timer, on_timer, DIAL_NEXT_MS, 0);
        return;
    }
    if (d->under_way == 0)
        fail(d);
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct dial *d = request->data;
    d->addresses = addresses;
    if (!d->ended) {
        d->next = status == 0 ? addresses : NULL;
        if (status != 0)
            (void)snprintf(d->failure, sizeof(d->failure), "name lookup: %s", uv_strerror(status));
        try_next(d);
    }
    release(d);
}

/* --- life --------------------------------------------------------------- */

struct dial *dial_open(uv_loop_t *loop, const struct dial_params *params,
                       const struct dial_events *events)
{
    struct dial *d = xcalloc(1, sizeof(*d));
    char service[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    d->loop = loop;
    d->events = *events;
    d->access = params->access;
    d->own_host = params->own_host;
    (void)snprintf(d->host, sizeof(d->host), "%s", params->host);
    (void)snprintf(service, sizeof(service), "%u", params->port);
    d->lookup.data = d;
    /* Resolve the name for every connection: cameras move. */
    if (uv_getaddrinfo(loop, &d->lookup, on_lookup, d->host, service, &hints) != 0) {
        free(d);
        return NULL;
    }
    (void)uv_timer_init(loop, &d->timer); /* cannot fail */
    d->timer.data = d;
    closing_hold(&d->closing); /* the look-up */
    closing_hold(&d->closing); /* the timer */
    return d;
}

void dial_close(struct dial *dial, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&dial->closing, closed, ctx); /* the timer is held */
    end_all(dial);
    (void)uv_cancel((uv_req_t *)&dial->lookup);
    uv_close((uv_handle_t *)&dial->timer, on_timer_closed);
}
