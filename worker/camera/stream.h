/*
 * A worker's camera: connects when the first viewer comes, reconnects while viewers are left, and
 * feeds the fan-out.  Worker, loop thread.  Never blocks.
 *
 * When it connects:
 *   - if a viewer comes: at once, but no sooner than BACKOFF_ATTEMPT_EVERY_MS after the last
 *     attempt began;
 *   - if the connection was lost: after BACKOFF_MIN_MS, doubled per attempt, with jitter, while
 *     viewers are left and the reconnect window is open; the delay grows up to BACKOFF_WATCHED_MS
 *     while they watch a camera that refuses or answers quickly, up to BACKOFF_MAX_MS when it hangs
 *     or nobody watches;
 *   - never within REFUSED_MS after the camera rejected the password: cameras lock accounts.
 * Viewers that have not been answered get the failed attempt's error; playing viewers stay until
 * the reconnect window closes.
 */
#ifndef WORKER_STREAM_H
#define WORKER_STREAM_H

#include "common/ipc.h"

#include <stdbool.h>
#include <uv.h>

struct stream;

struct stream_events {
    void (*on_state)(void *ctx, const struct ipc_state *state);
    /* The camera has had no viewer for the idle time.  Repeated once a second while that lasts. */
    void (*on_idle)(void *ctx);
    /* A connection returns to the master.  *fd is Moved if it becomes -1. */
    void (*on_return)(void *ctx, const struct ipc_return *connection, int *fd);
    /* stream_yield() is done. */
    void (*on_yielded)(void *ctx);
    void *ctx;
};

/**
 * @param assign  copied; its strings are terminated.
 * @param events  copied.
 * @param out     Caller owns; stream_close().
 * @return 0, or -EINVAL if the URL is not a camera URL.
 */
int stream_open(uv_loop_t *loop, const struct ipc_assign *assign,
                const struct stream_events *events, struct stream **out);

/** Serve a client: a viewer, or a snapshot.  fd is Moved, request copied. */
void stream_add_client(struct stream *stream, int *fd, const struct ipc_client *request);

/** Take new settings: limits apply at once, access from the next connection on. */
void stream_set_settings(struct stream *stream, const struct ipc_settings *settings);

/**
 * Leave the camera for another worker, and take no client and no settings any more; then
 * on_yielded() is called, when no client is within a write, or at the latest after grace_ms.
 */
void stream_yield(struct stream *stream, uint32_t grace_ms);

/** Answer or end all viewers, leave the camera, free the stream; then closed() is called. */
void stream_close(struct stream *stream, void (*closed)(void *ctx), void *ctx);

/** Get the counters. */
void stream_get_stats(const struct stream *stream, struct ipc_stats *stats);

/** Does the camera's thread still obey?  If not, only a new process helps. */
bool stream_is_healthy(const struct stream *stream);

#endif /* WORKER_STREAM_H */
