/* worker/websocket: whatever a client sends, in whatever pieces, gives the same events. */
#include "worker/viewers/websocket.h"

#include <assert.h>
#include <string.h>

struct seen {
    unsigned pings;
    size_t ping_bytes;
    uint16_t code;
    enum websocket_event_kind end;
};

static void feed(struct websocket_parser *parser, const uint8_t *data, size_t len,
                 struct seen *seen)
{
    size_t n = 0;

    while (n < len) {
        struct websocket_event e;
        size_t took = websocket_parse(parser, data + n, len - n, &e);
        assert(took <= len - n);
        n += took;
        assert(e.kind != WEBSOCKET_EVENT_NONE || n == len);
        assert(e.payload_len <= WEBSOCKET_CONTROL_MAX);
        if (e.kind == WEBSOCKET_EVENT_PING) {
            uint8_t pong[WEBSOCKET_PONG_FRAME_MAX];
            seen->pings++;
            seen->ping_bytes += websocket_pong_frame(pong, e.payload, e.payload_len);
        } else if (e.kind != WEBSOCKET_EVENT_NONE) {
            assert(seen->end == WEBSOCKET_EVENT_NONE);
            seen->end = e.kind;
            seen->code = e.code;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct websocket_parser whole = {0}, bytewise = {0};
    struct seen a, b;

    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    feed(&whole, data, size, &a);
    for (size_t i = 0; i < size; i++)
        feed(&bytewise, data + i, 1, &b);
    assert(memcmp(&a, &b, sizeof(a)) == 0);
    return 0;
}
