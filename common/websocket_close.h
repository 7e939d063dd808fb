/*
 * Close frames of the server's side of WebSocket, RFC 6455 section 5.5.1.  Every process; pure.
 *
 * A WebSocket is accepted before it is known whether there is a stream, because browsers tell pages
 * nothing about a handshake that fails, and open one WebSocket to a host at a time (section 4.1).
 * So an error comes in the close frame: its code is WEBSOCKET_ERROR_BASE and the HTTP status, its
 * reason the JSON of the HTTP answer, as much of the message as fits.  Before a stream has begun, a
 * text message with the whole JSON comes first: mpegts.js and flv.js, which know binary messages
 * only, take that for the error that it is.  With the close frame alone, flv.js waits for ever.
 */
#ifndef COMMON_WEBSOCKET_CLOSE_H
#define COMMON_WEBSOCKET_CLOSE_H

#include "common/http_reply.h"

#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_CONTROL_MAX 125 /* payload of a control frame, RFC 6455 section 5.5 */
#define WEBSOCKET_CLOSE_MAX (2 + WEBSOCKET_CONTROL_MAX)
#define WEBSOCKET_ERROR_MAX (4 + HTTP_ERROR_JSON_MAX + WEBSOCKET_CLOSE_MAX)
#define WEBSOCKET_ERROR_BASE 4000 /* 4000 to 4999 are for applications, section 7.4.2 */

/* Section 7.4.1 and the IANA registry. */
enum websocket_code {
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_NO_STATUS = 1005, /* never on the wire: the peer's close had no code */
    WEBSOCKET_TOO_BIG = 1009,
};

/** Write a close frame without a reason; WEBSOCKET_NO_STATUS: without a code. @return bytes. */
size_t websocket_close_frame(uint8_t buf[WEBSOCKET_CLOSE_MAX], uint16_t code);

/**
 * Write a close frame that tells an error: {"error":{"code":"…","message":"…"}}.
 *
 * @param message  escaped here; its end is left out if it is too long.
 * @return bytes.
 */
size_t websocket_close_error(uint8_t buf[WEBSOCKET_CLOSE_MAX], enum http_error error,
                             const char *message);

/**
 * Write the text message and the close frame for a client whose stream has not begun.
 *
 * @param camera, message  as for http_error_json().
 * @return bytes.
 */
size_t websocket_error(uint8_t buf[WEBSOCKET_ERROR_MAX], enum http_error error, const char *camera,
                       const char *message);

#endif /* COMMON_WEBSOCKET_CLOSE_H */
