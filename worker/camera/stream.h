/*
 * A worker's camera: connects when somebody wants it, reconnects while somebody waits, and feeds
 * the fan-out.  Worker, loop thread.  Never blocks.
 *
 * Why and when it connects:
 *   - a viewer comes: at once, but no sooner than ATTEMPT_EVERY_MS after the last attempt began;
 *   - the connection was lost: after BACKOFF_MIN_MS, doubled per attempt, with jitter, while
 * viewers are left and the reconnect window is open; up to BACKOFF_WATCHED_MS while they watch a
 * camera that refuses or answers quickly, up to BACKOFF_MAX_MS when it hangs or nobody watches;
 *   - never within REFUSED_MS after the camera rejected the password: cameras lock accounts.
 * Viewers that have not been answered get the error of the attempt that failed; those that are
 * playing stay until the reconnect window closes.
 */
#ifndef WORKER_STREAM_H
#define WORKER_STREAM_H

#include "common/ipc.h"

#include <stdbool.h>
#include <uv.h>

struct stream;

struct stream_events {
    void (*on_state)(void *ctx, const struct ipc_state *state);
    /* Nobody has wanted the camera for the idle time.  Repeated once a second while that lasts. */
    void (*on_idle)(void *ctx);
    /* A connection goes back to the master.  *fd is Moved if it becomes -1. */
    void (*on_return)(void *ctx, const struct ipc_return *connection, int *fd);
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

/** A viewer.  fd is Moved, request copied. */
void stream_add_client(struct stream *stream, int *fd, const struct ipc_client *request);

/** The configuration was read again: limits hold at once, access from the next connection on. */
void stream_set_settings(struct stream *stream, const struct ipc_settings *settings);

/** Answer or end all viewers, leave the camera, free; then closed() is called. */
void stream_close(struct stream *stream, void (*closed)(void *ctx), void *ctx);

/** Counters so far. */
void stream_get_stats(const struct stream *stream, struct ipc_stats *stats);

/** Is the camera's thread still obeying?  If not, only a new process helps. */
bool stream_is_healthy(const struct stream *stream);

#endif /* WORKER_STREAM_H */
