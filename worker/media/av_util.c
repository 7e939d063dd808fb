#include "worker/media/av_util.h"

#include "common/log.h"

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* libav's lines may quote URLs with passwords, and cameras make it complain often.  They go to the
 * debug log only, and everything that looks like a URL's credentials is masked. */
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
