#include "worker/rtsp/rtsp_link.h"

#include "common/closing.h"
#include "common/fd.h"
#include "common/xalloc.h"
#include "worker/media/gather.h"
#include "worker/rtsp/dial.h"
#include "worker/rtsp/rtsp_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS_CHUNK_BYTES 16384
#define WRITE_QUEUE_MAX 65536 /* bytes not yet sent: if more, the camera does not read */

struct write {
    uv_write_t request;
    uint8_t data[];
};

struct rtsp_link {
    uv_loop_t *loop;
    struct rtsp_link_events events;
    struct dial *dial; /* NULL: connected, or closed */
    uv_tcp_t tcp;
    struct rtsp_tls *tls;
    uint8_t *tls_buf;
    bool tcp_open;
    bool secure;            /* the TLS handshake is done */
    bool forbidden;         /* the access list allows none of the addresses */
    bool ended;             /* on_end() or rtsp_link_close() was called */
    struct closing closing; /* look-up, handle, requests */
};

/* --- the end ------------------------------------------------------------ */

static void free_buffers(struct rtsp_link *l)
{
    rtsp_tls_free(&l->tls);
    free(l->tls_buf);
}

static void release(struct rtsp_link *l)
{
    if (!closing_release(&l->closing))
        return;
    free_buffers(l);
    closing_finish(&l->closing, l);
}

static void end(struct rtsp_link *l, const char *detail)
{
    if (l->ended)
        return;
    l->ended = true;
    if (l->tcp_open)
        (void)uv_read_stop((uv_stream_t *)&l->tcp);
    l->events.on_end(l->events.ctx, detail);
}

/* --- TCP and TLS -------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct rtsp_link *l = request->data;
    free(request);
    if (status < 0 && status != UV_ECANCELED)
        end(l, uv_strerror(status));
    release(l);
}

static void send_raw(struct rtsp_link *l, const uint8_t *data, size_t len)
{
    if (l->ended || !l->tcp_open || len == 0)
        return;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    int sent = uv_try_write((uv_stream_t *)&l->tcp, &buf, 1);
    sent = sent < 0 ? 0 : sent; /* uv_write() will report an error */
    if ((size_t)sent == len)
        return;
    len -= (size_t)sent;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&l->tcp) + len > WRITE_QUEUE_MAX) {
        end(l, "the camera does not read what it is sent");
        return;
    }
    struct write *w = xcalloc(1, sizeof(*w) + len);
    memcpy(w->data, data + sent, len);
    w->request.data = l;
    buf = uv_buf_init((char *)w->data, (unsigned)len);
    closing_hold(&l->closing);
    int rc = uv_write(&w->request, (uv_stream_t *)&l->tcp, &buf, 1, on_written);
    if (rc < 0)
        on_written(&w->request, rc);
}

static void tls_flush(struct rtsp_link *l)
{
    uint8_t buf[TLS_CHUNK_BYTES];
    size_t n;
    while (!l->ended && (n = rtsp_tls_to_send(l->tls, buf, sizeof(buf))) > 0)
        send_raw(l, buf, n);
}

void rtsp_link_send(struct rtsp_link *link, const uint8_t *data, size_t len)
{
    if (link->tls == NULL) {
        send_raw(link, data, len);
        return;
    }
    if (!link->secure || len == 0)
        return;
    if (rtsp_tls_write(link->tls, data, len) == 0)
        tls_flush(link);
    else
        end(link, "TLS: cannot send");
}

static void tls_failed(struct rtsp_link *l)
{
    char detail[192];
    (void)snprintf(detail, sizeof(detail), "TLS: %s", rtsp_tls_error(l->tls));
    tls_flush(l); /* send the alert */
    end(l, detail);
}

static void tls_handshake(struct rtsp_link *l)
{
    int rc = rtsp_tls_handshake(l->tls);
    if (rc < 0) {
        tls_failed(l);
        return;
    }
    tls_flush(l);
    if (rc == 1 && !l->ended) {
        l->secure = true;
        l->events.on_connected(l->events.ctx);
    }
}

static void tls_received(struct rtsp_link *l, size_t len)
{
    if (rtsp_tls_received(l->tls, l->tls_buf, len) != 0) {
        end(l, "out of memory");
        return;
    }
    if (!l->secure)
        tls_handshake(l);
    long n = 1;
    while (l->secure && !l->ended && n > 0) {
        size_t room;
        uint8_t *space = l->events.on_space(l->events.ctx, &room);
        n = rtsp_tls_read(l->tls, space, room);
        if (n > 0)
            l->events.on_bytes(l->events.ctx, (size_t)n);
        else if (n == -EPIPE)
            end(l, "");
        else if (n < 0)
            tls_failed(l);
    }
    if (!l->ended)
        tls_flush(l); /* send key updates */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct rtsp_link *l = handle->data;
    (void)suggested;
    size_t len = TLS_CHUNK_BYTES;
    uint8_t *space = l->tls != NULL ? l->tls_buf : l->events.on_space(l->events.ctx, &len);
    *buf = uv_buf_init((char *)space, (unsigned)len);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct rtsp_link *l = stream->data;
    (void)buf;
    if (l->ended)
        return;
    if (n < 0)
        end(l, n == UV_EOF ? "" : uv_strerror((int)n));
    else if (n > 0 && l->tls != NULL)
        tls_received(l, (size_t)n);
    else if (n > 0)
        l->events.on_bytes(l->events.ctx, (size_t)n);
}

/* --- lazy reading ------------------------------------------------------- */

void rtsp_link_set_lazy(struct rtsp_link *link, bool lazy)
{
    uv_os_fd_t fd;
    if (link->tcp_open && uv_fileno((const uv_handle_t *)&link->tcp, &fd) == 0)
        gather_set_lazy(fd, lazy);
}

/* Read once. @return how many bytes came, or 0 if that was all. */
static size_t gather_some(struct rtsp_link *l)
{
    uv_os_fd_t fd;
    uv_buf_t buf;
    if (!l->tcp_open || l->ended || uv_fileno((const uv_handle_t *)&l->tcp, &fd) != 0)
        return 0;
    on_alloc((uv_handle_t *)&l->tcp, 0, &buf);
    ssize_t n = recv(fd, buf.base, buf.len, MSG_DONTWAIT);
    if (n > 0) /* libuv reports the end */
        on_read((uv_stream_t *)&l->tcp, n, &buf);
    return n > 0 && (size_t)n == buf.len ? (size_t)n : 0;
}

/* What the socket may hold, or more. */
static size_t capacity_of(const struct rtsp_link *l)
{
    uv_os_fd_t fd;
    int size = 0;
    socklen_t len = sizeof(size);
    bool known = l->tcp_open && uv_fileno((const uv_handle_t *)&l->tcp, &fd) == 0 &&
                 getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len) == 0;
    return known && size > 0 ? (size_t)size : 0;
}

/* No more than a buffer full: a camera that sends faster than it can be read must not keep this
 * thread. */
void rtsp_link_gather(struct rtsp_link *link)
{
    size_t most = capacity_of(link);
    size_t n = 1;
    for (size_t sum = 0; n > 0 && sum <= most; sum += n)
        n = gather_some(link);
}

/* --- connecting --------------------------------------------------------- */

static void on_dial_closed(void *ctx)
{
    release(ctx);
}

static void stop_dialing(struct rtsp_link *l)
{
    struct dial *dial = l->dial;
    l->dial = NULL;
    if (dial != NULL)
        dial_close(dial, on_dial_closed, l);
}

static void on_connected(void *ctx, int *fd)
{
    struct rtsp_link *l = ctx;
    stop_dialing(l);
    (void)uv_tcp_init(l->loop, &l->tcp); /* cannot fail: no socket is made */
    l->tcp.data = l;
    l->tcp_open = true;
    closing_hold(&l->closing);
    int rc = uv_tcp_open(&l->tcp, *fd);
    if (rc == 0) {
        (void)fd_take(fd);
        (void)uv_tcp_nodelay(&l->tcp, 1);
        (void)uv_tcp_keepalive(&l->tcp, 1, 60);
        rc = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    }
    if (rc != 0)
        end(l, uv_strerror(rc));
    else if (l->tls != NULL)
        tls_handshake(l);
    else
        l->events.on_connected(l->events.ctx);
}

static void on_dial_failed(void *ctx, const char *detail, bool forbidden)
{
    struct rtsp_link *l = ctx;
    l->forbidden = forbidden;
    end(l, detail);
}

bool rtsp_link_forbidden(const struct rtsp_link *link)
{
    return link->forbidden;
}

int rtsp_link_addresses(const struct rtsp_link *link, struct sockaddr_storage *local,
                        struct sockaddr_storage *peer)
{
    int len = sizeof(*local);
    int rc = uv_tcp_getsockname(&link->tcp, (struct sockaddr *)local, &len);
    len = sizeof(*peer);
    return rc == 0 ? uv_tcp_getpeername(&link->tcp, (struct sockaddr *)peer, &len) : rc;
}

/* --- life --------------------------------------------------------------- */

struct rtsp_link *rtsp_link_open(uv_loop_t *loop, const struct rtsp_link_params *params,
                                 const struct rtsp_link_events *events)
{
    struct rtsp_link *l = xcalloc(1, sizeof(*l));
    const struct dial_params camera = {
        .host = params->host,
        .port = params->port,
        .access = params->access,
        .own_host = params->own_host,
    };
    l->loop = loop;
    l->events = *events;
    if (params->tls) {
        l->tls = rtsp_tls_new(params->host, params->tls_insecure);
        l->tls_buf = malloc(TLS_CHUNK_BYTES);
        if (l->tls == NULL || l->tls_buf == NULL)
            goto fail;
    }
    l->dial = dial_open(loop, &camera, &(struct dial_events){on_connected, on_dial_failed, l});
    if (l->dial == NULL)
        goto fail;
    closing_hold(&l->closing);
    return l;

fail:
    free_buffers(l);
    free(l);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void rtsp_link_close(struct rtsp_link *link, void (*closed)(void *ctx), void *ctx)
{
    link->ended = true;
    (void)closing_ask(&link->closing, closed, ctx); /* the look-up or the handle is held */
    stop_dialing(link);
    if (link->tcp_open) {
        link->tcp_open = false;
        uv_close((uv_handle_t *)&link->tcp, on_closed);
    }
}
