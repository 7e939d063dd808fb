/*
 * Reads an RTSP camera: ties together our own dialogue, transport, RTP and depacketizers.  Worker,
 * loop thread only; never blocks, has no thread of its own.
 */
#ifndef WORKER_SOURCE_RTSP_H
#define WORKER_SOURCE_RTSP_H

#include "common/http_reply.h"
#include "worker/media/media_sink.h"
#include "worker/media/source_loss.h"
#include "worker/media/source_params.h"

#include <uv.h>

struct source_rtsp_events {
    /* The connection ended; close it.  detail is Borrowed, without password. */
    void (*on_end)(void *ctx, enum http_error error, const char *detail);
    void *ctx;
};

struct source_rtsp;

/**
 * Connect to a camera.  Connects again by itself, within the connect deadline, if the camera
 * redirects, wants OPTIONS first or the other transport, or sends nothing over UDP or multicast.
 *
 * @param params  copied.
 * @param sink    copied; called on the loop thread, never during this call.
 * @param events  copied; likewise.
 * @return never NULL.  Caller owns; source_rtsp_close().
 */
struct source_rtsp *source_rtsp_open(uv_loop_t *loop, const struct source_params *params,
                                     const struct media_sink *sink,
                                     const struct source_rtsp_events *events);

/** As source_ask_key_frame(). */
void source_rtsp_ask_key_frame(struct source_rtsp *source);

/** As source_set_lazy(). */
void source_rtsp_set_lazy(struct source_rtsp *source, bool lazy);

/** As source_limits_changed(). */
void source_rtsp_limits_changed(struct source_rtsp *source);

/**
 * End the connection with TEARDOWN and wait briefly for its answer.  No event and no media come
 * after this.  closed() is called, and memory freed, when all handles are closed.
 */
void source_rtsp_close(struct source_rtsp *source, void (*closed)(void *ctx), void *ctx);

/** As source_get_loss(). */
struct source_loss source_rtsp_loss(struct source_rtsp *source);

#endif /* WORKER_SOURCE_RTSP_H */
