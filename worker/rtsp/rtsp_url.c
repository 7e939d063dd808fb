#include "worker/rtsp/rtsp_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Returns the text after rtsp:// or rtsps://, NULL if it begins otherwise. */
static const char *after_scheme(const char *text)
{
    if (strncasecmp(text, "rtsp://", 7) == 0)
        return text + 7;
    if (strncasecmp(text, "rtsps://", 8) == 0)
        return text + 8;
    return NULL;
}

void rtsp_url_from(struct rtsp_url *url, const struct camera_url *parts)
{
    struct camera_url bare = *parts;
    bare.has_user = 0;
    if (bare.scheme == URL_RTSPH) /* requests do not name the tunnel */
        bare.scheme = URL_RTSP;
    url->parts = *parts;
    (void)url_format(&bare, url->request);
    explicit_bzero(&bare, sizeof(bare));
}

int rtsp_url_parse(struct rtsp_url *url, const char *text)
{
    const char *reason;
    const char *rest = after_scheme(text);
    struct camera_url parts;
    if (rest == NULL || url_parse(&parts, text, strlen(text), &reason) != 0)
        return -EINVAL;
    rtsp_url_from(url, &parts);
    if (strchr(rest, '@') == NULL) /* keep its spelling: some cameras compare it with their own */
        (void)snprintf(url->request, sizeof(url->request), "%s://%s", url_scheme_name(parts.scheme),
                       rest);
    explicit_bzero(&parts, sizeof(parts));
    return 0;
}

static const char *last_scheme(const char *text)
{
    const char *found = NULL;
    for (const char *p = text; *p != '\0'; p++)
        if (after_scheme(p) != NULL)
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

/* A URL that we could not connect to (its host is no name, its port no number), as the camera
 * writes it: only the camera reads it again. @param rest  after_scheme() of text. */
static int copy_without_credentials(const char *text, const char *rest, char *out)
{
    const char *at = memrchr(rest, '@', strcspn(rest, "/?"));
    return snprintf(out, RTSP_URL_MAX, "%.*s%s", (int)(rest - text), text,
                    at != NULL ? at + 1 : rest);
}

int rtsp_url_join(const char *base, const char *control, char *out)
{
    int n;
    const char *rest = after_scheme(control);
    if (control[0] == '\0' || strcmp(control, "*") == 0) {
        n = snprintf(out, RTSP_URL_MAX, "%s", base);
    } else if (rest != NULL) {
        struct rtsp_url url;
        if (rtsp_url_parse(&url, control) == 0)
            n = snprintf(out, RTSP_URL_MAX, "%s", url.request); /* without credentials */
        else
            n = copy_without_credentials(control, rest, out);
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
    const char *authority = after_scheme(base);
    if (authority == NULL || control[0] == '\0' || strcmp(control, "*") == 0 ||
        after_scheme(control) != NULL)
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
