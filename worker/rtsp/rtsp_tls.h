/*
 * TLS for RTSPS: OpenSSL between two memory buffers, no I/O of its own.  Worker, loop thread.
 */
#ifndef WORKER_RTSP_TLS_H
#define WORKER_RTSP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtsp_tls;

/**
 * @param host      name or address that the certificate must be for.
 * @param insecure  take any certificate; old protocols and ciphers too.
 * @return NULL when OpenSSL fails.  Caller owns; rtsp_tls_free().
 */
struct rtsp_tls *rtsp_tls_new(const char *host, bool insecure);
void rtsp_tls_free(struct rtsp_tls **tls);

/** Bytes came from the network.  @return 0, or -ENOMEM. */
int rtsp_tls_received(struct rtsp_tls *tls, const uint8_t *data, size_t len);

/**
 * Go on with the handshake.
 * @return 1 done, 0 not yet, -EPROTO refused: rtsp_tls_error() says why.
 */
int rtsp_tls_handshake(struct rtsp_tls *tls);

/** Decrypted bytes.  @return how many, 0 for none yet, -EPIPE at the end, -EPROTO. */
long rtsp_tls_read(struct rtsp_tls *tls, uint8_t *buf, size_t size);

/** Encrypt.  @return 0, or -EPROTO. */
int rtsp_tls_write(struct rtsp_tls *tls, const uint8_t *data, size_t len);

/** Bytes for the network.  @return how many were put into buf, 0 for none. */
size_t rtsp_tls_to_send(struct rtsp_tls *tls, uint8_t *buf, size_t size);

/** What went wrong last, for a log line.  Borrowed. */
const char *rtsp_tls_error(const struct rtsp_tls *tls);

#endif /* WORKER_RTSP_TLS_H */
