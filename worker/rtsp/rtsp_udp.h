/*
 * Receives RTP and RTCP over UDP: on a pair of ports per track, our own or a multicast group's.
 * Worker, loop thread; never blocks.  Datagrams are accepted from the camera only, or from the
 * source that it names, and sent to the camera only: it cannot make us send elsewhere.
 */
#ifndef WORKER_RTSP_UDP_H
#define WORKER_RTSP_UDP_H

#include "worker/media/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct rtsp_udp_events {
    /* An RTP or RTCP datagram from the camera.  Borrowed for the call. */
    void (*on_datagram)(void *ctx, enum track track, const uint8_t *data, size_t len);
    void *ctx;
};

struct rtsp_udp;

/**
 * @param local   our end of the connection to the camera: ports are bound on this address.
 * @param peer    the camera's end.
 * @param events  copied.
 * @return NULL when out of memory.  Caller owns; rtsp_udp_close().
 */
struct rtsp_udp *rtsp_udp_open(uv_loop_t *loop, const struct sockaddr_storage *local,
                               const struct sockaddr_storage *peer,
                               const struct rtsp_udp_events *events);

/** Bind a pair of ports for each track.  @return false if that fails. */
bool rtsp_udp_bind(struct rtsp_udp *udp);

/** A track's local RTP port; RTCP uses the next port.  0: there is none. */
uint16_t rtsp_udp_port(const struct rtsp_udp *udp, enum track track);

/**
 * Listen to a track's multicast group, on the interface that leads to the camera.
 *
 * @param group  IPv4 or IPv6 address.
 * @param ports  RTP, RTCP.
 * @return 0, or a negative errno: -EINVAL if this is not a multicast group.
 */
int rtsp_udp_join(struct rtsp_udp *udp, enum track track, const char *group,
                  const uint16_t ports[2]);

/**
 * Set where a track's datagrams go to and come from, and send one to each port.
 *
 * @param source  an address besides the camera's that they may come from, or "".
 * @param ports   RTP, RTCP; 0: unknown, nothing is sent.
 */
void rtsp_udp_peer(struct rtsp_udp *udp, enum track track, const char *source,
                   const uint16_t ports[2]);

/** Send RTCP to the camera's RTCP port, if that is known. */
void rtsp_udp_send_rtcp(struct rtsp_udp *udp, enum track track, const uint8_t *data, size_t len);

/**
 * How long may datagrams wait?  No socket's buffer is more than half full then, if as much comes as
 * in the worst tenth, quarter or half of a second of the last minutes.  @return 0: not at all.
 */
int64_t rtsp_udp_wait_ms(const struct rtsp_udp *udp);

/**
 * How many datagrams came for an RTP port and were dropped, because its socket's buffer was full?
 * The network has not lost them.
 */
uint64_t rtsp_udp_overruns(const struct rtsp_udp *udp);

/** Log that datagrams were dropped, if some were.  Call every few seconds. */
void rtsp_udp_check(struct rtsp_udp *udp);

/** If lazy, datagrams wait in the sockets until rtsp_udp_gather().  This saves wake-ups. */
void rtsp_udp_set_lazy(struct rtsp_udp *udp, bool lazy);

/** Report the datagrams that have come. */
void rtsp_udp_gather(struct rtsp_udp *udp);

/** No event comes after this.  closed() is called once all is freed, never during the call. */
void rtsp_udp_close(struct rtsp_udp *udp, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_RTSP_UDP_H */
