/*
 * Snapshots and MJPEG of one camera: the newest picture at the moment of the request, at a cost
 * that does not grow with the number of clients.  Worker, loop thread; decoding, scaling and
 * encoding run in the thread pool, one job at a time.
 *
 * - A request notes the head of the frame ring.  Any picture made from all frames before it (all
 *   but the last one, unless the stream reorders frames) answers the request, so all requests of
 *   that time share one decode, and one encode per form (size and quality).
 * - Each frame is decoded at most once: the decoder keeps its state from job to job.  Frames before
 *   the newest key frame are left out when that key frame has not been decoded yet.
 * - When requests are frequent (more than two per GOP), frames are decoded as they come, a few at a
 *   time: all of them must be decoded anyway, and a request then finds almost nothing left to do.
 *   When requests are rare, nothing is decoded until one comes.
 * - A picture is served while at most PICTURE_FEED_LOST_MAX frames after it could not be decoded;
 *   otherwise requests wait for the next good one.  A request that has waited for
 *   SNAPSHOT_PATIENCE_MS gets the last good picture, if that is at most SNAPSHOT_OLD_MAX_MS old:
 *   over a network that loses packets the next key frame is often damaged too.
 * - Decoder and pictures of a kind (tens of megabytes) are freed after SNAPSHOT_KEEP_MS without
 *   requests for that kind.
 *
 * Bounds: SNAPSHOT_CLIENTS_MAX clients, and for the clients of each address SNAPSHOT_FORMS_MAX
 * forms due at a time (beyond either: 503 overloaded); addresses take turns; a request that waits
 * longer than connecting may take gets 504.
 */
#ifndef WORKER_SNAPSHOT_H
#define WORKER_SNAPSHOT_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "worker/http/client_return.h"
#include "worker/media/frame_ring.h"
#include "worker/pictures/snapshot_stats.h"

#include <uv.h>

#define SNAPSHOT_CLIENTS_MAX 512

struct snapshot;

/**
 * @param ring    the stream puts its frames here.  Borrowed until snapshot_close().
 * @param limits  Borrowed; may change.
 * @param back    how connections get back to the master.  Borrowed until snapshot_close() has
 *                closed.
 * @param camera  redacted URL, for error bodies.  Borrowed.
 * @return never NULL.  Caller owns; snapshot_close().
 */
struct snapshot *snapshot_new(uv_loop_t *loop, const struct frame_ring *ring,
                              const struct ipc_limits *limits, const char *camera,
                              const struct client_return *back);

/** Refuse unanswered requests, give answers under way two seconds to finish, free; then call
 * closed(). */
void snapshot_close(struct snapshot *snapshot, void (*closed)(void *ctx), void *ctx);

/** Add a client of kind IPC_CLIENT_SNAPSHOT or IPC_CLIENT_MJPEG.  fd is Moved, request copied. */
void snapshot_add(struct snapshot *snapshot, int *fd, const struct ipc_client *request);

/** A video frame was put into the ring.  Call for every video frame. */
void snapshot_on_frame(struct snapshot *snapshot);

/** The camera is gone and the ring was cleared: decoding continues at the next key frame. */
void snapshot_on_disconnect(struct snapshot *snapshot);

/** Answer the unanswered clients that came before opened_before_ms with an error. */
void snapshot_fail_unanswered(struct snapshot *snapshot, int64_t opened_before_ms,
                              enum http_error error, const char *message);

/** Give all kept connections back to the master, which finds a worker for their next requests. */
void snapshot_give_back(struct snapshot *snapshot);

/** End the MJPEG streams. */
void snapshot_close_streaming(struct snapshot *snapshot);

/** Clients of both kinds that are not answered yet. */
size_t snapshot_unanswered(const struct snapshot *snapshot);
/** Is no client within a write? */
bool snapshot_is_whole(const struct snapshot *snapshot);
/** MJPEG clients that are answered. */
size_t snapshot_streaming(const struct snapshot *snapshot);
/** Unanswered snapshot requests; MJPEG clients do not count. */
size_t snapshot_requests(const struct snapshot *snapshot);
struct snapshot_stats snapshot_get_stats(const struct snapshot *snapshot);

#endif /* WORKER_SNAPSHOT_H */
