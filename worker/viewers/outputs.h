/*
 * The forms in which a camera's stream goes out: as the camera sends it, H.264 for viewers who
 * cannot play HEVC (allow_h265=false), and pictures (snapshot.h).  Worker, loop thread.
 *
 * The second has its own fan-out, made when the first such viewer comes.  An H.264 camera's frames
 * go to both untouched; an HEVC camera's are transcoded while there are viewers for it.
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

/* The following do what the function of fanout.h does, for viewers and snapshots of all forms. */
void outputs_limits_changed(struct outputs *outputs);
void outputs_add_client(struct outputs *outputs, int *fd, const struct ipc_client *request);
void outputs_set_tracks(struct outputs *outputs, struct codec_config *audio);
void outputs_push(struct outputs *outputs, struct frame *frame);
void outputs_disconnected(struct outputs *outputs);
void outputs_fail_waiting(struct outputs *outputs, int64_t opened_before_ms, enum http_error error,
                          const char *message);
void outputs_close_streaming(struct outputs *outputs, const char *why);
size_t outputs_waiting(const struct outputs *outputs);
size_t outputs_streaming(const struct outputs *outputs);
/** Of those that wait: who want one picture. */
size_t outputs_snapshots(const struct outputs *outputs);
struct fanout_stats outputs_stats(const struct outputs *outputs);

/** How long snapshots took. */
struct ipc_histogram outputs_snapshot_times(const struct outputs *outputs);

/** What all transcoders so far have done. */
struct rendition_stats outputs_transcoder_stats(const struct outputs *outputs);

/** As snapshot_give_back(). */
void outputs_give_back(struct outputs *outputs);

/** Release the transcoder if no viewer needs it any more.  Call about once a second. */
void outputs_check(struct outputs *outputs);

#endif /* WORKER_OUTPUTS_H */
