/* Bridges to libav: its log, its error numbers, its pixel formats.  Worker, any thread. */
#ifndef WORKER_AV_UTIL_H
#define WORKER_AV_UTIL_H

#include "common/http_reply.h"
#include "common/url.h"

#include <libavutil/pixfmt.h>
#include <stddef.h>
#include <stdint.h>

/* Largest picture that we decode, in pixels: twice 8K.  A camera's parameter sets may claim four
 * times as many, and a decoder allocates several pictures before it has seen one. */
#define AV_UTIL_PIXELS_MAX (INT64_C(8192) * 8192)

/** Pass libav's errors and warnings to our log as debug lines.  Call once, at start. */
void av_util_log_open(void);

/**
 * Keep the error lines that libav logs on this thread, without credentials and as far as they fit:
 * some protocols report a server's answer in no other way.  A call with text NULL stops it.
 *
 * @param text  Borrowed until the next call; stays "" while there is no error line.
 */
void av_util_log_capture(char *text, size_t size);

/**
 * Mask this camera's password in all that libav logs on this thread, in whatever form libav gets
 * it, also where the text around it is no URL.  Passwords of one or two characters are masked in
 * URLs only.
 *
 * @param url  copied; NULL: none any more.
 */
void av_util_log_hide(const struct camera_url *url);

/**
 * What an AVERROR from opening or reading a camera means to a viewer.
 *
 * @param averror  negative AVERROR.
 * @param detail   receives a short text without URL or password.
 */
enum http_error av_util_camera_error(int averror, char *detail, size_t detail_size);

/**
 * The pixel format without its range.  The full-range formats (YUVJ…) are deprecated because range
 * is a separate property: the range is full if the returned format differs from the argument.
 */
enum AVPixelFormat av_util_plain_format(enum AVPixelFormat format);

#endif /* WORKER_AV_UTIL_H */
