/* A camera that is read as FLV: RTMP, HTTP-FLV. */
#ifndef WORKER_SOURCE_FLV_H
#define WORKER_SOURCE_FLV_H

#include "common/http_reply.h"
#include "worker/media/media_sink.h"
#include "worker/media/source_params.h"

#include <stdatomic.h>

/*
 * A source that blocks: reads the camera in the calling thread until it ends or *stop is true.
 *
 * @param detail  SOURCE_DETAIL_MAX bytes for a text without password: what happened.
 * @return why it ended; HTTP_ERROR_NONE when told to stop.
 */
enum http_error source_flv_run(const struct source_params *params, const struct media_sink *sink,
                               const atomic_bool *stop, char *detail, size_t detail_size);

#endif
