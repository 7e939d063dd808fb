#include "master/websocket_handshake.h"

#include "common/http_reply.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define ACCEPT_MAX (4 * ((SHA_DIGEST_LENGTH + 2) / 3) + 1) /* in base64, with a NUL */
#define TOKEN                                                                                      \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" /* RFC 9110, section 5.6.2 */ \
    "!#$%&'*+-.^_`|~"

/* Section 4.2.1: 16 bytes in base64. */
static bool is_key(const char *key)
{
    return strlen(key) == 24 && strcmp(key + 22, "==") == 0 &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == 22;
}

/* The first subprotocol offered. @param len  its length; 0: there is none. */
static const char *first_protocol(const struct http_request *request, size_t *len)
{
    const char *offered = request->websocket_protocol + strspn(request->websocket_protocol, ", \t");
    *len = strcspn(offered, ", \t");
    return offered;
}

const char *websocket_handshake_fault(const struct http_request *request)
{
    size_t len;
    if (strcmp(request->websocket_version, "13") != 0)
        return "Sec-WebSocket-Version: 13 is accepted";
    if (!is_key(request->websocket_key))
        return "Sec-WebSocket-Key: 16 bytes in base64 are accepted";
    const char *protocol = first_protocol(request, &len);
    if (strspn(protocol, TOKEN) < len)
        return "Sec-WebSocket-Protocol: tokens are accepted";
    return NULL;
}

/* Sec-WebSocket-Accept, section 4.2.2. */
static void make_accept(const char *key, char out[ACCEPT_MAX])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[sizeof(GUID) + 24];
    int len = snprintf(text, sizeof(text), "%.24s" GUID, key);
    (void)SHA1((const unsigned char *)text, (size_t)len, digest);
    (void)EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
}

size_t websocket_handshake(char *buf, const struct http_request *request)
{
    char accept[ACCEPT_MAX], headers[IPC_HEADER_MAX + 128];
    size_t protocol_len;
    const char *protocol = first_protocol(request, &protocol_len);
    bool has = protocol_len > 0;
    make_accept(request->websocket_key, accept);
    (void)snprintf(headers, sizeof(headers),
                   "Upgrade: websocket\r\n"
                   "Sec-WebSocket-Accept: %s\r\n"
                   "%s%.*s%s",
                   accept, has ? "Sec-WebSocket-Protocol: " : "", (int)protocol_len, protocol,
                   has ? "\r\n" : "");
    return http_reply_head(buf, 101, request->origin, headers);
}
