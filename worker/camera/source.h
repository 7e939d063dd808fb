/*
 * One connection to a camera: a source reads it, ingest makes frames of what it reads, and the
 * frames arrive here on the loop thread, in order.  Worker, loop thread.  RTSP is our own session
 * on that thread (source_rtsp.c); RTMP and HTTP-FLV block in libavformat, in a thread of their own
 * (source_thread.c, source_flv.c).
 */
#ifndef WORKER_SOURCE_H
#define WORKER_SOURCE_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "worker/camera/ingest.h"
#include "worker/media/frame.h"
#include "worker/media/media_sink.h"
#include "worker/media/source_params.h"

#include <uv.h>

struct source_events {
    /* Tracks are settled: audio is NULL for a stream without.  Shared: take a reference. */
    void (*on_tracks)(void *ctx, struct codec_config *audio);
    /* A frame.  Moved. */
    void (*on_frame)(void *ctx, struct frame *frame);
    /* The connection ended; close it.  detail is Borrowed, without password. */
    void (*on_end)(void *ctx, enum http_error error, const char *detail);
    void *ctx;
};

struct source;

/**
 * Connect to a camera.
 *
 * @param params  copied.
 * @param ingest  Borrowed until closed() of source_close(); no other source uses it meanwhile.
 * @param events  copied; called on the loop thread, never from within this function.
 * @return never NULL.  Caller owns; source_close().
 */
struct source *source_open(uv_loop_t *loop, const struct source_params *params,
                           struct ingest *ingest, const struct source_events *events);

/** What params->limits points to has changed: the new times hold at once.  No event from within. */
void source_limits_changed(struct source *source);

/**
 * End the connection; no event comes after this.  Does not block: memory goes, and closed() is
 * called, when the source has really ended.
 */
void source_close(struct source *source, void (*closed)(void *ctx), void *ctx);

/** How long a source told to close has been refusing to end, ms; 0 otherwise. */
int64_t source_overdue_ms(const struct source *source);

/** Payload bytes received from the camera by this connection. */
uint64_t source_bytes_in(const struct source *source);

/** RTP packets of this connection that never came. */
uint64_t source_packets_lost(const struct source *source);
/** Frames that came faster than they could be taken, so far; 0 for RTSP, which is not read then. */
uint64_t source_frames_refused(const struct source *source);

#endif /* WORKER_SOURCE_H */
