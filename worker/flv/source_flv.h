/* Reads a camera that sends FLV: over RTMP or HTTP.  Worker, the source's own thread. */
#ifndef WORKER_SOURCE_FLV_H
#define WORKER_SOURCE_FLV_H

#include "common/http_reply.h"
#include "worker/flv/flv_lazy.h"
#include "worker/media/media_sink.h"
#include "worker/media/source_params.h"

#include <stdatomic.h>

/* Shared by the reading thread and its owner.  Zeroed, then source_flv_set_limits(). */
struct source_flv_control {
    atomic_bool stop;
    atomic_bool awaits_picture; /* set by the reading thread: sound comes, but no picture yet */
    _Atomic uint32_t connect_timeout_ms; /* as in struct ipc_limits */
    _Atomic uint32_t stall_timeout_ms;
    struct flv_lazy lazy;
};

/** Copy the limits that concern a source; they apply at once.  Any thread. */
void source_flv_set_limits(struct source_flv_control *control, const struct ipc_limits *limits);

/**
 * Read the camera in the calling thread, which blocks, until the stream ends or control->stop is
 * true.
 *
 * @param params   its limits are ignored: control has them.
 * @param control  Shared with other threads, which may change it meanwhile.
 * @param detail   SOURCE_DETAIL_MAX bytes for a text that says what happened, without password.
 * @return why it ended; HTTP_ERROR_NONE when told to stop.
 */
enum http_error source_flv_run(const struct source_params *params,
                               struct source_flv_control *control, const struct media_sink *sink,
                               char *detail, size_t detail_size);

#endif
