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

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (len > HTTP_TARGET_MAX - head->target_len) {
        head->error = HTTP_ERROR_URI_TOO_LONG;
        return 1;
    }
    memcpy(head->request.target + head->target_len, head->raw + (at - head->clean), len);
    head->target_len += len;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (memchr(at, ' ', len) != NULL)
        return 1; /* RFC 9112 section 5.1: no space before the colon; llhttp 8 takes it */
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

static void begin_value(struct http_head *head)
{
    head->in_value = true;
    head->value_len = 0;
    head->header = find_header(head);
    if (strcasecmp(head->name, "Origin") == 0)
        head->request.has_origin = true;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_head *head = parser->data;
    if (!head->in_value) /* it is empty */
        begin_value(head);
    return 0;
}

/* Of a list of proxies only its end matters, which the nearest one wrote.  The first entry that is
 * left may be cut: it is made no address (forwarded.c). */
static void keep_end(struct http_head *head, const char *at, size_t len)
{
    char *value = head->request.forwarded_for;
    const size_t most = HTTP_FORWARDED_MAX - 1;
    size_t fresh = len < most ? len : most;
    size_t kept = head->value_len < most - fresh ? head->value_len : most - fresh;
    memmove(value, value + head->value_len - kept, kept);
    memcpy(value + kept, at + len - fresh, fresh);
    value[0] = '?';
    head->value_len = kept + fresh;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_head *head = parser->data;
    if (!head->in_value)
        begin_value(head);
    for (size_t i = 0; i < len; i++) {
        /* RFC 9110 section 5.5; not every llhttp looks at the first byte of a value */
        unsigned char c = (unsigned char)at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 1;
    }
    if (head->header < 0)
        return 0;
    char *value = header_value(head, head->header);
    bool fits = len <= headers[head->header].size - 1 - head->value_len;
    if (!fits && value == head->request.forwarded_for) {
        keep_end(head, at, len);
        return 0;
    }
    if (!fits) {
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
    case HTTP_PUT:
        return REQUEST_PUT;
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

static int on_headers_complete(llhttp_t *parser)
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
    request->in_chunks = (parser->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) != 0;
    request->body_len = parser->content_length;
    bool body = request->in_chunks || request->body_len != 0;
    request->keep = parser->http_minor == 1 && (parser->flags & F_CONNECTION_CLOSE) == 0 && !body;
    request->upgrade_websocket = request->method == REQUEST_GET &&
                                 (parser->flags & F_CONNECTION_UPGRADE) != 0 &&
                                 list_has(request->upgrade, "websocket");
    head->complete = true;
    return 2; /* no body, as far as the parser is concerned: it stops here */
}

static llhttp_settings_t settings = {
    /* llhttp takes no const */
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
};

void http_head_init(struct http_head *head)
{
    memset(head, 0, sizeof(*head));
    head->request.path = "";
    head->request.query = "";
    head->request.method = REQUEST_OTHER;
    head->header = -1;
    llhttp_init(&head->parser, HTTP_REQUEST, &settings);
    head->parser.data = head;
}

/* Go on by a byte.  @return false: a line without CR, or one that continues the line before. */
static bool next_byte(struct http_head_lines *lines, char c)
{
    char last = lines->last;
    lines->last = c;
    if (c == '\n' && last != '\r')
        return false;
    if (lines->in_headers)
        return last != '\n' || (c != ' ' && c != '\t');
    if (c == ' ')
        lines->word_len = 0;
    else if (c == '\n')
        lines->in_headers = lines->word_len > 0; /* else: an empty line before the request */
    else if (c != '\r' && lines->word_len < sizeof(lines->word))
        lines->word[lines->word_len++] = c;
    return true;
}

/* llhttp also takes requests of RTSP and ICE. */
static bool lines_are_http(struct http_head_lines *lines, const char *data, size_t len)
{
    bool ok = true;
    for (size_t i = 0; i < len && ok; i++)
        ok = next_byte(lines, data[i]);
    return ok && (!lines->in_headers || memcmp(lines->word, "HTTP/", sizeof(lines->word)) == 0);
}

/* Copy the bytes with a letter for each one above 127 in the request line. */
static void clean_up(struct http_head_lines lines, char *out, const char *data, size_t len)
{
    memcpy(out, data, len);
    for (size_t i = 0; i < len && !lines.in_headers; i++) {
        (void)next_byte(&lines, data[i]);
        if ((unsigned char)data[i] > 127)
            out[i] = 'x';
    }
}

/* @param len  at most HTTP_HEAD_MAX. @return how many bytes belonged to the head. */
static size_t parse(struct http_head *head, const char *data, size_t len)
{
    char clean[HTTP_HEAD_MAX];
    clean_up(head->lines, clean, data, len);
    head->raw = data;
    head->clean = clean;
    enum llhttp_errno rc = llhttp_execute(&head->parser, clean, len);
    size_t used = rc == HPE_OK ? len : (size_t)(llhttp_get_error_pos(&head->parser) - clean);
    head->raw = head->clean = NULL;
    bool failed = rc != HPE_OK && !(head->complete && rc == HPE_PAUSED_UPGRADE);
    if (head->error == HTTP_ERROR_NONE && (!lines_are_http(&head->lines, data, used) || failed))
        head->error = HTTP_ERROR_BAD_REQUEST;
    explicit_bzero(clean, len); /* a camera's password */
    return used;
}

int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *consumed)
{
    size_t used = 0;
    if (!head->complete && head->error == HTTP_ERROR_NONE) {
        size_t room = HTTP_HEAD_MAX - head->head_bytes;
        if (room > 0 && len > 0)
            used = parse(head, data, len < room ? len : room);
        head->head_bytes += used;
        if (!head->complete && head->error == HTTP_ERROR_NONE && len > room)
            head->error = HTTP_ERROR_HEADER_TOO_LARGE;
    }
    if (consumed != NULL)
        *consumed = used;
    if (head->error != HTTP_ERROR_NONE)
        return -EBADMSG;
    return head->complete ? 1 : 0;
}
