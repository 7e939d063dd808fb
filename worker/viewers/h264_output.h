/*
 * One H.264 output of a camera's stream: a fan-out for viewers who cannot play what the camera
 * sends, or want it smaller, and the rendition that feeds it while it has viewers.  Worker, loop
 * thread.
 *
 * Frames of an H.264 camera go through untouched, whatever the output's size.
 */
#ifndef WORKER_H264_OUTPUT_H
#define WORKER_H264_OUTPUT_H

#include "worker/transcode/rendition.h"
#include "worker/viewers/fanout.h"

struct h264_output;

struct h264_output_params {
    uv_loop_t *loop;
    const struct ipc_limits *limits; /* Borrowed; may change, then h264_output_limits_changed() */
    const char *camera;              /* as for fanout_new().  Borrowed */
    const struct fanout *original;   /* has the camera's frames.  Borrowed */
    int lines;                       /* of a picture, at most; as for rendition_open() */
};

/**
 * It begins with what the original has of an H.264 camera.
 *
 * @param params  copied.
 * @return never NULL.  Caller owns; h264_output_close(), then h264_output_free().
 */
struct h264_output *h264_output_new(const struct h264_output_params *params);

/** Its viewers.  Borrowed. */
struct fanout *h264_output_fanout(const struct h264_output *output);

/** A frame of the camera, which the original has already.  Borrowed. */
void h264_output_push(struct h264_output *output, struct frame *frame);

/** A viewer has come: begin with a key frame. */
void h264_output_request_key(struct h264_output *output);

/** The camera is gone, or has another codec: what was decoded does not go on. */
void h264_output_disconnected(struct h264_output *output);

/** Another codec may be transcoded, though the one before could not be. */
void h264_output_codec_changed(struct h264_output *output);

void h264_output_limits_changed(struct h264_output *output);

/** Release the transcoder if nobody needs it any more; end the viewers' streams when it has failed
 * for connect_timeout_ms.  Call about once a second. */
void h264_output_check(struct h264_output *output);

/** Totals of its transcoders so far. */
struct rendition_stats h264_output_stats(const struct h264_output *output);

/** Close transcoder and fan-out; closed() is called for each of the two. */
void h264_output_close(struct h264_output *output, void (*closed)(void *ctx), void *ctx);

/** After both are closed.  NULL is fine. */
void h264_output_free(struct h264_output *output);

#endif /* WORKER_H264_OUTPUT_H */
