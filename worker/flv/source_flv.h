/* A camera that is read as FLV: RTMP, HTTP-FLV. */
#ifndef WORKER_SOURCE_FLV_H
#define WORKER_SOURCE_FLV_H

#include "common/http_reply.h"
#include "worker/media/media_sink.h"
#include "worker/media/source_params.h"

#include <stdatomic.h>

/* What the reading thread and another one tell each other.  Zeroed, then source_flv_set_limits().
 */
struct source_flv_control {
    atomic_bool stop;
    atomic_bool awaits_picture; /* told by the reader: pictures are announced, sound comes */
    _Atomic uint32_t connect_timeout_ms; /* as in struct ipc_limits */
    _Atomic uint32_t stall_timeout_ms;
};

/** Copy the limits that concern a source; they hold at once.  Any thread. */
void source_flv_set_limits(struct source_flv_control *control, const struct ipc_limits *limits);

/**
 * Read the camera in the calling thread, which blocks, until it ends or control->stop is true.
 *
 * @param params   its limits are not read: control has them.
 * @param control  Shared with other threads, which may change it meanwhile.
 * @param detail  SOURCE_DETAIL_MAX bytes for a text without password: what happened.
 * @return why it ended; HTTP_ERROR_NONE when told to stop.
 */
enum http_error source_flv_run(const struct source_params *params,
                               struct source_flv_control *control, const struct media_sink *sink,
                               char *detail, size_t detail_size);

#endif
