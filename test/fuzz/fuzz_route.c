/* Any bytes as a request, routed: the first byte picks port, method and WebSocket. */
#include "master/conf_file.h"
#include "master/conf_option.h"
#include "master/http_head.h"
#include "master/route.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;

static void check(int rc, const struct route *out)
{
    char reply[HTTP_REPLY_MAX];
    assert((rc != 0) == (out->kind == ROUTE_ERROR));
    if (rc != 0) {
        assert(out->error != HTTP_ERROR_NONE && out->message[0] != '\0');
        size_t n = http_reply_error_with(reply, out->error, out->client.origin, out->headers,
                                         out->camera_label, out->message, 0);
        assert(n < sizeof(reply));
        return;
    }
    if (out->kind == ROUTE_PREFLIGHT) {
        assert(http_reply_head(reply, 204, NULL, out->headers) < sizeof(reply));
        return;
    }
    if (out->kind == ROUTE_HEALTHZ)
        return;
    assert(out->url.host[0] != '\0' && out->camera_label[0] != '\0');
    assert((unsigned)out->transport < IPC_TRANSPORT_COUNT);
    const struct ipc_client *client = &out->client;
    assert(client->join <= IPC_JOIN_KEY && client->hevc <= IPC_HEVC_LEGACY && client->audio <= 1);
    assert(client->quality <= 100 && client->av1 <= IPC_AV1_ENHANCED && client->fps >= 1 &&
           client->fps <= 30);
    assert(client->width <= 7680 && client->height <= 7680);
    assert(client->websocket <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_request request;
    static const char ini[] = "[camera \"gate\"]\nurl = rtmp://u:p@10.0.0.8/live/gate\n";
    static char text[512];
    if (conf.camera_count == 0) {
        conf_option_set_defaults(&conf);
        int rc = conf_read(&conf, "f", ini, sizeof(ini) - 1, text, sizeof(text));
        assert(rc == 0);
    }
    if (size < 2 || size > HTTP_TARGET_MAX)
        return 0;

    memset(&request, 0, sizeof(request));
    request.method = (enum request_method)((data[0] >> 1) % (REQUEST_OTHER + 1));
    request.upgrade_websocket = (data[0] & 0x80) != 0;
    memcpy(request.target, data + 1, size - 1);
    request.path = request.target;
    char *query = strchr(request.target, '?');
    request.query = "";
    if (query != NULL) {
        *query = '\0';
        request.query = query + 1;
    }
    (void)strcpy(request.websocket_version, "13");
    (void)strcpy(request.websocket_key, "dGhlIHNhbXBsZSBub25jZQ==");
    /* header values come from the target's end, so that they are fuzzed too */
    size_t tail = size > 60 ? 40 : 0;
    memcpy(request.websocket_protocol, data + size - tail, tail);
    memcpy(request.cors_request_headers, data + size - tail, tail);

    struct route out;
    int rc =
        route_request(&conf, data[0] & 1 ? ROUTE_PORT_SNAPSHOT : ROUTE_PORT_STREAM, &request, &out);
    check(rc, &out);
    return 0;
}
