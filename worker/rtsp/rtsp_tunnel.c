#include "worker/rtsp/rtsp_tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MEDIA_TYPE "application/x-rtsp-tunnelled"

void rtsp_tunnel_init(struct rtsp_tunnel *tunnel, const struct camera_url *url, uint64_t seed)
{
    memset(tunnel, 0, sizeof(*tunnel));
    rtsp_auth_init(&tunnel->auth, url->user, url->password, seed);
    const char *open = url->host_is_ipv6 ? "[" : "";
    const char *close = url->host_is_ipv6 ? "]" : "";
    (void)snprintf(tunnel->host, sizeof(tunnel->host), "%s%s%s:%u", open, url->host, close,
                   (unsigned)url->port);
    const char *slash = url->path[0] == '/' ? "" : "/";
    (void)snprintf(tunnel->path, sizeof(tunnel->path), "%s%s", slash, url->path);
    (void)snprintf(tunnel->cookie, sizeof(tunnel->cookie), "%016llx", (unsigned long long)seed);
}

int rtsp_tunnel_request(struct rtsp_tunnel *tunnel, bool up, char *buf)
{
    /* The length only says that there is a body: cameras do not count its bytes. */
    static const char post[] = "Content-Type: " MEDIA_TYPE "\r\nContent-Length: 32767\r\n"
                               "Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n";
    static const char get[] = "Accept: " MEDIA_TYPE "\r\n";
    const char *method = up ? "POST" : "GET";
    char auth[RTSP_AUTH_HEADER_MAX];
    if (rtsp_auth_header(&tunnel->auth, method, tunnel->path, auth) < 0)
        return -ENAMETOOLONG;
    int n =
        snprintf(buf, RTSP_TUNNEL_REQUEST_MAX,
                 "%s %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: CAM-HTTPFLV\r\n"
                 "x-sessioncookie: %s\r\n%sPragma: no-cache\r\nCache-Control: no-cache\r\n%s\r\n",
                 method, tunnel->path, tunnel->host, tunnel->cookie, up ? post : get, auth);
    tunnel->head_len = 0;
    return n > 0 && (size_t)n < RTSP_TUNNEL_REQUEST_MAX ? n : -ENAMETOOLONG;
}

/* Some cameras answer with RTSP's status line. */
static int read_status(const char *head, size_t len)
{
    int status = 0;
    if (len < 12 || (memcmp(head, "HTTP/", 5) != 0 && memcmp(head, "RTSP/", 5) != 0))
        return 0;
    for (int i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return 0;
        status = status * 10 + head[i] - '0';
    }
    return status;
}

/* Take a 401's challenges.  Returns whether to ask again. */
static bool takes_challenge(struct rtsp_tunnel *t, size_t head)
{
    struct rtsp_reader reader;
    struct rtsp_message m;
    size_t room;
    bool again = false;
    if (rtsp_reader_init(&reader) != 0)
        return false;
    /* Ignore the body by hiding its length: the connection is not used again. */
    static const char length[] = "Content-Length:";
    char *body = strcasestr(t->head, length);
    if (body != NULL && body < t->head + head)
        memset(body, 'X', sizeof(length) - 2);
    memcpy(rtsp_reader_space(&reader, &room), t->head, head);
    rtsp_reader_filled(&reader, head);
    if (rtsp_reader_next(&reader, &m) == 1 && m.item == RTSP_ITEM_RESPONSE)
        again = rtsp_auth_refused(&t->auth, &m);
    rtsp_reader_free(&reader);
    return again;
}

/* Up to the empty line, after which media may follow; 0: it has not come.  Some cameras end lines
 * with a line feed alone. */
static size_t head_bytes(const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    const char *bare = memmem(text, len, "\n\n", 2);
    if (bare != NULL && (end == NULL || bare < end))
        return (size_t)(bare - text) + 2;
    return end != NULL ? (size_t)(end - text) + 4 : 0;
}

enum rtsp_tunnel_answer rtsp_tunnel_read(struct rtsp_tunnel *tunnel, const uint8_t *data,
                                         size_t len, size_t *used)
{
    struct rtsp_tunnel *t = tunnel;
    size_t before = t->head_len;
    size_t room = sizeof(t->head) - 1 - before;
    size_t taken = len < room ? len : room;
    memcpy(t->head + before, data, taken);
    t->head_len += taken;
    t->head[t->head_len] = '\0';

    size_t head = head_bytes(t->head, t->head_len);
    if (head == 0)
        return t->head_len < sizeof(t->head) - 1 ? RTSP_TUNNEL_MORE : RTSP_TUNNEL_REFUSED;
    t->status = read_status(t->head, head);
    if (t->status == 200) {
        rtsp_auth_accepted(&t->auth);
        *used = head - before;
        return RTSP_TUNNEL_OPEN;
    }
    return t->status == 401 && takes_challenge(t, head) ? RTSP_TUNNEL_AGAIN : RTSP_TUNNEL_REFUSED;
}

void rtsp_tunnel_remember(struct rtsp_tunnel *tunnel, const uint8_t *data, size_t len)
{
    struct rtsp_tunnel *t = tunnel;
    t->unheard_lost = t->unheard_lost || len > sizeof(t->unheard) - t->unheard_len;
    if (t->heard || t->unheard_lost)
        return;
    memcpy(t->unheard + t->unheard_len, data, len);
    t->unheard_len += len;
}

void rtsp_tunnel_hear(struct rtsp_tunnel *tunnel)
{
    if (tunnel->heard)
        return;
    tunnel->heard = true;
    explicit_bzero(tunnel->unheard, sizeof(tunnel->unheard));
    tunnel->unheard_len = 0;
}

enum http_error rtsp_tunnel_error(const struct rtsp_tunnel *tunnel)
{
    switch (tunnel->status) {
    case 401:
    case 403:
        return HTTP_ERROR_CAMERA_UNAUTHORIZED;
    case 404:
    case 410:
        return HTTP_ERROR_CAMERA_NOT_FOUND;
    default:
        return HTTP_ERROR_CAMERA_UNREACHABLE;
    }
}
