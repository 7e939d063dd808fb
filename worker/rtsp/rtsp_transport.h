/*
 * Carries bytes to a camera and back, by any way: one connection, alone or with UDP ports or
 * multicast groups, or two HTTP connections that act as one.  Worker, loop thread; never blocks.
 */
#ifndef WORKER_RTSP_TRANSPORT_H
#define WORKER_RTSP_TRANSPORT_H

#include "common/http_reply.h"
#include "common/url.h"
#include "worker/media/frame.h"
#include "worker/rtsp/rtsp_session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct rtsp_transport_params {
    const struct camera_url *url; /* Borrowed for the call */
    enum rtsp_way way;
    bool tls_insecure;               /* accept any certificate, and old ciphers */
    uint64_t seed;                   /* random */
    const struct ipc_access *access; /* Borrowed until closed, like own_host; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct rtsp_transport_events {
    void (*on_connected)(void *ctx);
    /* Where to put bytes: see rtsp_reader_space(). */
    uint8_t *(*on_space)(void *ctx, size_t *len);
    /* len bytes were put there. */
    void (*on_bytes)(void *ctx, size_t len);
    /* An RTP or RTCP datagram from the camera.  Borrowed for the call. */
    void (*on_datagram)(void *ctx, enum track track, const uint8_t *data, size_t len);
    /* The last event: the connection has ended or could not be made.  detail says why; it is "" at
     * a plain end. */
    void (*on_end)(void *ctx, const char *detail);
    void *ctx;
};

struct rtsp_transport;

/**
 * @return NULL if the host is not a valid name, or TLS cannot start.  Caller owns;
 *         rtsp_transport_close().  No event comes during the call.
 */
struct rtsp_transport *rtsp_transport_open(uv_loop_t *loop,
                                           const struct rtsp_transport_params *params,
                                           const struct rtsp_transport_events *events);

/** Why the connection could not be made.  Call it after on_end. */
enum http_error rtsp_transport_error(const struct rtsp_transport *transport);

/** Send data; what cannot be sent at once is copied. */
void rtsp_transport_send(struct rtsp_transport *transport, const uint8_t *data, size_t len);

/** A track's local RTP port, after on_connected; RTCP uses the next port.  0: there is none. */
uint16_t rtsp_transport_udp_port(const struct rtsp_transport *transport, enum track track);

/**
 * Expect the datagrams of a track that is set up.  Listens to its multicast group, or sends one
 * datagram to each of its ports, so that NATs and firewalls let the camera's through; always to the
 * host that we are connected to, so that a camera cannot make us send elsewhere.  Does nothing if
 * media come on the connection.
 */
void rtsp_transport_expect(struct rtsp_transport *transport, const struct rtsp_track *track);

/** Send RTCP to the camera's RTCP port, if that is known. */
void rtsp_transport_send_rtcp(struct rtsp_transport *transport, enum track track,
                              const uint8_t *data, size_t len);

/** If lazy, media wait in the sockets until rtsp_transport_gather(); on a connection, many bytes
 * are reported even so.  This saves wake-ups. */
void rtsp_transport_set_lazy(struct rtsp_transport *transport, bool lazy);

/** The longest time between two calls of rtsp_transport_gather() that loses nothing; INT64_MAX:
 * any; 0: media must not wait. */
int64_t rtsp_transport_gather_us(const struct rtsp_transport *transport);

/** Report what has arrived while lazy. */
void rtsp_transport_gather(struct rtsp_transport *transport);

/** As rtsp_udp_overruns(); 0 if media come on the connection. */
uint64_t rtsp_transport_overruns(const struct rtsp_transport *transport);

/** As rtsp_udp_check(). */
void rtsp_transport_check(struct rtsp_transport *transport);

/** No event comes after this.  closed() is called once all is freed, never during the call. */
void rtsp_transport_close(struct rtsp_transport *transport, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_RTSP_TRANSPORT_H */
