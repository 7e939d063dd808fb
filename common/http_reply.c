#include "common/http_reply.h"

#include "common/escape.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    int status;
} errors[HTTP_ERROR_COUNT] = {[HTTP_ERROR_NONE] = {.code = "none", .status = 200},
#define X(name, text, number) [HTTP_ERROR_##name] = {.code = (text), .status = (number)},
                              HTTP_ERRORS(X)
#undef X
};

/* RFC 9110 section 15 */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {426, "Upgrade Required"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {507, "Insufficient Storage"},
};

/* Longest escaped camera and longest escaped message in an error body; longer ones are cut. */
#define JSON_TEXT_MAX ((HTTP_ERROR_JSON_MAX - 128) / 2)
#define RETRY_AFTER_S 5

const char *http_error_code(enum http_error error)
{
    assert((unsigned)error < HTTP_ERROR_COUNT);
    return errors[error].code;
}

int http_error_status(enum http_error error)
{
    assert((unsigned)error < HTTP_ERROR_COUNT);
    return errors[error].status;
}

static const char *status_reason(int status)
{
    for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "";
}

size_t http_reply_head(char *buf, int status, const char *origin, const char *headers)
{
    bool echo = origin != NULL && origin[0] != '\0';
    int n = snprintf(buf, HTTP_REPLY_MAX,
                     "HTTP/1.1 %d %s\r\n"
                     "%s"
                     "Access-Control-Allow-Origin: %s\r\n"
                     "%s"
                     "Cross-Origin-Resource-Policy: cross-origin\r\n"
                     "Connection: %s\r\n"
                     "\r\n",
                     status, status_reason(status), headers, echo ? origin : "*",
                     echo ? "Vary: Origin\r\n" : "", status == 101 ? "Upgrade" : "close");
    assert(n > 0 && n < HTTP_REPLY_MAX); /* headers are ours, origin is bounded by its reader */
    return (size_t)n;
}

size_t http_reply_keep(char *buf, size_t len)
{
    static const char line[] = "Connection: close\r\n";
    char *at = memmem(buf, len, line, sizeof(line) - 1);
    assert(at != NULL); /* the headers before it are ours, except the client's Origin */
    char *rest = at + sizeof(line) - 1;
    memmove(at, rest, (size_t)(buf + len - rest));
    return len - (sizeof(line) - 1);
}

size_t http_error_json(char *buf, enum http_error error, const char *camera, const char *message)
{
    char text[JSON_TEXT_MAX];
    size_t size = HTTP_ERROR_JSON_MAX;

    (void)escape_text(text, sizeof(text), message, true);
    size_t len = (size_t)snprintf(buf, size, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"",
                                  http_error_code(error), text);
    if (camera != NULL && camera[0] != '\0') {
        (void)escape_text(text, sizeof(text), camera, true);
        len += (size_t)snprintf(buf + len, size - len, ",\"camera\":\"%s\"", text);
    }
    return len + (size_t)snprintf(buf + len, size - len, "}}\n");
}

size_t http_reply_error_with(char *buf, enum http_error error, const char *origin,
                             const char *headers, const char *camera, const char *message, int head)
{
    char body[HTTP_ERROR_JSON_MAX];
    char all[1024];
    int status = http_error_status(error);
    size_t body_len = http_error_json(body, error, camera, message);

    char retry_after[32] = "";
    if (status == 503)
        (void)snprintf(retry_after, sizeof(retry_after), "Retry-After: %d\r\n", RETRY_AFTER_S);
    int n = snprintf(all, sizeof(all),
                     "Content-Type: application/json\r\n"
                     "Content-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n"
                     "%s%s",
                     body_len, retry_after, headers);
    assert(n > 0 && (size_t)n < sizeof(all));
    size_t len = http_reply_head(buf, status, origin, all);
    if (head)
        return len;
    assert(len + body_len <= HTTP_REPLY_MAX);
    memcpy(buf + len, body, body_len);
    return len + body_len;
}

size_t http_reply_error(char *buf, enum http_error error, const char *origin, const char *camera,
                        const char *message, int head)
{
    return http_reply_error_with(buf, error, origin, "", camera, message, head);
}
