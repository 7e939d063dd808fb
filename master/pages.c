#include "master/pages.h"

#include "common/http_reply.h"
#include "master/web_assets.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CONFIG_PATH "/assets/config.json"
#define CONFIG_MAX 64

static const struct web_asset *find(const char *path)
{
    for (size_t i = 0; i < web_asset_count; i++) {
        if (strcmp(web_assets[i].path, path) == 0)
            return &web_assets[i];
    }
    return NULL;
}

bool pages_exists(const char *path)
{
    return strcmp(path, CONFIG_PATH) == 0 || find(path) != NULL;
}

/* Does a comma-separated list hold this member?  Ignores weights except q=0. */
static bool list_has(const char *list, const char *member)
{
    size_t member_len = strlen(member);

    while (*list != '\0') {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ","), name_len = strcspn(list, ",; \t");
        if (name_len == member_len && strncasecmp(list, member, member_len) == 0) {
            const char *q = memchr(list, '=', len);
            return q == NULL || strspn(q + 1, "0.") != len - (size_t)(q + 1 - list);
        }
        list += len;
    }
    return false;
}

static size_t reply_config(char *buf, const struct http_request *request,
                           const struct pages_ports *ports)
{
    char body[CONFIG_MAX], headers[128];
    int len = snprintf(body, sizeof(body), "{\"flv_port\":%u,\"snapshot_port\":%u}\n", ports->flv,
                       ports->snapshot);
    assert(len > 0 && len < CONFIG_MAX);
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: application/json\r\n"
                   "Content-Length: %d\r\n"
                   "Cache-Control: no-store\r\n",
                   len);
    size_t n = http_reply_head(buf, 200, request->origin, headers);
    if (request->method == REQUEST_HEAD)
        return n;
    memcpy(buf + n, body, (size_t)len);
    return n + (size_t)len;
}

/* A browser that keeps a document for the way back keeps its streams, too: a frozen page's
 * WebSockets are not read, so they cannot even be closed. */
static const char *caching_of(const struct web_asset *asset)
{
    return strncmp(asset->type, "text/html", 9) == 0 ? "no-store" : "no-cache";
}

size_t pages_reply(char *buf, const struct http_request *request, const struct pages_ports *ports,
                   const unsigned char **body, size_t *body_len)
{
    const struct web_asset *asset = find(request->path);
    char headers[1024], length[64];

    *body = NULL;
    *body_len = 0;
    if (asset == NULL)
        return reply_config(buf, request, ports);

    bool same =
        list_has(request->if_none_match, asset->etag) || strcmp(request->if_none_match, "*") == 0;
    bool gzip = list_has(request->accept_encoding, "gzip");
    size_t len = gzip ? asset->gzip_len : asset->len;
    (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", len);
    /* Any site may embed the page in a frame: other dashboards embed /play, and the page changes
     * nothing here.  The other port is another origin on the same host, which CSP cannot express.
     * Not every browser counts WebSockets to this origin as 'self'. */
    int n = snprintf(headers, sizeof(headers),
                     "Content-Type: %s\r\n"
                     "%s%s"
                     "ETag: %s\r\n"
                     "Cache-Control: %s\r\n"
                     "Vary: Accept-Encoding\r\n"
                     "X-Content-Type-Options: nosniff\r\n"
                     "Referrer-Policy: no-referrer\r\n"
                     "Content-Security-Policy: default-src 'none'; script-src 'self'; "
                     "style-src 'self'; img-src 'self'; media-src blob:; "
                     "connect-src 'self' http://*:%u https://*:%u ws://*:%u wss://*:%u; "
                     "base-uri 'none'; form-action 'none'\r\n",
                     asset->type, same ? "" : length,
                     gzip && !same ? "Content-Encoding: gzip\r\n" : "", asset->etag,
                     caching_of(asset), ports->snapshot, ports->snapshot, ports->flv, ports->flv);
    assert(n > 0 && (size_t)n < sizeof(headers));
    if (!same && request->method != REQUEST_HEAD) {
        *body = gzip ? asset->gzip : asset->data;
        *body_len = len;
    }
    return http_reply_head(buf, same ? 304 : 200, request->origin, headers);
}
