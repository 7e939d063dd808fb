/* The callback that takes finished AAC frames.  Worker, source thread. */
#ifndef WORKER_AUDIO_EMIT_H
#define WORKER_AUDIO_EMIT_H

#include "worker/media/frame.h"

/** Takes a finished frame.  @param frame  Moved. */
typedef void audio_emit_fn(void *ctx, struct frame *frame);

#endif /* WORKER_AUDIO_EMIT_H */
