/*
 * One TCP connection to a camera, with TLS (OpenSSL on memory buffers) where asked.  Worker, loop
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
    const struct ipc_access *access; /* Borrowed until closed, as the next; NULL: any address */
    const char *own_host;            /* camera_access.h */
};

struct rtsp_link_events {
    void (*on_connected)(void *ctx);
    /* Where to put bytes: see rtsp_reader_space(). */
    uint8_t *(*on_space)(void *ctx, size_t *len);
    /* So many bytes were put there. */
    void (*on_bytes)(void *ctx, size_t len);
    /* The connection is over, or never came: detail says why, "" at a plain end.  Nothing comes
     * after this. */
    void (*on_end)(void *ctx, const char *detail);
    void *ctx;
};

struct rtsp_link;

/**
 * @param events  copied.
 * @return NULL if the host is not a valid name, or TLS cannot start.  Caller owns;
 *         rtsp_link_close().  No event comes from within.
 */
struct rtsp_link *rtsp_link_open(uv_loop_t *loop, const struct rtsp_link_params *params,
                                 const struct rtsp_link_events *events);

/** Were the camera's host or all its addresses forbidden?  Call it after on_end. */
bool rtsp_link_forbidden(const struct rtsp_link *link);

/** After on_connected: both ends.  @return 0, or a negative errno. */
int rtsp_link_addresses(const struct rtsp_link *link, struct sockaddr_storage *local,
                        struct sockaddr_storage *peer);

/** Send; copied where it cannot go out at once. */
void rtsp_link_send(struct rtsp_link *link, const uint8_t *data, size_t len);

/**
 * lazy: be told of bytes only when there are many, or by rtsp_link_gather().  That saves wake-ups
 * while nobody watches.  The end of the connection is still told at once.
 */
void rtsp_link_set_lazy(struct rtsp_link *link, bool lazy);

/** Read what has come so far; events come from within. */
void rtsp_link_gather(struct rtsp_link *link);

/** No event comes after this.  Once all is freed closed() is called, never from within. */
void rtsp_link_close(struct rtsp_link *link, void (*closed)(void *ctx), void *ctx);

#endif /* WORKER_RTSP_LINK_H */
