/* Bridges to libav: its log, its error numbers, its pixel formats.  Worker, any thread. */
#ifndef WORKER_AV_UTIL_H
#define WORKER_AV_UTIL_H

#include "common/http_reply.h"

#include <libavutil/pixfmt.h>
#include <stddef.h>
#include <stdint.h>

/* Pixels of a picture that is decoded: twice what 8K has.  A camera's parameter sets may claim four
 * times as many, and a decoder takes the memory for several before it has seen one. */
#define AV_UTIL_PIXELS_MAX (INT64_C(8192) * 8192)

/** Send libav's log lines to ours: its errors and warnings become debug lines.  Once, at start. */
void av_util_log_open(void);

/**
 * Keep the error lines that libav logs on this thread, as far as there is room, credentials cut
 * out: some protocols say in no other way what a server answered.  Ends with text NULL.
 *
 * @param text  Borrowed until then; "" as long as there is none.
 */
void av_util_log_capture(char *text, size_t size);

/**
 * What an AVERROR from opening or reading a camera means to a viewer.
 *
 * @param averror  negative AVERROR.
 * @param detail   filled with a short text without URL or password.
 */
enum http_error av_util_camera_error(int averror, char *detail, size_t detail_size);

/**
 * The pixel format without its range.  Full-range formats of their own (YUVJ…) are deprecated: the
 * range is a property of its own, which is full if what is returned differs.
 */
enum AVPixelFormat av_util_plain_format(enum AVPixelFormat format);

#endif /* WORKER_AV_UTIL_H */
