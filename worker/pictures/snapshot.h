/*
 * Snapshots and MJPEG of one camera: the newest picture at the moment of the request, at a cost
 * that does not grow with the number of clients.  Worker, loop thread; decoding, scaling and
 * encoding run in the thread pool, one job at a time.
 *
 * - A request notes where the frame ring is.  Any picture made from all frames up to there (one
 *   less, unless the stream reorders frames) answers it, so all requests of that time share one
 *   decode, and one encode per form (size and quality).
 * - Each frame is decoded at most once: the decoder keeps its state from job to job.  Frames before
 *   the newest key frame are left out when that key frame has not been decoded yet.
 * - Asked often (more than twice per GOP), frames are decoded as they come, a few at a time: they
 *   all have to be decoded anyway, and a request then finds next to nothing left to do.  Asked
 *   rarely, nothing is decoded until the request comes.
 * - A picture is served while at most PICTURE_FEED_LOST_MAX frames after it could not be decoded;
 *   otherwise requests wait for the next good one.  A request that has waited for
 *   SNAPSHOT_PATIENCE_MS gets the newest good one there was, if that is at most SNAPSHOT_OLD_MAX_MS
 *   old: over a network that loses packets the next key frame is often damaged too.
 * - Decoder and pictures (tens of megabytes) go when nobody has asked for SNAPSHOT_KEEP_MS.
 *
 * Bounds: SNAPSHOT_CLIENTS_MAX clients, SNAPSHOT_FORMS_MAX forms due at a time (503 overloaded over
 * either); a request that waits longer than the time for connecting gets 504.
 */
#ifndef WORKER_SNAPSHOT_H
#define WORKER_SNAPSHOT_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "worker/http/client_return.h"
#include "worker/media/frame_ring.h"

#include <uv.h>

#define SNAPSHOT_CLIENTS_MAX 512
#define SNAPSHOT_KEEP_MS 10000
#define SNAPSHOT_OLD_MAX_MS 10000

struct snapshot;

struct snapshot_stats {
    uint64_t bytes_out;
    uint64_t pictures;          /* JPEGs made */
    uint64_t decoded;           /* frames given to the decoder */
    struct ipc_histogram times; /* until clients got their first picture */
};

/**
 * @param ring    where the stream puts its frames.  Borrowed until snapshot_close().
 * @param limits  Borrowed; may change.
 * @param back    how connections get back to the master.  Borrowed until snapshot_close() has
 *                closed.
 * @param camera  redacted URL, for error bodies.  Borrowed.
 * @return never NULL.  Caller owns; snapshot_close().
 */
struct snapshot *snapshot_new(uv_loop_t *loop, const struct frame_ring *ring,
                              const struct ipc_limits *limits, const char *camera,
                              const struct client_return *back);

/** Refuse what is unanswered, let answers under way finish within two seconds, free; then closed().
 */
void snapshot_close(struct snapshot *snapshot, void (*closed)(void *ctx), void *ctx);

/** A request of kind IPC_CLIENT_SNAPSHOT or IPC_CLIENT_MJPEG.  fd is Moved, request copied. */
void snapshot_add(struct snapshot *snapshot, int *fd, const struct ipc_client *request);

/** A video frame was put into the ring.  Call for every one. */
void snapshot_on_frame(struct snapshot *snapshot);

/** The camera is gone and the ring was cleared: what comes next starts with a key frame. */
void snapshot_on_disconnect(struct snapshot *snapshot);

/** Answer with an error what is unanswered and came before opened_before_ms. */
void snapshot_fail_unanswered(struct snapshot *snapshot, int64_t opened_before_ms,
                              enum http_error error, const char *message);

/** Give all connections that are kept back to the master: it finds a worker for what they ask next.
 */
void snapshot_give_back(struct snapshot *snapshot);

/** End the MJPEG streams. */
void snapshot_close_streaming(struct snapshot *snapshot);

/** Clients that are not answered yet; MJPEG clients that were. */
size_t snapshot_unanswered(const struct snapshot *snapshot);
size_t snapshot_streaming(const struct snapshot *snapshot);
/** Requests for one picture that are unanswered; MJPEG clients do not count. */
size_t snapshot_requests(const struct snapshot *snapshot);
struct snapshot_stats snapshot_get_stats(const struct snapshot *snapshot);

#endif /* WORKER_SNAPSHOT_H */
