/*
 * Sends one encoding of a camera's stream to all its viewers: the ring of frames and the viewers
 * that read it.  Worker, loop thread.
 *
 * One write per viewer and video frame: audio waits for the next video frame, for at most
 * FANOUT_AUDIO_HOLD_MS, unless there are few viewers.  Viewers never hold each other up (client.h
 * has the bounds of each).
 */
#ifndef WORKER_FANOUT_H
#define WORKER_FANOUT_H

#include "worker/media/frame_ring.h"
#include "worker/viewers/client.h"

#include <uv.h>

/* Longer than a frame at 25 frames per second: with 20 ms most frames need a second write, which
 * costs a fifth more CPU time with 1000 viewers.  With few viewers audio is not held, so that
 * players can stay closer to the live edge.  Holding begins above FANOUT_FEW viewers and ends at
 * FANOUT_FEW_AGAIN. */
#define FANOUT_AUDIO_HOLD_MS 45
#define FANOUT_FEW 64
#define FANOUT_FEW_AGAIN 48

/* How long viewers, waiting or playing, wait for a whole key frame, if the camera's first one has
 * lost packets: until the next one, with the usual distance of two seconds. */
#define FANOUT_WHOLE_KEY_WAIT_US INT64_C(2500000)

struct fanout;

struct fanout_stats {
    uint64_t bytes_out;
    uint64_t frames_skipped;
    uint64_t gop_overflows;
    uint64_t refused;          /* viewers that got an error */
    struct ipc_histogram join; /* time from accepting a viewer to its answer */
};

/**
 * @param limits  Borrowed; may change, then call fanout_limits_changed().
 * @param camera  redacted URL, for error bodies.  Borrowed.
 * @return never NULL.  Caller owns; fanout_close().
 */
struct fanout *fanout_new(uv_loop_t *loop, const struct ipc_limits *limits, const char *camera);

/** Close all viewers; free when the last is gone, then call closed(). */
void fanout_close(struct fanout *fanout, void (*closed)(void *ctx), void *ctx);

void fanout_limits_changed(struct fanout *fanout);

/**
 * Add a viewer; it waits until there is something to play: a whole key frame, or a damaged one when
 * FANOUT_WHOLE_KEY_WAIT_US have passed.  fd is Moved, request copied.
 */
void fanout_add(struct fanout *fanout, int *fd, const struct ipc_client *request);

/** Is there a viewer, waiting or playing, for whom wanted() is true? */
bool fanout_any(const struct fanout *fanout, bool (*wanted)(void *ctx, const struct client *client),
                void *ctx);

/** Let another fan-out serve the viewers, waiting or playing, for whom wanted() is true. */
void fanout_move(struct fanout *from, struct fanout *to,
                 bool (*wanted)(void *ctx, const struct client *client), void *ctx);

/**
 * The tracks are known: audio is the AAC configuration, or NULL.  Shared: takes a reference.
 * Viewers that were told of other tracks are closed: players accept no track that comes or goes.
 */
void fanout_set_tracks(struct fanout *fanout, struct codec_config *audio);

/** Send a frame.  Moved. */
void fanout_push(struct fanout *fanout, struct frame *frame);

/** The camera is gone: forget its frames, so that nobody is shown them as if they were live. */
void fanout_disconnected(struct fanout *fanout);

/** The most recent frames, for snapshots.  Borrowed. */
const struct frame_ring *fanout_ring(const struct fanout *fanout);

/** The most recent frames, also those that are held back from viewers.  Borrowed until the next
 * call of another function. */
const struct frame_ring *fanout_arrived(const struct fanout *fanout);

/**
 * Answer the waiting viewers that came before opened_before_ms with an error; INT64_MAX: all.  With
 * a deadline, those who only wait for a whole key frame begin with what has come.
 */
void fanout_fail_waiting(struct fanout *fanout, int64_t opened_before_ms, enum http_error error,
                         const char *message);

/** End the streams of all viewers that are playing.  WebSockets are told the error, unless it is
 * NONE. */
void fanout_close_streaming(struct fanout *fanout, enum http_error error, const char *why);

/** Is no viewer within a write? */
bool fanout_is_whole(const struct fanout *fanout);

size_t fanout_waiting(const struct fanout *fanout);
size_t fanout_streaming(const struct fanout *fanout);
struct fanout_stats fanout_stats(const struct fanout *fanout);

#endif /* WORKER_FANOUT_H */
