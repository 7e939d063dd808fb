/*
 * A web server that answers anything to the GET of RTSP over HTTP.
 *
 * Input: a byte that says how much comes at once, then the answer.
 */
#include "worker/rtsp/rtsp_tunnel.h"

#include <assert.h>
#include <string.h>

#define URL "rtsph://admin:geheim!@10.0.0.9/cam?x=1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rtsp_tunnel tunnel;
    struct camera_url url;
    const char *reason;
    char request[RTSP_TUNNEL_REQUEST_MAX];
    if (size < 1)
        return 0;
    size_t step = (size_t)data[0] + 1;
    assert(url_parse(&url, URL, strlen(URL), &reason) == 0);
    rtsp_tunnel_init(&tunnel, &url, 1);
    assert(rtsp_tunnel_request(&tunnel, false, request) > 0);
    for (size_t at = 1; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        size_t used = 0;
        switch (rtsp_tunnel_read(&tunnel, data + at, len, &used)) {
        case RTSP_TUNNEL_MORE:
            break;
        case RTSP_TUNNEL_OPEN:
            assert(used > 0 && used <= len && tunnel.status == 200);
            (void)rtsp_tunnel_request(&tunnel, true, request);
            return 0;
        case RTSP_TUNNEL_AGAIN:
            (void)rtsp_tunnel_request(&tunnel, false, request);
            break;
        case RTSP_TUNNEL_REFUSED:
            assert(rtsp_tunnel_error(&tunnel) != HTTP_ERROR_NONE);
            return 0;
        }
    }
    return 0;
}
