/*
 * TLS for RTSPS: OpenSSL between two memory buffers, without I/O.  Worker, loop thread.
 */
#ifndef WORKER_RTSP_TLS_H
#define WORKER_RTSP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtsp_tls;

/**
 * @param host      name or address that the certificate must be for.
 * @param insecure  accept any certificate, and old protocols and ciphers.
 * @return NULL when OpenSSL fails.  Caller owns; rtsp_tls_free().
 */
struct rtsp_tls *rtsp_tls_new(const char *host, bool insecure);
void rtsp_tls_free(struct rtsp_tls **tls);

/** Take bytes from the network.  @return 0, or -ENOMEM. */
int rtsp_tls_received(struct rtsp_tls *tls, const uint8_t *data, size_t len);

/**
 * Continue the handshake.
 * @return 1 done, 0 not yet, -EPROTO refused: rtsp_tls_error() says why.
 */
int rtsp_tls_handshake(struct rtsp_tls *tls);

/** Get decrypted bytes.  @return how many; 0 for none yet; -EPIPE at the end; -EPROTO. */
long rtsp_tls_read(struct rtsp_tls *tls, uint8_t *buf, size_t size);

/** Encrypt.  @return 0, or -EPROTO. */
int rtsp_tls_write(struct rtsp_tls *tls, const uint8_t *data, size_t len);

/** Get bytes for the network.  @return how many were put into buf; 0 for none. */
size_t rtsp_tls_to_send(struct rtsp_tls *tls, uint8_t *buf, size_t size);

/** The last error, as text for the log.  Borrowed. */
const char *rtsp_tls_error(const struct rtsp_tls *tls);

#endif /* WORKER_RTSP_TLS_H */
