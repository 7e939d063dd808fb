#include "worker/viewers/websocket.h"

#include "common/bytes.h"

#include <assert.h>
#include <string.h>

#define FIN 0x80
#define RSV 0x70
#define MASKED 0x80
#define IS_CONTROL 0x08

enum opcode { OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE = 8, OP_PING, OP_PONG };

size_t websocket_binary_header(uint8_t buf[WEBSOCKET_HEADER_MAX], uint64_t payload_len)
{
    buf[0] = FIN | OP_BINARY;
    if (payload_len <= WEBSOCKET_CONTROL_MAX) {
        buf[1] = (uint8_t)payload_len;
        return 2;
    }
    if (payload_len <= UINT16_MAX) {
        buf[1] = 126;
        bytes_put16(buf + 2, (uint16_t)payload_len);
        return 4;
    }
    buf[1] = 127;
    bytes_put64(buf + 2, payload_len);
    return 10;
}

size_t websocket_pong_frame(uint8_t buf[WEBSOCKET_PONG_FRAME_MAX], const uint8_t *payload,
                            size_t payload_len)
{
    assert(payload_len <= WEBSOCKET_CONTROL_MAX);
    buf[0] = FIN | OP_PONG;
    buf[1] = (uint8_t)payload_len;
    if (payload_len > 0)
        memcpy(buf + 2, payload, payload_len);
    return 2 + payload_len;
}

/* Bytes of the length field after the second byte. */
static size_t extended_len(uint8_t second)
{
    unsigned len7 = second & 0x7f;
    return len7 == 127 ? 8 : len7 == 126 ? 2 : 0;
}

static size_t head_want(const struct websocket_parser *p)
{
    return p->head_len < 2 ? 2 : 2 + extended_len(p->head[1]) + 4;
}

/* Check the first two bytes as soon as they are there.  Returns 0 or the code to close with. */
static uint16_t check_start(const struct websocket_parser *p)
{
    uint8_t first = p->head[0], second = p->head[1];

    if ((first & RSV) != 0 || (second & MASKED) == 0)
        return WEBSOCKET_PROTOCOL_ERROR;
    switch ((enum opcode)(first & 0x0f)) {
    case OP_CONTINUATION:
        return p->in_message ? 0 : WEBSOCKET_PROTOCOL_ERROR;
    case OP_TEXT:
    case OP_BINARY:
        return p->in_message ? WEBSOCKET_PROTOCOL_ERROR : 0;
    case OP_CLOSE:
    case OP_PING:
    case OP_PONG: {
        bool ok = (first & FIN) != 0 && (second & 0x7f) <= WEBSOCKET_CONTROL_MAX;
        return ok ? 0 : WEBSOCKET_PROTOCOL_ERROR;
    }
    default:
        return WEBSOCKET_PROTOCOL_ERROR;
    }
}

/* The header is complete.  Returns 0 or the code to close with. */
static uint16_t begin_payload(struct websocket_parser *p)
{
    size_t extended = extended_len(p->head[1]);
    uint64_t len = extended == 0 ? p->head[1] & 0x7f : bytes_get(p->head + 2, (unsigned)extended);

    /* The shortest form is mandatory, and the top bit of the 64-bit form must be 0. */
    if ((extended == 2 && len <= WEBSOCKET_CONTROL_MAX) ||
        (extended == 8 && (len <= UINT16_MAX || len > INT64_MAX)))
        return WEBSOCKET_PROTOCOL_ERROR;
    p->in_payload = true;
    p->payload_len = len;
    p->payload_seen = 0;
    p->control_len = 0;
    if ((p->head[0] & IS_CONTROL) == 0) {
        if ((p->head[0] & 0x0f) != OP_CONTINUATION)
            p->message_len = 0;
        if (len > WEBSOCKET_MESSAGE_MAX - p->message_len)
            return WEBSOCKET_TOO_BIG;
        p->message_len += len;
        p->in_message = (p->head[0] & FIN) == 0;
    }
    return 0;
}

/* Codes that a peer may send, sections 7.4.1 and 7.4.2. */
static bool close_code_ok(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void end_control(const struct websocket_parser *p, struct websocket_event *event)
{
    if ((p->head[0] & 0x0f) == OP_PING) {
        event->kind = WEBSOCKET_EVENT_PING;
        event->payload_len = p->control_len;
        memcpy(event->payload, p->control, p->control_len);
    } else if ((p->head[0] & 0x0f) == OP_CLOSE) {
        event->kind = WEBSOCKET_EVENT_CLOSE;
        event->code = WEBSOCKET_NO_STATUS;
        if (p->control_len == 0)
            return;
        event->code = p->control_len == 1 ? 0 : bytes_get16(p->control);
        if (!close_code_ok(event->code)) {
            event->kind = WEBSOCKET_EVENT_ERROR;
            event->code = WEBSOCKET_PROTOCOL_ERROR;
        }
    }
}

/* Consume header bytes.  Returns how many; sets *code if the connection is to be closed. */
static size_t parse_head(struct websocket_parser *p, const uint8_t *data, size_t len,
                         uint16_t *code)
{
    size_t n = 0;

    while (n < len && !p->in_payload && *code == 0) {
        p->head[p->head_len++] = data[n++];
        if (p->head_len == 2)
            *code = check_start(p);
        else if (p->head_len == head_want(p))
            *code = begin_payload(p);
    }
    return n;
}

static size_t parse_payload(struct websocket_parser *p, const uint8_t *data, size_t len)
{
    uint64_t left = p->payload_len - p->payload_seen;
    size_t n = left < len ? (size_t)left : len;

    if ((p->head[0] & IS_CONTROL) != 0) {
        const uint8_t *mask = p->head + 2 + extended_len(p->head[1]);
        for (size_t i = 0; i < n; i++) {
            p->control[p->control_len] = data[i] ^ mask[p->control_len & 3];
            p->control_len++;
        }
    }
    p->payload_seen += n;
    return n;
}

size_t websocket_parse(struct websocket_parser *parser, const uint8_t *data, size_t len,
                       struct websocket_event *event)
{
    struct websocket_parser *p = parser;
    uint16_t code = 0;
    size_t n = 0;

    event->kind = WEBSOCKET_EVENT_NONE;
    event->code = 0;
    event->payload_len = 0;
    if (p->closed)
        return len;
    while (event->kind == WEBSOCKET_EVENT_NONE) {
        n += parse_head(p, data + n, len - n, &code);
        if (code != 0) {
            event->kind = WEBSOCKET_EVENT_ERROR;
            event->code = code;
            break;
        }
        if (!p->in_payload)
            break;
        n += parse_payload(p, data + n, len - n);
        if (p->payload_seen < p->payload_len)
            break;
        if ((p->head[0] & IS_CONTROL) != 0)
            end_control(p, event);
        p->in_payload = false;
        p->head_len = 0;
    }
    p->closed = event->kind == WEBSOCKET_EVENT_CLOSE || event->kind == WEBSOCKET_EVENT_ERROR;
    return n;
}

bool websocket_is_between_messages(const struct websocket_parser *parser)
{
    return parser->head_len == 0 && !parser->in_payload && !parser->in_message;
}
