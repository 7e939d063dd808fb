/*
 * The server side of WebSocket, RFC 6455: frame headers, and a parser for what clients send.  The
 * master has done the handshake.  Worker, loop thread.  Pure: no I/O, no state but the parser's.
 * Clients of this server have nothing to say, so their messages are counted and thrown away.
 */
#ifndef WORKER_WEBSOCKET_H
#define WORKER_WEBSOCKET_H

#include "common/websocket_close.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_HEADER_MAX 10    /* header of a WebSocket frame from this server (unmasked) */
#define WEBSOCKET_MESSAGE_MAX 4096 /* a longer message from a client is answered with 1009 */
#define WEBSOCKET_PONG_FRAME_MAX (2 + WEBSOCKET_CONTROL_MAX)

enum websocket_event_kind {
    WEBSOCKET_EVENT_NONE,  /* everything was consumed, nothing to do */
    WEBSOCKET_EVENT_PING,  /* send a pong with payload; of several pings only the last needs one */
    WEBSOCKET_EVENT_CLOSE, /* the peer closes: send a close frame with code, then close */
    WEBSOCKET_EVENT_ERROR, /* the peer broke the protocol: send a close frame and close, as above */
};

struct websocket_event {
    enum websocket_event_kind kind;
    uint16_t code; /* for the close frame to send: enum websocket_code, or the peer's own code */
    uint8_t payload_len;
    uint8_t payload[WEBSOCKET_CONTROL_MAX]; /* the ping's, unmasked */
};

/* The parser's state for one client.  Initialise with zeroes. */
struct websocket_parser {
    uint8_t head[14];
    uint8_t head_len;
    bool in_payload; /* the header is complete */
    bool in_message; /* a fragmented message has begun */
    bool closed;     /* a close or an error came: ignore everything after it */
    uint8_t control_len;
    uint8_t control[WEBSOCKET_CONTROL_MAX];
    uint64_t payload_len;
    uint64_t payload_seen;
    uint64_t message_len; /* over all fragments */
};

/**
 * Write the header of an unfragmented binary message of payload_len bytes, section 5.2.
 * @return 2, 4 or 10 bytes written.
 */
size_t websocket_binary_header(uint8_t buf[WEBSOCKET_HEADER_MAX], uint64_t payload_len);

/** Write the answer to a ping.  payload_len: 0..125. @return bytes written. */
size_t websocket_pong_frame(uint8_t buf[WEBSOCKET_PONG_FRAME_MAX], const uint8_t *payload,
                            size_t payload_len);

/**
 * Parse what a client sent, up to the first event.
 *
 * @param event  filled; WEBSOCKET_EVENT_NONE only when all of data was consumed.
 * @return bytes consumed, 0..len: call again with the rest until everything is consumed.
 */
size_t websocket_parse(struct websocket_parser *parser, const uint8_t *data, size_t len,
                       struct websocket_event *event);

/** May a fresh parser take over here: is no frame, and no message in fragments, half read? */
bool websocket_is_between_messages(const struct websocket_parser *parser);

#endif /* WORKER_WEBSOCKET_H */
