#include "master/route.h"

#include "common/camera_access.h"
#include "common/url_redact.h"
#include "master/access.h"
#include "master/conf_camera.h"
#include "master/players.h"
#include "master/query.h"
#include "master/websocket_handshake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIZE_MIN 16
#define SIZE_MAX_PIXELS 7680
#define FPS_DEFAULT 5
#define FPS_MAX 30
#define WAIT_DEFAULT_S 10 /* for after= without Prefer */
#define WAIT_MAX_S 60

/* The words that a parameter accepts; a word's index is the enum value that it sets. */
static const char *const allow_h265_words[] = {"false", "true", NULL};
#define HEVC_AUTO 2 /* after the members of enum ipc_hevc */
static const char *const hevc_words[] = {
    [IPC_HEVC_ENHANCED] = "enhanced", [IPC_HEVC_LEGACY] = "legacy", [HEVC_AUTO] = "auto", NULL};
static const char *const av1_words[] = {
    [IPC_AV1_H264] = "h264", [IPC_AV1_ENHANCED] = "enhanced", NULL};
static const char *const audio_words[] = {"none", "aac", NULL};
static const char *const picture_words[] = {
    [IPC_PICTURE_NEWEST] = "newest", [IPC_PICTURE_KEY] = "key", NULL};
enum stream_choice { STREAM_MAIN, STREAM_SUB, STREAM_AUTO };
static const char *const stream_words[] = {
    [STREAM_MAIN] = "main", [STREAM_SUB] = "sub", [STREAM_AUTO] = "auto", NULL};
static const char *const join_words[] = {
    [IPC_JOIN_LIVE] = "live", [IPC_JOIN_GOP] = "gop", [IPC_JOIN_KEY] = "key", NULL};

static int fail(struct route *out, enum http_error error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct route *out, enum http_error error, const char *fmt, ...)
{
    va_list args;
    out->kind = ROUTE_ERROR;
    out->error = error;
    va_start(args, fmt);
    (void)vsnprintf(out->message, sizeof(out->message), fmt, args);
    va_end(args);
    return -EINVAL;
}

/* Does text consist of bytes that a list of tokens may hold?  RFC 9110 section 5.6.2. */
static bool is_token_list(const char *text, const char *separators)
{
    for (; *text != '\0'; text++) {
        bool alnum = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                     (*text >= 'A' && *text <= 'Z');
        if (!alnum && strchr("!#$%&'*+-.^_`|~", *text) == NULL && strchr(separators, *text) == NULL)
            return false;
    }
    return true;
}

/* CORS preflight (Fetch standard, section 3.2.2).  Allows the path's methods, and any header
 * requested. */
static int answer_preflight(const struct http_request *request, const char *allowed,
                            struct route *out)
{
    const char *wanted = request->cors_request_headers;
    bool echo = wanted[0] != '\0' && is_token_list(wanted, ", ");
    out->kind = ROUTE_PREFLIGHT;
    (void)snprintf(out->headers, sizeof(out->headers),
                   "Allow: %s\r\n"
                   "Access-Control-Allow-Methods: %s\r\n"
                   "%s%s%s"
                   "Access-Control-Max-Age: 86400\r\n",
                   allowed, allowed, echo ? "Access-Control-Allow-Headers: " : "",
                   echo ? wanted : "", echo ? "\r\n" : "");
    return 0;
}

/* "a, b or c" */
static void list_words(char *text, size_t size, const char *const *words)
{
    size_t n = 0;
    for (size_t i = 0; words[i] != NULL && n < size; i++) {
        const char *before = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
        n += (size_t)snprintf(text + n, size - n, "%s%s", before, words[i]);
    }
}

/* @param value the default; set to the index of the word given. */
static int read_word(const struct query *q, enum query_param param, const char *const *words,
                     uint32_t *value, struct route *out)
{
    char accepted[64];
    if (!q->given[param])
        return 0;
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(q->value[param], words[i]) == 0) {
            *value = i;
            return 0;
        }
    }
    list_words(accepted, sizeof(accepted), words);
    return fail(out, HTTP_ERROR_BAD_PARAMETER, "%s: %s is accepted", query_param_name(param),
                accepted);
}

static int read_number(const struct query *q, enum query_param param, uint32_t min, uint32_t max,
                       uint32_t *value, struct route *out)
{
    if (!q->given[param])
        return 0;
    const char *text = q->value[param];
    size_t len = strlen(text);
    uint32_t number = 0;
    bool ok = len > 0 && len <= 6 && strspn(text, "0123456789") == len;
    for (size_t i = 0; ok && i < len; i++)
        number = number * 10 + (uint32_t)(text[i] - '0');
    if (!ok || number < min || number > max)
        return fail(out, HTTP_ERROR_BAD_PARAMETER, "%s: a number from %u to %u is accepted",
                    query_param_name(param), min, max);
    *value = number;
    return 0;
}

/* crop=x,y,width,height.  Only the worker can tell whether it lies within the picture. */
static int read_crop(const struct query *q, struct ipc_client *client, struct route *out)
{
    uint32_t numbers[4];
    char *rest;
    if (!q->given[QUERY_CROP])
        return 0;
    const char *text = q->value[QUERY_CROP];
    for (int i = 0; i < 4; i++) {
        if (strspn(text, "0123456789") < 1 || strspn(text, "0123456789") > 5)
            goto bad;
        numbers[i] = (uint32_t)strtoul(text, &rest, 10);
        if (*rest != (i < 3 ? ',' : '\0'))
            goto bad;
        text = rest + 1;
    }
    if (numbers[2] < SIZE_MIN || numbers[3] < SIZE_MIN)
        goto bad;
    client->crop_x = numbers[0];
    client->crop_y = numbers[1];
    client->crop_width = numbers[2];
    client->crop_height = numbers[3];
    return 0;

bad:
    return fail(out, HTTP_ERROR_BAD_PARAMETER,
                "crop: X,Y,WIDTH,HEIGHT in pixels of the camera's picture are accepted, the last "
                "two at least %d",
                SIZE_MIN);
}

/* The number of seconds in `wait=N` of a Prefer header (RFC 7240 section 4.3), at most WAIT_MAX_S;
 * 0: none. */
static uint32_t preferred_wait_s(const char *prefer)
{
    while (*prefer != '\0') {
        prefer += strspn(prefer, ", \t;");
        if (strncasecmp(prefer, "wait=", 5) == 0) {
            const char *digits = prefer + 5 + (prefer[5] == '"');
            size_t len = strspn(digits, "0123456789");
            unsigned long seconds = len > 0 ? strtoul(digits, NULL, 10) : 0;
            return seconds < WAIT_MAX_S ? (uint32_t)seconds : WAIT_MAX_S;
        }
        prefer += strcspn(prefer, ", \t;");
    }
    return 0;
}

/* after=ETAG, with or without quotes, is an If-None-Match that waits. */
static int read_after(const struct query *q, struct ipc_client *client, struct route *out)
{
    if (!q->given[QUERY_AFTER] || q->value[QUERY_AFTER][0] == '\0')
        return 0;
    const char *tag = q->value[QUERY_AFTER];
    size_t len = strspn(tag, "\"-./0123456789Wabcdefghijklmnopqrstuvwxyz");
    if (tag[len] != '\0' || len > sizeof(client->if_none_match) - 3)
        return fail(out, HTTP_ERROR_BAD_PARAMETER, "after: an ETag of a picture is accepted");
    bool quoted = strchr(tag, '"') != NULL;
    char *out_tag = client->if_none_match;
    memset(out_tag, 0, sizeof(client->if_none_match));
    memcpy(out_tag + !quoted, tag, len);
    if (!quoted)
        out_tag[0] = out_tag[len + 1] = '"';
    if (client->wait_ms == 0)
        client->wait_ms = WAIT_DEFAULT_S * 1000;
    return 0;
}

static int read_snapshot_options(const struct http_request *request, const struct query *q,
                                 struct route *out)
{
    struct ipc_client *client = &out->client;
    if (client->if_none_match[0] != '\0' || q->given[QUERY_AFTER])
        client->wait_ms = preferred_wait_s(request->prefer) * 1000;
    return read_after(q, client, out);
}

/* What of an HEVC camera the client gets.  What the request says counts; if it says nothing, a
 * player that cannot show HEVC gets H.264. */
static int read_hevc(const struct conf *conf, const struct http_request *request,
                     const struct query *q, struct route *out)
{
    struct ipc_client *client = &out->client;
    uint32_t hevc = HEVC_AUTO;
    int rc = read_word(q, QUERY_ALLOW_H265, allow_h265_words, &client->allow_h265, out);
    if (rc == 0)
        rc = read_word(q, QUERY_HEVC, hevc_words, &hevc, out);
    if (rc != 0)
        return rc;
    client->hevc = hevc == HEVC_AUTO ? IPC_HEVC_ENHANCED : hevc;
    bool asked = hevc != HEVC_AUTO || q->given[QUERY_ALLOW_H265];
    if (!asked && conf->camera.transcode == TRANSCODE_AUTO &&
        players_need_h264(request->user_agent))
        client->allow_h265 = 0;
    return 0;
}

static int read_stream_options(const struct conf *conf, const struct http_request *request,
                               const struct query *q, struct route *out)
{
    int rc = read_hevc(conf, request, q, out);
    if (rc == 0)
        rc = read_word(q, QUERY_AV1, av1_words, &out->client.av1, out);
    if (rc == 0)
        rc = read_word(q, QUERY_AUDIO, audio_words, &out->client.audio, out);
    if (rc == 0)
        rc = read_word(q, QUERY_JOIN, join_words, &out->client.join, out);
    if (rc == 0)
        rc = read_number(q, QUERY_HEIGHT, SIZE_MIN, SIZE_MAX_PIXELS, &out->client.height, out);
    return rc;
}

static int read_picture_options(const struct query *q, enum route_kind kind, struct route *out)
{
    struct ipc_client *client = &out->client;
    int rc = read_number(q, QUERY_WIDTH, SIZE_MIN, SIZE_MAX_PIXELS, &client->width, out);
    if (rc == 0)
        rc = read_number(q, QUERY_HEIGHT, SIZE_MIN, SIZE_MAX_PIXELS, &client->height, out);
    if (rc == 0)
        rc = read_number(q, QUERY_QUALITY, 1, 100, &client->quality, out);
    if (rc == 0)
        rc = read_word(q, QUERY_PICTURE, picture_words, &client->picture, out);
    if (rc == 0)
        rc = read_crop(q, client, out);
    if (rc == 0 && kind == ROUTE_MJPEG)
        rc = read_number(q, QUERY_FPS, 1, FPS_MAX, &client->fps, out);
    return rc;
}

static int read_camera_url(const struct query *q, struct route *out)
{
    const char *reason;
    int rc = url_parse(&out->url, q->cam_url, q->cam_url_len, &reason);
    if (rc == -EPROTONOSUPPORT)
        return fail(out, HTTP_ERROR_UNSUPPORTED_SCHEME, "cam_url: %s", reason);
    if (rc != 0)
        return fail(out, HTTP_ERROR_BAD_CAMERA_URL, "cam_url: %s", reason);
    (void)url_redact(&out->url, out->camera_label);
    out->transport = url_default_transport(out->url.scheme);
    return 0;
}

void route_set_camera(struct route *route, const struct conf_camera *camera)
{
    route->url = camera->url;
    route->transport = camera->transport;
    (void)snprintf(route->camera_label, sizeof(route->camera_label), "%s", camera->name);
    (void)snprintf(route->camera_name, sizeof(route->camera_name), "%s", camera->name);
}

static int read_camera_name(const struct conf *conf, const struct query *q, struct route *out)
{
    const struct conf_camera *camera = conf_find_camera(conf, q->value[QUERY_CAM]);
    if (camera == NULL || camera->is_sub)
        return fail(out, HTTP_ERROR_UNKNOWN_CAMERA, "cam: no camera of this name is configured");
    route_set_camera(out, camera);
    return 0;
}

/* Which of a named camera's streams? */
static int read_stream(const struct conf *conf, const struct query *q, struct route *out)
{
    uint32_t stream = STREAM_MAIN;
    int rc = read_word(q, QUERY_STREAM, stream_words, &stream, out);
    if (rc != 0 || stream == STREAM_MAIN)
        return rc;
    const struct conf_camera *camera =
        out->camera_name[0] != '\0' ? conf_find_camera(conf, out->camera_name) : NULL;
    const struct conf_camera *sub = camera != NULL ? conf_camera_sub(conf, camera) : NULL;
    if (sub == NULL && stream == STREAM_SUB)
        return fail(out, HTTP_ERROR_BAD_PARAMETER,
                    "stream: this camera has no sub-stream (sub = URL in the configuration); main "
                    "or auto is accepted");
    if (sub != NULL)
        route_set_camera(out, sub);
    out->may_be_main = sub != NULL && stream == STREAM_AUTO;
    return 0;
}

static int read_camera(const struct conf *conf, const struct query *q, struct route *out)
{
    bool url = q->given[QUERY_CAM_URL] && q->cam_url_len > 0;
    bool name = q->given[QUERY_CAM] && q->value[QUERY_CAM][0] != '\0';
    if (!url && !name)
        return fail(out, HTTP_ERROR_MISSING_CAMERA,
                    "cam_url=URL, or cam=NAME for a camera of the configuration, is needed");
    if (url && name)
        return fail(out, HTTP_ERROR_BAD_PARAMETER,
                    "cam: not accepted together with cam_url; if it is part of the camera's URL, "
                    "percent-encode the URL");
    int rc = url ? read_camera_url(q, out) : read_camera_name(conf, q, out);
    if (rc == 0)
        rc = read_stream(conf, q, out);
    const struct ipc_access *access = &conf->access.cameras;
    bool saved = name && rc == 0 && conf_find_camera(conf, out->camera_name)->saved;
    bool limited = url || (saved && access->mode == IPC_ACCESS_LIST);
    if (rc == 0 && limited && !camera_access_host(access, "", out->url.host))
        return fail(out, HTTP_ERROR_CAMERA_NOT_ALLOWED, "%s: %s", url ? "cam_url" : "cam",
                    access->mode == IPC_ACCESS_NAMED
                        ? "this server serves only the cameras of its configuration: cam=NAME"
                        : "this server does not serve cameras of this host");
    if (rc != 0 || !q->given[QUERY_CAM_TYPE])
        return rc;
    if (url_transport_parse(q->value[QUERY_CAM_TYPE], out->url.scheme, &out->transport) != 0)
        return fail(out, HTTP_ERROR_BAD_PARAMETER, "cam_type: " URL_TRANSPORTS_ACCEPTED);
    return 0;
}

/* With the handshake right, all other errors are told in the close frame. */
static int read_websocket(const struct http_request *request, struct route *out)
{
    const char *fault = websocket_handshake_fault(request);
    out->client.websocket = fault == NULL;
    if (fault == NULL)
        return 0;
    /* RFC 6455 section 4.4 */
    (void)snprintf(out->headers, sizeof(out->headers), "Sec-WebSocket-Version: 13\r\n");
    return fail(out, HTTP_ERROR_BAD_REQUEST, "%s", fault);
}

bool route_needs_camera(enum route_kind kind)
{
    return kind == ROUTE_STREAM || kind == ROUTE_SNAPSHOT || kind == ROUTE_MJPEG;
}

static void fill_client(struct ipc_client *client, const struct http_request *request,
                        enum route_kind kind)
{
    static const enum ipc_client_kind kinds[] = {[ROUTE_STREAM] = IPC_CLIENT_STREAM,
                                                 [ROUTE_SNAPSHOT] = IPC_CLIENT_SNAPSHOT,
                                                 [ROUTE_MJPEG] = IPC_CLIENT_MJPEG};
    client->kind = kinds[kind];
    client->join = IPC_JOIN_LIVE;
    client->hevc = IPC_HEVC_ENHANCED;
    client->av1 = IPC_AV1_H264;
    client->audio = 1;
    client->allow_h265 = 1;
    client->head = request->method == REQUEST_HEAD;
    client->fps = FPS_DEFAULT;
    _Static_assert(sizeof(client->origin) == sizeof(request->origin), "copied whole");
    _Static_assert(sizeof(client->if_none_match) == sizeof(request->if_none_match), "copied whole");
    memcpy(client->origin, request->origin, sizeof(client->origin));
    memcpy(client->if_none_match, request->if_none_match, sizeof(client->if_none_match));
}

static int read_query(const struct http_request *request, struct query *q, struct route *out)
{
    enum query_param bad = QUERY_CAM_URL;
    int rc = query_parse(q, request->query, &bad);
    if (rc == -EEXIST)
        return fail(out, HTTP_ERROR_BAD_PARAMETER, "%s: given more than once",
                    query_param_name(bad));
    if (rc != 0)
        return fail(out, HTTP_ERROR_BAD_CAMERA_URL, "cam_url: up to %d bytes are accepted",
                    IPC_URL_MAX - 1);
    return 0;
}

static bool names_camera(const struct query *q)
{
    return q->given[QUERY_CAM_URL] || q->given[QUERY_CAM];
}

/* Does a person's browser ask for a page?  It says so (Fetch Metadata Request Headers, section 2.3)
 * where the connection is secure; otherwise it accepts HTML, which players do not. */
static bool is_navigation(const struct http_request *request)
{
    if (request->sec_fetch_mode[0] != '\0')
        return strcmp(request->sec_fetch_mode, "navigate") == 0;
    return strcasestr(request->accept, "text/html") != NULL;
}

/* `/` is the page and a stream: whoever asks for something else than the page means a camera. */
static bool wants_page(const struct http_request *request, const struct query *q)
{
    return strcmp(request->path, "/") == 0 && !names_camera(q) && !request->upgrade_websocket &&
           (request->query[0] == '\0' || is_navigation(request));
}

/* /api/streams for all cameras, or for the one that the query names. */
static int route_streams(const struct conf *conf, const struct http_request *request,
                         struct route *out)
{
    struct query q;
    int rc = read_query(request, &q, out);
    if (rc == 0 && names_camera(&q))
        rc = read_camera(conf, &q, out);
    if (rc == 0)
        out->kind = ROUTE_API_STREAMS;
    return rc;
}

/* /api/signature for the camera that the query names. */
static int route_signature(const struct conf *conf, const struct http_request *request,
                           struct route *out)
{
    struct query q;
    int rc = read_query(request, &q, out);
    if (rc == 0)
        rc = read_camera(conf, &q, out);
    if (rc == 0 && q.given[QUERY_CAM_TYPE] && q.cam_url_len == 0)
        return fail(out, HTTP_ERROR_BAD_PARAMETER, ACCESS_NO_CAM_TYPE);
    if (rc == 0)
        out->kind = ROUTE_API_SIGNATURE;
    return rc;
}

static int route_camera(const struct conf *conf, const struct http_request *request,
                        enum route_kind kind, struct route *out)
{
    struct query q;
    bool upgrades =
        kind == ROUTE_STREAM && request->method == REQUEST_GET && request->upgrade_websocket;
    int rc = upgrades ? read_websocket(request, out) : 0;
    if (rc == 0)
        rc = read_query(request, &q, out);
    if (rc != 0)
        return rc;
    if (wants_page(request, &q)) {
        out->kind = ROUTE_PAGE;
        return 0;
    }
    fill_client(&out->client, request, kind);
    rc = read_camera(conf, &q, out);
    if (rc == 0)
        rc = kind == ROUTE_STREAM ? read_stream_options(conf, request, &q, out)
                                  : read_picture_options(&q, kind, out);
    if (rc == 0 && kind == ROUTE_SNAPSHOT)
        rc = read_snapshot_options(request, &q, out);
    if (rc == 0)
        out->kind = kind;
    return rc;
}

int route_request(const struct conf *conf, enum route_port port, const struct http_request *request,
                  struct route *out)
{
    /* The methods that a preflight lists for `*` and for paths that do not exist. */
    const unsigned usual = 1u << REQUEST_GET | 1u << REQUEST_HEAD | 1u << REQUEST_OPTIONS;
    char allowed[ENDPOINT_METHODS_MAX], paths[ENDPOINT_PATHS_MAX];
    unsigned methods = endpoint_methods(port, request->path);

    memset(out, 0, sizeof(*out));
    endpoint_list_methods(methods != 0 ? methods : usual, allowed);
    if (request->method == REQUEST_OPTIONS)
        return answer_preflight(request, allowed, out);
    if (methods == 0) {
        endpoint_list_paths(port, paths);
        return fail(out, HTTP_ERROR_NOT_FOUND, "this port has %s", paths);
    }
    if ((methods & 1u << request->method) == 0) {
        (void)snprintf(out->headers, sizeof(out->headers), "Allow: %s\r\n", allowed);
        return fail(out, HTTP_ERROR_METHOD_NOT_ALLOWED, "%s are accepted", allowed);
    }
    enum route_kind kind = endpoint_kind(port, request->path, request->method);
    if (route_needs_camera(kind))
        return route_camera(conf, request, kind, out);
    if (kind == ROUTE_API_STREAMS)
        return route_streams(conf, request, out);
    if (kind == ROUTE_API_SIGNATURE)
        return route_signature(conf, request, out);
    out->kind = kind;
    return 0;
}
