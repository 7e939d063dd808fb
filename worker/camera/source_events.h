/* What a source reports to its stream.  Worker, loop thread. */
#ifndef WORKER_SOURCE_EVENTS_H
#define WORKER_SOURCE_EVENTS_H

#include "common/http_reply.h"
#include "worker/camera/ingest.h"

struct source_events {
    /* The camera's tracks and frames, as from ingest. */
    struct ingest_output output;
    /* After source_set_lazy(source, false): the frames that had gathered have come. */
    void (*on_caught_up)(void *ctx);
    /* The connection ended; close it.  detail is Borrowed, without password. */
    void (*on_end)(void *ctx, enum http_error error, const char *detail);
    void *ctx; /* for on_caught_up and on_end */
};

#endif /* WORKER_SOURCE_EVENTS_H */
