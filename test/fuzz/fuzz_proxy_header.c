/* Any bytes in front of a connection: the same answer in one piece and byte by byte, and no more
 * bytes taken than there are. */
#include "master/proxy_header.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, pieces = {0};
    char text[IPC_PEER_MAX];
    const char *bytes = (const char *)data;
    int rc = proxy_header_read(bytes, size, &whole);
    assert(rc <= (int)size && rc <= PROXY_HEADER_MAX);
    assert(rc != 0 || size < PROXY_HEADER_MAX);

    int rc_pieces = 0;
    for (size_t n = 0; n <= size && rc_pieces == 0; n++)
        rc_pieces = proxy_header_read(bytes, n, &pieces);
    assert(rc == rc_pieces && whole.has_client == pieces.has_client);
    assert(memcmp(&whole.client, &pieces.client, sizeof(whole.client)) == 0);
    if (whole.has_client) {
        assert(rc > 0);
        address_format(&whole.client.any, text);
        assert(strlen(text) > 3);
    }
    return 0;
}
