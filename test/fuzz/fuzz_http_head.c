/* Any bytes as a request head, whole and in pieces: both must give the same request. */
#include "master/http_head.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head whole, pieces;
    if (size == 0)
        return 0;
    size_t step = (size_t)data[0] + 1;
    const char *text = (const char *)data + 1;
    size--;

    size_t used = 0, used_pieces = 0;
    http_head_init(&whole);
    int rc = http_head_feed(&whole, text, size, &used);
    assert(used <= size && used <= HTTP_HEAD_MAX);
    assert((rc < 0) == (whole.error != HTTP_ERROR_NONE));

    int rc_pieces = 0;
    http_head_init(&pieces);
    for (size_t i = 0; i < size && rc_pieces == 0; i += step) {
        size_t n = 0;
        rc_pieces = http_head_feed(&pieces, text + i, size - i < step ? size - i : step, &n);
        used_pieces += n;
    }
    assert(rc == rc_pieces && whole.error == pieces.error);
    if (rc != 1)
        return 0;
    assert(used == used_pieces);
    assert(strcmp(whole.request.path, pieces.request.path) == 0);
    assert(strcmp(whole.request.query, pieces.request.query) == 0);
    assert(strcmp(whole.request.origin, pieces.request.origin) == 0);
    assert(strcmp(whole.request.websocket_key, pieces.request.websocket_key) == 0);
    assert(whole.request.upgrade_websocket == pieces.request.upgrade_websocket);
    for (const char *c = whole.request.origin; *c != '\0'; c++)
        assert((unsigned char)*c >= 0x20 || *c == '\t'); /* it is echoed */
    assert(whole.request.path[0] != '\0');
    return 0;
}
