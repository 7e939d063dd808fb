/*
 * What a source delivers becomes frames: access units are assembled, timestamps repaired, audio
 * turned into AAC.  Worker; called from the source's thread only.  Does no I/O.
 */
#ifndef WORKER_INGEST_H
#define WORKER_INGEST_H

#include "worker/media_sink.h"

struct ingest_output {
    /* The tracks of the stream are known.  audio: the AAC configuration, or NULL.  Borrowed. */
    void (*on_tracks)(void *ctx, struct codec_config *audio);
    /* A frame.  Moved. */
    void (*on_frame)(void *ctx, struct frame *frame);
    void *ctx;
};

struct ingest;

/**
 * One ingest serves one connection to the camera.
 *
 * @param first_dts_us  where on the output clock the first video frame goes.
 * @param output        copied.
 * @return never NULL.  Caller owns; ingest_free().
 */
struct ingest *ingest_new(int64_t first_dts_us, const struct ingest_output *output);
void ingest_free(struct ingest **ingest);

/** Where a source puts what it reads.  Borrowed, valid as long as the ingest. */
const struct media_sink *ingest_sink(struct ingest *ingest);

#endif /* WORKER_INGEST_H */
