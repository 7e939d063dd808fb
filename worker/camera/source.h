/*
 * One connection to a camera: a source reads it, ingest makes frames of what it reads, and the
 * frames arrive on the loop thread, in order.  Worker, loop thread.  RTSP is our own session on
 * that thread (source_rtsp.c); RTMP and HTTP-FLV block in libavformat, in a thread of their own
 * (source_thread.c, source_flv.c).
 */
#ifndef WORKER_SOURCE_H
#define WORKER_SOURCE_H

#include "worker/camera/source_events.h"
#include "worker/media/source_params.h"

#include <uv.h>

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

/**
 * lazy: nobody watches, let media gather in the socket.  Frames come some tenths of a second later
 * then.  When lazy is false again, those that have gathered come from within.
 */
void source_set_lazy(struct source *source, bool lazy);

/** Ask the camera for a key frame, where there is a way: RTCP. */
void source_ask_key_frame(struct source *source);

/** Does the camera send sound, while of the pictures that it announced none has come? */
bool source_awaits_picture(const struct source *source);

/** How long a source told to close has been refusing to end, ms; 0 otherwise. */
int64_t source_overdue_ms(const struct source *source);

/** RTP packets of this connection that never came. */
uint64_t source_packets_lost(const struct source *source);
/** Frames that came faster than they could be taken, so far; 0 for RTSP, which is not read then. */
uint64_t source_frames_refused(const struct source *source);

#endif /* WORKER_SOURCE_H */
