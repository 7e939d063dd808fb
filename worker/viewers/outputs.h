/*
 * All outputs of a camera's stream: the original, H.264 for viewers who cannot play that, and
 * pictures (snapshot.h).  Worker, loop thread.
 *
 * Viewers play H.264.  They play HEVC unless they say otherwise (allow_h265=false), AV1 if they say
 * so (av1=enhanced), and no other codec.  While the camera's codec is not known, viewers wait at
 * the output that is theirs if it is HEVC.
 *
 * An H.264 output has its own fan-out, made when its first viewer comes.  An H.264 camera's frames
 * go to all untouched; another camera's are transcoded while an H.264 output has viewers.
 *
 * When the camera's codec or size changes, viewers go to the output that is theirs then.  Those who
 * play H.264 go on in the same answer.
 */
#ifndef WORKER_OUTPUTS_H
#define WORKER_OUTPUTS_H

#include "worker/http/client_return.h"
#include "worker/transcode/rendition.h"
#include "worker/viewers/fanout.h"

struct outputs;

/** As fanout_new(); back as for snapshot_new(). */
struct outputs *outputs_new(uv_loop_t *loop, const struct ipc_limits *limits, const char *camera,
                            const struct client_return *back);

/** As fanout_close(). */
void outputs_close(struct outputs *outputs, void (*closed)(void *ctx), void *ctx);

/* The following do what their counterparts in fanout.h do, for the viewers and picture clients of
 * all outputs. */
void outputs_limits_changed(struct outputs *outputs);
void outputs_add_client(struct outputs *outputs, int *fd, const struct ipc_client *request);
void outputs_set_tracks(struct outputs *outputs, struct codec_config *audio);
void outputs_push(struct outputs *outputs, struct frame *frame);
void outputs_disconnected(struct outputs *outputs);
void outputs_fail_waiting(struct outputs *outputs, int64_t opened_before_ms, enum http_error error,
                          const char *message);
void outputs_close_streaming(struct outputs *outputs, enum http_error error, const char *why);
/** Is no client within a write? */
bool outputs_are_whole(const struct outputs *outputs);
size_t outputs_waiting(const struct outputs *outputs);
size_t outputs_streaming(const struct outputs *outputs);
/** The waiting snapshot requests; MJPEG clients do not count. */
size_t outputs_snapshots(const struct outputs *outputs);
struct fanout_stats outputs_stats(const struct outputs *outputs);

/** How long snapshots took. */
struct ipc_histogram outputs_snapshot_times(const struct outputs *outputs);

/** Totals of all transcoders so far. */
struct rendition_stats outputs_transcoder_stats(const struct outputs *outputs);

/** As snapshot_give_back(). */
void outputs_give_back(struct outputs *outputs);

/** Release transcoders that no viewer needs any more, and end the streams of those that fail.  Call
 * about once a second. */
void outputs_check(struct outputs *outputs);

#endif /* WORKER_OUTPUTS_H */
