/*
 * One connection to a camera: a source reads it, ingest makes frames of what it reads, and the
 * frames arrive here on the loop thread, in order.  Worker, loop thread.  RTSP is our own session
 * on that thread (source_rtsp.c); RTMP and HTTP-FLV block in libavformat, in a thread of their own
 * (source_thread.c, source_flv.c).
 */
#ifndef WORKER_SOURCE_H
#define WORKER_SOURCE_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/url.h"
#include "worker/frame.h"
#include "worker/ingest.h"
#include "worker/media_sink.h"

#include <stdatomic.h>
#include <uv.h>

#define SOURCE_DETAIL_MAX 256

/* What one connection to a camera learns for the next. */
struct source_memory {
    bool other_transport; /* media came over the one that was not asked for */
    bool options_first;   /* RTSP: it wants OPTIONS before anything else */
};

struct source_params {
    const char *url; /* normalised, credentials percent-encoded: never log it.  Borrowed. */
    enum ipc_transport transport;
    uint32_t connect_timeout_ms;  /* from the start to the first accepted media packet */
    uint32_t stall_timeout_ms;    /* between accepted media packets */
    bool tls_insecure;            /* take any certificate */
    struct source_memory *memory; /* NULL: none.  Borrowed until closed() of source_close(). */
    struct ipc_access access;     /* which hosts and addresses may be connected to */
    char host[URL_HOST_MAX];      /* of the URL */
};

/*
 * A source that blocks: reads the camera in the calling thread until it ends or *stop is true.
 *
 * @param detail  SOURCE_DETAIL_MAX bytes for a text without password: what happened.
 * @return why it ended; HTTP_ERROR_NONE when told to stop.
 */
enum http_error source_flv_run(const struct source_params *params, const struct media_sink *sink,
                               const atomic_bool *stop, char *detail, size_t detail_size);

struct source_events {
    /* Tracks are settled: audio is NULL for a stream without.  Shared: take a reference. */
    void (*on_tracks)(void *ctx, struct codec_config *audio);
    /* A frame.  Moved. */
    void (*on_frame)(void *ctx, struct frame *frame);
    /* The connection ended; close it.  detail is Borrowed, without password. */
    void (*on_end)(void *ctx, enum http_error error, const char *detail);
    void *ctx;
};

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

/**
 * End the connection; no event comes after this.  Does not block: memory goes, and closed() is
 * called, when the source has really ended.
 */
void source_close(struct source *source, void (*closed)(void *ctx), void *ctx);

/** How long a source told to close has been refusing to end, ms; 0 otherwise. */
int64_t source_overdue_ms(const struct source *source);

/** Payload bytes received from the camera by this connection. */
uint64_t source_bytes_in(const struct source *source);

/** RTP packets of this connection that never came. */
uint64_t source_packets_lost(const struct source *source);

#endif /* WORKER_SOURCE_H */
