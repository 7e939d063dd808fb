#include "master/http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t offset; /* the value's, in struct http_request */
    size_t size;
} headers[] = {
#define X(member, text, bytes) \
    {.name = (text), .offset = offsetof(struct http_request, member), .size = (bytes)},
    REQUEST_HEADERS(X)
#undef X
};

#define HEADER_COUNT ((int)(sizeof(headers) / sizeof(headers[0])))

static char *header_value(struct http_head *head, int header)
{
    return (char *)&head->request + headers[header].offset;
}

/* The callbacks return nonzero to stop the parser. */

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (len > HTTP_TARGET_MAX - head->target_len) {
        head->error = HTTP_ERROR_URI_TOO_LONG;
        return 1;
    }
    memcpy(head->request.target + head->target_len, at, len);
    head->target_len += len;
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (head->in_value) {
        head->in_value = false;
        head->name_len = 0;
    }
    size_t room = sizeof(head->name) - 1 - head->name_len;
    if (len > room)
        len = room; /* longer than any name in the table, so it matches none */
    memcpy(head->name + head->name_len, at, len);
    head->name_len += len;
    head->name[head->name_len] = '\0';
    return 0;
}

/* Find the header that begins.  Of repeated headers, only the first counts; of X-Forwarded-For,
 * only the last: a proxy may add its own line after one that its client made up. */
static int find_header(struct http_head *head)
{
    int i = 0;
    while (i < HEADER_COUNT && strcasecmp(head->name, headers[i].name) != 0)
        i++;
    if (i == HEADER_COUNT)
        return -1;
    char *value = header_value(head, i);
    if (value == head->request.forwarded_for)
        memset(value, 0, headers[i].size);
    return value[0] == '\0' ? i : -1;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (!head->in_value) {
        head->in_value = true;
        head->value_len = 0;
        head->header = find_header(head);
        if (strcasecmp(head->name, "Origin") == 0)
            head->request.has_origin = true;
    }
    for (size_t i = 0; i < len; i++) {
        /* RFC 9110 section 5.5; http-parser does not look at the first byte of a value */
        unsigned char c = (unsigned char)at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 1;
    }
    if (head->header < 0)
        return 0;
    char *value = header_value(head, head->header);
    if (len > headers[head->header].size - 1 - head->value_len) {
        memset(value, 0, head->value_len);
        head->header = -1;
        return 0;
    }
    memcpy(value + head->value_len, at, len);
    head->value_len += len;
    return 0;
}

static enum request_method map_method(unsigned method)
{
    switch (method) {
    case HTTP_GET:
        return REQUEST_GET;
    case HTTP_HEAD:
        return REQUEST_HEAD;
    case HTTP_POST:
        return REQUEST_POST;
    case HTTP_DELETE:
        return REQUEST_DELETE;
    case HTTP_OPTIONS:
        return REQUEST_OPTIONS;
    default:
        return REQUEST_OTHER;
    }
}

/* Is the token in a comma-separated list?  RFC 9110 section 5.6.1, case-insensitive. */
static bool list_has(const char *list, const char *token)
{
    size_t token_len = strlen(token);
    while (*list != '\0') {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == token_len && strncasecmp(list, token, len) == 0)
            return true;
        list += len;
    }
    return false;
}

/* Point path and query into the target, past the scheme and host of an absolute form. */
static void split_target(struct http_request *request)
{
    char *path = request->target;
    if (path[0] != '/' && path[0] != '*') {
        char *host = strstr(path, "://");
        path = host != NULL ? host + 3 + strcspn(host + 3, "/?") : path;
    }
    char *query = strchr(path, '?');
    request->query = "";
    if (query != NULL) {
        *query = '\0';
        request->query = query + 1;
    }
    request->path = path[0] != '\0' ? path : "/";
}

static int on_headers_complete(http_parser *parser)
{
    struct http_head *head = parser->data;
    struct http_request *request = &head->request;
    if (parser->http_major != 1) {
        head->error = HTTP_ERROR_BAD_REQUEST;
        return -1;
    }
    for (int i = 0; i < HEADER_COUNT; i++) {
        char *value = header_value(head, i);
        size_t len = strlen(value);
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            value[--len] = '\0';
    }
    split_target(request);
    request->method = map_method(parser->method);
    bool body = (parser->flags & F_CHUNKED) != 0 ||
                (parser->content_length != 0 && parser->content_length != UINT64_MAX);
    request->keep = parser->http_minor == 1 && (parser->flags & F_CONNECTION_CLOSE) == 0 && !body;
    request->upgrade_websocket = request->method == REQUEST_GET &&
                                 (parser->flags & F_CONNECTION_UPGRADE) != 0 &&
                                 list_has(request->upgrade, "websocket");
    head->complete = true;
    return 2; /* no body, whatever the headers say: the parser stops here */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

void http_head_init(struct http_head *head)
{
    memset(head, 0, sizeof(*head));
    head->request.path = "";
    head->request.query = "";
    head->request.method = REQUEST_OTHER;
    head->header = -1;
    http_parser_init(&head->parser, HTTP_REQUEST);
    head->parser.data = head;
}

int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *consumed)
{
    size_t used = 0;
    if (!head->complete && head->error == HTTP_ERROR_NONE) {
        size_t room = HTTP_HEAD_MAX - head->head_bytes;
        if (room > 0) /* zero bytes tell http-parser that the connection has ended */
            used = http_parser_execute(&head->parser, &settings, data, len < room ? len : room);
        head->head_bytes += used;
        if (!head->complete && head->error == HTTP_ERROR_NONE) {
            if (HTTP_PARSER_ERRNO(&head->parser) != HPE_OK)
                head->error = HTTP_ERROR_BAD_REQUEST;
            else if (len > room)
                head->error = HTTP_ERROR_HEADER_TOO_LARGE;
        }
    }
    if (consumed != NULL)
        *consumed = used;
    if (head->error != HTTP_ERROR_NONE)
        return -EBADMSG;
    return head->complete ? 1 : 0;
}
