/*
 * Makes frames from what a source delivers: assembles access units, repairs timestamps, turns audio
 * into AAC.  Worker; one object per camera, used by one source at a time, from that source's thread
 * only.  Does no I/O.
 */
#ifndef WORKER_INGEST_H
#define WORKER_INGEST_H

#include "worker/media/media_sink.h"

struct ingest_output {
    /* The connection's tracks are known, or its sound has changed.  camera_audio: the camera's
     * codec, or NONE.  audio: the configuration of the AAC made from it, NULL if there is none.
     * Shared: take a reference. */
    void (*on_tracks)(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio);
    /* A frame.  Moved. */
    void (*on_frame)(void *ctx, struct frame *frame);
    void *ctx;
};

struct ingest;

/** @return never NULL.  Caller owns; ingest_free(). */
struct ingest *ingest_new(void);
void ingest_free(struct ingest **ingest);

/**
 * Begin a new connection to the camera: its clock and tracks may differ, the output clock
 * continues.
 *
 * @param output  copied.
 */
void ingest_connect(struct ingest *ingest, const struct ingest_output *output);

/** Pictures received so far on this connection, even if they cannot be shown.  Any thread. */
uint64_t ingest_pictures_in(const struct ingest *ingest);

/** Why there is no sound on this connection; NONE: there is, or the tracks are not known yet.  Any
 * thread. */
enum ipc_no_audio ingest_no_audio(const struct ingest *ingest);

/** Payload bytes received so far, over all connections.  Any thread. */
uint64_t ingest_bytes_in(const struct ingest *ingest);

/** The sink for the source's tracks and packets.  Borrowed, valid as long as the ingest. */
const struct media_sink *ingest_sink(const struct ingest *ingest);

#endif /* WORKER_INGEST_H */
