/* What a source tells the stream that it belongs to.  Worker, loop thread. */
#ifndef WORKER_SOURCE_EVENTS_H
#define WORKER_SOURCE_EVENTS_H

#include "common/http_reply.h"
#include "worker/camera/ingest.h"

struct source_events {
    /* What comes of the camera's tracks, as in struct ingest_output. */
    struct ingest_output output;
    /* The connection ended; close it.  detail is Borrowed, without password. */
    void (*on_end)(void *ctx, enum http_error error, const char *detail);
    void *ctx; /* of on_end */
};

#endif /* WORKER_SOURCE_EVENTS_H */
