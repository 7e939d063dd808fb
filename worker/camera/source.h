/*
 * One connection to a camera: a source reads it, ingest makes frames from its media, and the frames
 * arrive on the loop thread, in order.  Worker, loop thread.  RTSP runs on that thread, with our
 * own session (source_rtsp.c); RTMP and HTTP-FLV block in libavformat, in a thread of their own
 * (source_thread.c, source_flv.c).
 */
#ifndef WORKER_SOURCE_H
#define WORKER_SOURCE_H

#include "worker/camera/source_events.h"
#include "worker/media/source_loss.h"
#include "worker/media/source_params.h"

#include <uv.h>

struct source;

/**
 * Connect to a camera.
 *
 * @param params  copied.
 * @param ingest  Borrowed until source_close() calls closed(); no other source may use it
 * meanwhile.
 * @param events  copied; called on the loop thread, never during this call.
 * @return never NULL.  Caller owns; source_close().
 */
struct source *source_open(uv_loop_t *loop, const struct source_params *params,
                           struct ingest *ingest, const struct source_events *events);

/** The limits in params->limits have changed and apply at once.  No event comes during the call. */
void source_limits_changed(struct source *source);

/**
 * End the connection; no event comes after this.  Does not block: closed() is called, and memory
 * freed, when the source has really ended.
 */
void source_close(struct source *source, void (*closed)(void *ctx), void *ctx);

/**
 * If lazy, media may gather in the socket because nobody watches: frames come some tenths of a
 * second later.  Say so again once a second: each such call delivers what has been read, and an
 * RTSP camera is read during it.  Setting lazy to false delivers what has been read during the
 * call; of an RTSP camera that is all that has gathered.
 *
 * @return true: the rest of it comes soon, and then on_caught_up(), unless the source ends.
 */
bool source_set_lazy(struct source *source, bool lazy);

/** Ask the camera for a key frame, if the source has a way to do so: RTCP. */
void source_ask_key_frame(struct source *source);

/** Does the camera send sound, but none of the pictures that it announced? */
bool source_awaits_picture(const struct source *source);

/** How long ago a source that is still running was told to close, ms; 0: it was not. */
int64_t source_overdue_ms(const struct source *source);

/** RTP packets that are missing so far. */
struct source_loss source_get_loss(struct source *source);
/** How many frames came faster than they could be taken; 0 for RTSP, where reading waits instead.
 */
uint64_t source_frames_refused(const struct source *source);

#endif /* WORKER_SOURCE_H */
