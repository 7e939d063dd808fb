/*
 * Runs a source that blocks in libavformat (RTMP, HTTP-FLV: source_flv.c) in a thread of its own,
 * behind a bounded queue.  Worker; call these functions on the loop thread.
 */
#ifndef WORKER_SOURCE_THREAD_H
#define WORKER_SOURCE_THREAD_H

#include "worker/camera/source_events.h"
#include "worker/media/source_params.h"

#include <uv.h>

struct source_thread;

/**
 * Start the thread.
 *
 * @param params  copied.
 * @param ingest  Borrowed until closed(), used on the thread; its frames reach the loop through the
 *                queue.
 * @param events  copied; called on the loop thread, never during this call.
 * @return never NULL.  Caller owns; source_thread_close().
 */
struct source_thread *source_thread_open(uv_loop_t *loop, const struct source_params *params,
                                         struct ingest *ingest, const struct source_events *events);

/** As source_awaits_picture(). */
bool source_thread_awaits_picture(const struct source_thread *thread);

/** As source_limits_changed(). */
void source_thread_limits_changed(struct source_thread *thread);

/** As source_set_lazy(). */
bool source_thread_set_lazy(struct source_thread *thread, bool lazy);

/** As source_close(). */
void source_thread_close(struct source_thread *thread, void (*closed)(void *ctx), void *ctx);

/** As source_overdue_ms(). */
int64_t source_thread_overdue_ms(const struct source_thread *thread);

/** How many frames found no room in the queue. */
uint64_t source_thread_frames_refused(struct source_thread *source);

#endif /* WORKER_SOURCE_THREAD_H */
