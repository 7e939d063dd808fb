#include "worker/media/av_util.h"

#include "common/log.h"

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SECRET_MIN 3 /* a shorter one is a part of too many words */
#define SECRET_MAX ((size_t)3 * URL_CREDENTIAL_MAX)
#define SECRET_FORMS 5

/* libav's lines may quote URLs with passwords, and cameras make it complain often.  They go to the
 * debug log only.  Everything that looks like a URL's credentials is masked, and the camera's own
 * password wherever it stands. */
static _Thread_local char secrets[SECRET_FORMS][SECRET_MAX];

static void cover(char *at, size_t len)
{
    size_t rest = strlen(at + len);
    memset(at, '*', 3);
    memmove(at + 3, at + len, rest + 1);
}

/* At the end of a text that was cut there may be the beginning of a secret. */
static void cover_beginning(char *text, const char *secret, size_t len)
{
    size_t text_len = strlen(text);
    for (size_t n = len - 1; n >= SECRET_MIN; n--) {
        if (n <= text_len && memcmp(text + text_len - n, secret, n) == 0) {
            cover(text + text_len - n, n);
            return;
        }
    }
}

static void redact_secrets(char *text, bool cut)
{
    for (size_t i = 0; i < SECRET_FORMS; i++) {
        size_t len = strlen(secrets[i]);
        if (len < SECRET_MIN)
            continue;
        for (char *p = text; (p = strstr(p, secrets[i])) != NULL; p += 3)
            cover(p, len);
        if (cut)
            cover_beginning(text, secrets[i], len);
    }
}

/* The password in a URL that is as long without user name and password as bare.  @param size  of
 * out. */
static void take_password(const char *url, const char *bare, char *out, size_t size)
{
    const char *from = strstr(url, "://");
    size_t len = strlen(url) - strlen(bare);
    if (from == NULL || len <= 1)
        return;
    const char *colon = memchr(from + 3, ':', len - 1);
    if (colon != NULL)
        (void)snprintf(out, size, "%.*s", (int)(from + 3 + len - 1 - (colon + 1)), colon + 1);
}

/* Who splits the URL at the wrong `@` takes this for the host. */
static void take_tail(const char *password, char out[SECRET_MAX])
{
    const char *at = strchr(password, '@');
    if (at != NULL)
        (void)snprintf(out, SECRET_MAX, "%s", at + 1);
}

void av_util_log_hide(const struct camera_url *url)
{
    char whole[IPC_URL_MAX], bare[IPC_URL_MAX];
    explicit_bzero(secrets, sizeof(secrets));
    if (url == NULL || url->password[0] == '\0')
        return;
    struct camera_url plain = *url;
    plain.has_user = 0;
    memset(plain.user, 0, sizeof(plain.user));
    memset(plain.password, 0, sizeof(plain.password));
    (void)snprintf(secrets[0], SECRET_MAX, "%s", url->password);
    (void)url_format(url, whole);
    (void)url_format(&plain, bare);
    take_password(whole, bare, secrets[1], SECRET_MAX);
    (void)url_format_libav(url, whole);
    (void)url_format_libav(&plain, bare);
    take_password(whole, bare, secrets[2], SECRET_MAX);
    take_tail(secrets[0], secrets[3]);
    take_tail(secrets[2], secrets[4]);
    explicit_bzero(whole, sizeof(whole));
}

static void redact_credentials(char *text)
{
    char *p = text;
    while ((p = strstr(p, "://")) != NULL) {
        p += 3;
        char *end = p + strcspn(p, " \t\r\n'\"");
        char *at = NULL;
        for (char *c = p; c < end; c++) {
            if (*c == '@')
                at = c;
        }
        if (at != NULL && at - p >= 3) {
            memset(p, '*', 3);
            memmove(p + 3, at, strlen(at) + 1);
        }
    }
}

static _Thread_local struct {
    char *text;
    size_t size;
} capture;

static void on_av_log(void *avcl, int level, const char *fmt, va_list ap)
{
    bool captured = capture.text != NULL && level <= AV_LOG_ERROR;
    if (level > AV_LOG_WARNING || (!log_enabled(LOG_LEVEL_DEBUG) && !captured))
        return;
    char text[512];
    int print_prefix = 1;
    int n = av_log_format_line2(avcl, level, fmt, ap, text, sizeof(text), &print_prefix);
    if (n <= 0)
        return;
    bool cut = (size_t)n >= sizeof(text);
    redact_secrets(text, cut); /* first: a password may hold a newline or a space */
    text[strcspn(text, "\r\n")] = '\0';
    redact_credentials(text);
    if (captured) {
        size_t len = strlen(capture.text);
        (void)snprintf(capture.text + len, capture.size - len, "%s%s", len > 0 ? "; " : "", text);
    }
    log_debug(NULL, "libav: %s", text);
}

void av_util_log_open(void)
{
    av_log_set_callback(on_av_log);
}

void av_util_log_capture(char *text, size_t size)
{
    capture.text = text;
    capture.size = size;
    if (text != NULL)
        text[0] = '\0';
}

enum http_error av_util_camera_error(int averror, char *detail, size_t detail_size)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    (void)av_strerror(averror, text, sizeof(text));
    (void)snprintf(detail, detail_size, "%s", text);
    switch (averror) {
    case AVERROR_HTTP_UNAUTHORIZED:
    case AVERROR_HTTP_FORBIDDEN:
    case AVERROR(EACCES):
        return HTTP_ERROR_CAMERA_UNAUTHORIZED;
    case AVERROR_HTTP_NOT_FOUND:
    case AVERROR_STREAM_NOT_FOUND:
        return HTTP_ERROR_CAMERA_NOT_FOUND;
    case AVERROR(ETIMEDOUT):
    case AVERROR(EAGAIN):
    case AVERROR_EXIT:
        return HTTP_ERROR_CAMERA_TIMEOUT;
    case AVERROR(ENOTSUP):
    case AVERROR_PATCHWELCOME:
        return HTTP_ERROR_UNSUPPORTED_CODEC;
    default:
        return HTTP_ERROR_CAMERA_UNREACHABLE;
    }
}

enum AVPixelFormat av_util_plain_format(enum AVPixelFormat format)
{
    switch (format) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}
