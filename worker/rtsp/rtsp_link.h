/*
 * One TCP connection to a camera, optionally with TLS (OpenSSL on memory buffers).  Worker, loop
 * thread; never blocks.  Knows nothing of RTSP.
 */
#ifndef WORKER_RTSP_LINK_H
#define WORKER_RTSP_LINK_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct rtsp_link_params {
    const char *host; /* name or address.  Borrowed for the call. */
    uint16_t port;
    bool tls;
    bool tls_insecure;               /* accept any certificate, and old ciphers */
    const struct ipc_access *access; /* Borrowed until closed, like own_host; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct rtsp_link_events {
    void (*on_connected)(void *ctx);
    /* Where to put bytes: see rtsp_reader_space(). */
    uint8_t *(*on_space)(void *ctx, size_t *len);
    /* len bytes were put there. */
    void (*on_bytes)(void *ctx, size_t len);
    /* The last event: the connection has ended or could not be made.  detail says why; it is "" at
     * a plain end. */
    void (*on_end)(void *ctx, const char *detail);
    void *ctx;
};

struct rtsp_link;

/**
 * @param events  copied.
 * @return NULL if the host is not a valid name, or TLS cannot start.  Caller owns;
 *         rtsp_link_close().  No event comes during the call.
 */
struct rtsp_link *rtsp_link_open(uv_loop_t *loop, const struct rtsp_link_params *params,
                                 const struct rtsp_link_events *events);

/** Were the camera's host or all its addresses forbidden?  Call it after on_end. */
bool rtsp_link_forbidden(const struct rtsp_link *link);

/** Get the addresses of both ends, after on_connected.  @return 0, or a negative errno. */
int rtsp_link_addresses(const struct rtsp_link *link, struct sockaddr_storage *local,
                        struct sockaddr_storage *peer);

/** Send data; what cannot be sent at once is copied. */
void rtsp_link_send(struct rtsp_link *link, const uint8_t *data, size_t len);

/**
 * If lazy, bytes are reported only when there are many, or by rtsp_link_gather().  This saves
 * wake-ups while nobody watches.  The end of the connection is still reported at once.
 */
void rtsp_link_set_lazy(struct rtsp_link *link, bool lazy);

/** Read what has arrived so far; events come during the call. */
void rtsp_link_gather(struct rtsp_link *link);

/** No event comes after this.  closed() is called once all is freed, never during the call. */
void rtsp_link_close(struct rtsp_link *link, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_RTSP_LINK_H */
