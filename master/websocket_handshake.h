/*
 * The server's side of a WebSocket handshake, RFC 6455 section 4.2.  Master; pure.  Workers get
 * connections whose handshake is done.
 */
#ifndef MASTER_WEBSOCKET_HANDSHAKE_H
#define MASTER_WEBSOCKET_HANDSHAKE_H

#include "master/http_head.h"

#include <stddef.h>

/**
 * Check what a request to upgrade says.
 * @return NULL: it is right; or what is wrong, and what is accepted: a literal.
 */
const char *websocket_handshake_fault(const struct http_request *request);

/**
 * Write the complete `101 Switching Protocols` head, with CORS headers.
 *
 * @param buf      HTTP_REPLY_MAX bytes.  Caller owns.
 * @param request  without a fault.  The first of the subprotocols that it offers is taken: the
 *                 stream does not depend on it.
 * @return bytes written, without a NUL.
 */
size_t websocket_handshake(char *buf, const struct http_request *request);

#endif /* MASTER_WEBSOCKET_HANDSHAKE_H */
