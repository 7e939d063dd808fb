#include "worker/rtsp/rtsp_transport.h"

#include "common/fd.h"
#include "common/xalloc.h"
#include "worker/rtsp/dial.h"
#include "worker/rtsp/rtsp_tls.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UDP_BUFFER_BYTES 4194304 /* a 4K key frame arrives as one burst */
#define UDP_PAIR_TRIES 32
#define DATAGRAM_MAX 65536
#define TLS_CHUNK_BYTES 16384
#define WRITE_QUEUE_MAX 65536 /* unsent requests: beyond this the camera does not read */

struct udp_port {
    uv_udp_t handle;
    struct rtsp_transport *transport;
    enum track track;
    bool open;
    struct sockaddr_storage peer;   /* where we send: the camera's end of the connection */
    struct sockaddr_storage source; /* where it says that it sends from; ss_family 0: not said */
};

struct write {
    uv_write_t request;
    uint8_t data[];
};

struct rtsp_transport {
    uv_loop_t *loop;
    struct rtsp_transport_events events;
    struct dial *dial; /* NULL: connected, or given up */
    uv_tcp_t tcp;

    struct rtsp_tls *tls;
    uint8_t *tls_buf;

    struct udp_port ports[TRACK_COUNT][2]; /* RTP, RTCP */
    uint8_t *datagram;
    uint16_t port_numbers[TRACK_COUNT];

    unsigned pending; /* open handles and requests that still come back */
    bool udp;
    bool tcp_open;
    bool secure;    /* the TLS handshake is done */
    bool forbidden; /* no address may be connected to */
    bool ended;     /* on_end was called, or close asked for */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* --- the end ------------------------------------------------------------ */

static void release(struct rtsp_transport *t)
{
    assert(t->pending > 0);
    if (--t->pending > 0 || !t->closing)
        return;
    void (*closed)(void *ctx) = t->closed;
    void *ctx = t->closed_ctx;
    rtsp_tls_free(&t->tls);
    free(t->tls_buf);
    free(t->datagram);
    free(t);
    closed(ctx);
}

static void end(struct rtsp_transport *t, const char *detail)
{
    if (t->ended)
        return;
    t->ended = true;
    if (t->tcp_open)
        (void)uv_read_stop((uv_stream_t *)&t->tcp);
    t->events.on_end(t->events.ctx, detail);
}

/* --- TCP and TLS -------------------------------------------------------- */

static void on_written(uv_write_t *request, int status)
{
    struct rtsp_transport *t = request->data;
    free(request);
    if (status < 0 && status != UV_ECANCELED)
        end(t, uv_strerror(status));
    release(t);
}

static void send_raw(struct rtsp_transport *t, const uint8_t *data, size_t len)
{
    if (t->ended || !t->tcp_open || len == 0)
        return;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    int sent = uv_try_write((uv_stream_t *)&t->tcp, &buf, 1);
    sent = sent < 0 ? 0 : sent; /* an error shows again when it is queued */
    if ((size_t)sent == len)
        return;
    len -= (size_t)sent;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp) + len > WRITE_QUEUE_MAX) {
        end(t, "the camera does not read what it is sent");
        return;
    }
    struct write *w = xcalloc(1, sizeof(*w) + len);
    memcpy(w->data, data + sent, len);
    w->request.data = t;
    buf = uv_buf_init((char *)w->data, (unsigned)len);
    t->pending++;
    int rc = uv_write(&w->request, (uv_stream_t *)&t->tcp, &buf, 1, on_written);
    if (rc < 0)
        on_written(&w->request, rc);
}

static void tls_flush(struct rtsp_transport *t)
{
    uint8_t buf[TLS_CHUNK_BYTES];
    size_t n;
    while (!t->ended && (n = rtsp_tls_to_send(t->tls, buf, sizeof(buf))) > 0)
        send_raw(t, buf, n);
}

void rtsp_transport_send(struct rtsp_transport *transport, const uint8_t *data, size_t len)
{
    if (transport->tls == NULL) {
        send_raw(transport, data, len);
        return;
    }
    if (!transport->secure || len == 0)
        return;
    if (rtsp_tls_write(transport->tls, data, len) == 0)
        tls_flush(transport);
    else
        end(transport, "TLS: cannot send");
}

static void tls_failed(struct rtsp_transport *t)
{
    char detail[192];
    (void)snprintf(detail, sizeof(detail), "TLS: %s", rtsp_tls_error(t->tls));
    tls_flush(t); /* the alert */
    end(t, detail);
}

static void tls_handshake(struct rtsp_transport *t)
{
    int rc = rtsp_tls_handshake(t->tls);
    if (rc < 0) {
        tls_failed(t);
        return;
    }
    tls_flush(t);
    if (rc == 1 && !t->ended) {
        t->secure = true;
        t->events.on_connected(t->events.ctx);
    }
}

static void tls_received(struct rtsp_transport *t, size_t len)
{
    if (rtsp_tls_received(t->tls, t->tls_buf, len) != 0) {
        end(t, "out of memory");
        return;
    }
    if (!t->secure)
        tls_handshake(t);
    long n = 1;
    while (t->secure && !t->ended && n > 0) {
        size_t room;
        uint8_t *space = t->events.on_space(t->events.ctx, &room);
        n = rtsp_tls_read(t->tls, space, room);
        if (n > 0)
            t->events.on_bytes(t->events.ctx, (size_t)n);
        else if (n == -EPIPE)
            end(t, "");
        else if (n < 0)
            tls_failed(t);
    }
    if (!t->ended)
        tls_flush(t); /* key updates */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct rtsp_transport *t = handle->data;
    (void)suggested;
    size_t len = TLS_CHUNK_BYTES;
    uint8_t *space = t->tls != NULL ? t->tls_buf : t->events.on_space(t->events.ctx, &len);
    *buf = uv_buf_init((char *)space, (unsigned)len);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct rtsp_transport *t = stream->data;
    (void)buf;
    if (t->ended)
        return;
    if (n < 0)
        end(t, n == UV_EOF ? "" : uv_strerror((int)n));
    else if (n > 0 && t->tls != NULL)
        tls_received(t, (size_t)n);
    else if (n > 0)
        t->events.on_bytes(t->events.ctx, (size_t)n);
}

/* --- UDP ---------------------------------------------------------------- */

static void on_udp_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct udp_port *p = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)p->transport->datagram, DATAGRAM_MAX);
}

static bool same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static void on_datagram(uv_udp_t *handle, ssize_t n, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    const struct udp_port *p = handle->data;
    struct rtsp_transport *t = p->transport;
    if (n <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0 || t->ended)
        return;
    /* Anybody can send to a port: only the camera is heard. */
    if (!same_host(from, &p->peer) && !same_host(from, &p->source))
        return;
    t->events.on_datagram(t->events.ctx, p->track, (const uint8_t *)buf->base, (size_t)n);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static uint16_t get_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void close_port(struct udp_port *p)
{
    if (!p->open)
        return;
    p->open = false;
    p->handle.data = p->transport;
    uv_close((uv_handle_t *)&p->handle, on_closed);
}

/* A plain socket, tried until one has an even number and its neighbour is free (RFC 3550 section
 * 11); libuv takes it over. */
static int bind_socket(const struct sockaddr_storage *local, uint16_t port, uint16_t *bound)
{
    struct sockaddr_storage address = *local;
    socklen_t len = sizeof(address);
    set_port(&address, port);
    int fd = socket(local->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    int size = UDP_BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); /* as much as may be */
    *bound = get_port(&address);
    return fd;
}

static bool start_port(struct rtsp_transport *t, struct udp_port *p, enum track track, int fd)
{
    p->transport = t;
    p->track = track;
    if (uv_udp_init(t->loop, &p->handle) != 0) {
        (void)close(fd);
        return false;
    }
    p->open = true;
    p->handle.data = p;
    t->pending++;
    if (uv_udp_open(&p->handle, fd) != 0) {
        (void)close(fd);
        return false;
    }
    return uv_udp_recv_start(&p->handle, on_udp_alloc, on_datagram) == 0;
}

static bool bind_pair(struct rtsp_transport *t, enum track track,
                      const struct sockaddr_storage *local)
{
    for (int i = 0; i < UDP_PAIR_TRIES; i++) {
        uint16_t port = 0;
        uint16_t neighbour = 0;
        int rtp = bind_socket(local, 0, &port);
        if (rtp < 0)
            return false;
        int rtcp = port % 2 == 0 && port < 65535
                       ? bind_socket(local, (uint16_t)(port + 1), &neighbour)
                       : -EADDRINUSE;
        if (rtcp < 0) {
            (void)close(rtp);
            continue;
        }
        t->port_numbers[track] = port;
        bool ok = start_port(t, &t->ports[track][0], track, rtp);
        return start_port(t, &t->ports[track][1], track, rtcp) && ok;
    }
    return false;
}

static bool bind_udp(struct rtsp_transport *t)
{
    struct sockaddr_storage local = {0};
    int len = sizeof(local);
    /* On the address that the camera sees us with. */
    if (uv_tcp_getsockname(&t->tcp, (struct sockaddr *)&local, &len) != 0)
        return false;
    t->datagram = malloc(DATAGRAM_MAX);
    if (t->datagram == NULL)
        return false;
    for (int track = 0; track < TRACK_COUNT; track++)
        if (!bind_pair(t, (enum track)track, &local))
            return false;
    return true;
}

uint16_t rtsp_transport_udp_port(const struct rtsp_transport *transport, enum track track)
{
    return transport->port_numbers[track];
}

static void send_datagram(struct udp_port *p, const uint8_t *data, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    if (p->open && p->peer.ss_family != 0 && get_port(&p->peer) != 0)
        (void)uv_udp_try_send(&p->handle, &buf, 1, (const struct sockaddr *)&p->peer);
}

void rtsp_transport_udp_peer(struct rtsp_transport *transport, enum track track, const char *source,
                             const uint16_t ports[2])
{
    struct rtsp_transport *t = transport;
    /* An empty RTP packet and an empty receiver report: what ends up in no decoder. */
    static const uint8_t openers[2][12] = {{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                                           {0x80, 201, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}};
    static const size_t sizes[2] = {12, 8};
    for (int i = 0; i < 2; i++) {
        struct udp_port *p = &t->ports[track][i];
        int len = sizeof(p->peer);
        if (!p->open || uv_tcp_getpeername(&t->tcp, (struct sockaddr *)&p->peer, &len) != 0)
            continue;
        if (uv_ip4_addr(source, 0, (struct sockaddr_in *)&p->source) != 0 &&
            uv_ip6_addr(source, 0, (struct sockaddr_in6 *)&p->source) != 0)
            p->source.ss_family = 0;
        set_port(&p->peer, ports[i]);
        send_datagram(p, openers[i], sizes[i]);
    }
}

void rtsp_transport_send_rtcp(struct rtsp_transport *transport, enum track track,
                              const uint8_t *data, size_t len)
{
    send_datagram(&transport->ports[track][1], data, len);
}

/* --- connecting --------------------------------------------------------- */

static void on_dial_closed(void *ctx)
{
    release(ctx);
}

static void stop_dialing(struct rtsp_transport *t)
{
    struct dial *dial = t->dial;
    t->dial = NULL;
    if (dial != NULL)
        dial_close(dial, on_dial_closed, t);
}

static void on_connected(void *ctx, int *fd)
{
    struct rtsp_transport *t = ctx;
    stop_dialing(t);
    int rc = uv_tcp_init(t->loop, &t->tcp);
    if (rc == 0) {
        t->tcp.data = t;
        t->tcp_open = true;
        t->pending++;
        rc = uv_tcp_open(&t->tcp, *fd);
    }
    if (rc == 0) {
        (void)fd_take(fd);
        (void)uv_tcp_nodelay(&t->tcp, 1);
        (void)uv_tcp_keepalive(&t->tcp, 1, 60);
        rc = uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_read);
    }
    if (rc != 0)
        end(t, uv_strerror(rc));
    else if (t->udp && !bind_udp(t))
        end(t, "no UDP ports to receive on");
    else if (t->tls != NULL)
        tls_handshake(t);
    else
        t->events.on_connected(t->events.ctx);
}

static void on_dial_failed(void *ctx, const char *detail, bool forbidden)
{
    struct rtsp_transport *t = ctx;
    t->forbidden = forbidden;
    end(t, detail);
}

bool rtsp_transport_forbidden(const struct rtsp_transport *transport)
{
    return transport->forbidden;
}

struct rtsp_transport *rtsp_transport_open(uv_loop_t *loop,
                                           const struct rtsp_transport_params *params,
                                           const struct rtsp_transport_events *events)
{
    struct rtsp_transport *t = xcalloc(1, sizeof(*t));
    const struct dial_params camera = {
        .host = params->host,
        .port = params->port,
        .access = params->access,
        .own_host = params->own_host,
    };
    t->loop = loop;
    t->events = *events;
    t->udp = params->udp;
    if (params->tls) {
        t->tls = rtsp_tls_new(params->host, params->tls_insecure);
        t->tls_buf = malloc(TLS_CHUNK_BYTES);
        if (t->tls == NULL || t->tls_buf == NULL)
            goto fail;
    }
    t->dial = dial_open(loop, &camera, &(struct dial_events){on_connected, on_dial_failed, t});
    if (t->dial == NULL)
        goto fail;
    t->pending++;
    return t;

fail:
    rtsp_tls_free(&t->tls);
    free(t->tls_buf);
    free(t);
    return NULL;
}

void rtsp_transport_close(struct rtsp_transport *transport, void (*closed)(void *ctx), void *ctx)
{
    struct rtsp_transport *t = transport;
    t->ended = t->closing = true;
    t->closed = closed;
    t->closed_ctx = ctx;
    t->pending++; /* so that nothing goes before this function is through */
    stop_dialing(t);
    if (t->tcp_open) {
        t->tcp_open = false;
        uv_close((uv_handle_t *)&t->tcp, on_closed);
    }
    for (int i = 0; i < TRACK_COUNT; i++) {
        close_port(&t->ports[i][0]);
        close_port(&t->ports[i][1]);
    }
    release(t); /* calls closed() from here only if nothing was ever open */
}
