#include "worker/rtsp/rtsp_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RTSP_PORT 554
#define RTSPS_PORT 322

static const char *after_scheme(const char *text, bool *tls)
{
    if (strncasecmp(text, "rtsp://", 7) == 0) {
        *tls = false;
        return text + 7;
    }
    if (strncasecmp(text, "rtsps://", 8) == 0) {
        *tls = true;
        return text + 8;
    }
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* A percent sign without two hex digits stands for itself: people paste passwords. */
static int percent_decode(char *out, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        if (c == '\0' || n + 1 >= size)
            return -EINVAL;
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

static int parse_credentials(struct rtsp_url *url, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon != NULL ? (size_t)(colon - text) : len;
    if (percent_decode(url->user, sizeof(url->user), text, user_len) != 0)
        return -EINVAL;
    if (colon == NULL)
        return 0;
    return percent_decode(url->password, sizeof(url->password), colon + 1, len - user_len - 1);
}

static int parse_host_port(struct rtsp_url *url, const char *text, size_t len)
{
    const char *host = text;
    const char *end = text + len;
    const char *host_end;
    const char *port;

    if (len > 0 && *text == '[') {
        host++;
        host_end = memchr(text, ']', len);
        if (host_end == NULL)
            return -EINVAL;
        port = host_end + 1;
    } else {
        host_end = memchr(text, ':', len);
        if (host_end == NULL)
            host_end = end;
        port = host_end;
    }
    size_t host_len = (size_t)(host_end - host);
    if (host_len == 0 || host_len >= sizeof(url->host))
        return -EINVAL;
    memcpy(url->host, host, host_len);
    url->host[host_len] = '\0';
    url->port = url->tls ? RTSPS_PORT : RTSP_PORT;
    if (port == end || (*port == ':' && port + 1 == end))
        return 0;
    if (*port++ != ':')
        return -EINVAL;
    unsigned value = 0;
    for (; port < end; port++) {
        if (*port < '0' || *port > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(*port - '0');
        if (value > 65535)
            return -EINVAL;
    }
    if (value == 0)
        return -EINVAL;
    url->port = (uint16_t)value;
    return 0;
}

int rtsp_url_parse(struct rtsp_url *url, const char *text)
{
    memset(url, 0, sizeof(*url));
    const char *authority = after_scheme(text, &url->tls);
    if (authority == NULL || strpbrk(text, "\r\n") != NULL)
        return -EINVAL;
    size_t len = strcspn(authority, "/?");
    const char *host = authority;
    for (const char *p = authority; p < authority + len; p++)
        if (*p == '@')
            host = p + 1;
    if (host > authority && parse_credentials(url, authority, (size_t)(host - authority) - 1) != 0)
        return -EINVAL;
    if (parse_host_port(url, host, len - (size_t)(host - authority)) != 0)
        return -EINVAL;
    int n =
        snprintf(url->request, sizeof(url->request), "%s://%s", url->tls ? "rtsps" : "rtsp", host);
    return n > 0 && (size_t)n < sizeof(url->request) ? 0 : -EINVAL;
}

static const char *last_scheme(const char *text)
{
    const char *found = NULL;
    bool tls;
    for (const char *p = text; *p != '\0'; p++)
        if (after_scheme(p, &tls) != NULL)
            found = p;
    return found;
}

void rtsp_url_base(const char *request, const char *text, char *out)
{
    struct rtsp_url url;
    const char *start = last_scheme(text);
    const char *result = request;
    if (start != NULL && rtsp_url_parse(&url, start) == 0)
        result = url.request;
    (void)snprintf(out, RTSP_URL_MAX, "%s", result);
}

int rtsp_url_join(const char *base, const char *control, char *out)
{
    bool tls;
    int n;
    if (control[0] == '\0' || strcmp(control, "*") == 0) {
        n = snprintf(out, RTSP_URL_MAX, "%s", base);
    } else if (after_scheme(control, &tls) != NULL) {
        struct rtsp_url url;
        if (rtsp_url_parse(&url, control) == 0)
            n = snprintf(out, RTSP_URL_MAX, "%s", url.request); /* credentials never go back */
        else
            n = snprintf(out, RTSP_URL_MAX, "%s", base);
    } else {
        size_t len = strlen(base);
        while (len > 0 && base[len - 1] == '/')
            len--;
        while (*control == '/')
            control++;
        const char *separator = *control == '?' ? "" : "/";
        n = snprintf(out, RTSP_URL_MAX, "%.*s%s%s", (int)len, base, separator, control);
    }
    return n >= 0 && n < RTSP_URL_MAX ? 0 : -ENAMETOOLONG;
}

int rtsp_url_resolve(const char *base, const char *control, char *out)
{
    bool tls;
    const char *authority = after_scheme(base, &tls);
    if (authority == NULL || control[0] == '\0' || strcmp(control, "*") == 0 ||
        after_scheme(control, &tls) != NULL)
        return -ENOENT;
    size_t path = strcspn(authority, "/?");
    size_t keep = path;
    if (control[0] != '/') {
        size_t query = path + strcspn(authority + path, "?");
        for (size_t i = path; i < query; i++)
            if (authority[i] == '/')
                keep = i;
    }
    int n = snprintf(out, RTSP_URL_MAX, "%.*s%s%s", (int)((size_t)(authority - base) + keep), base,
                     control[0] == '/' ? "" : "/", control);
    if (n < 0 || n >= RTSP_URL_MAX)
        return -ENAMETOOLONG;
    char joined[RTSP_URL_MAX];
    if (rtsp_url_join(base, control, joined) == 0 && strcmp(joined, out) == 0)
        return -ENOENT;
    return 0;
}
