/*
 * One client of pictures: a snapshot (answered once) or MJPEG (a picture whenever one is due).
 * Worker, loop thread.  Never blocks; a JPEG is shared by all who get it, not copied.
 *
 * A kept connection stays here for SNAPSHOT_KEPT_MS after the master let its request in: the same
 * request, byte for byte, is answered again.  With any other one, or after that time, it goes back
 * to the master, which looks at its rights.
 *
 * Bounds: one picture in transit per client; an MJPEG client that has not taken it gets no other. A
 * client that takes nothing for viewer_stall_timeout_ms is disconnected.
 */
#ifndef WORKER_SNAPSHOT_CLIENT_H
#define WORKER_SNAPSHOT_CLIENT_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/refusal_log.h"
#include "worker/http/client_return.h"
#include "worker/pictures/snapshot_render.h"

#include <stdbool.h>
#include <uv.h>

/* On top of the time for connecting: the source's own error should be there by then. */
#define SNAPSHOT_GRACE_MS 1000
/* Rights are looked at again after this. */
#define SNAPSHOT_KEPT_MS 1000
/* Cameras send a key frame every second or two. */
#define SNAPSHOT_PATIENCE_MS 2000

struct snapshot_client;

/* What all clients of a camera have in common. */
struct snapshot_client_env {
    uv_loop_t *loop;
    const struct ipc_limits *limits; /* Borrowed; may change */
    const char *camera;              /* redacted URL for error bodies.  Borrowed. */
    struct refusal_log refusals;     /* zeroed at first */
    /* A client that was answered asks again: snapshot_client_require() is to be called. */
    void (*on_again)(void *ctx, struct snapshot_client *client);
    /* A connection goes back to the master.  *fd is Moved if it becomes -1. */
    const struct client_return *back;
    /* The client is gone, its memory goes when this returns. */
    void (*on_closed)(void *ctx, struct snapshot_client *client);
    void *ctx;
};

/**
 * @param env      Borrowed; outlives the client.
 * @param fd       connected socket, non-blocking.  Moved.
 * @param request  of kind IPC_CLIENT_SNAPSHOT or IPC_CLIENT_MJPEG; copied.
 * @param seq      the picture must be made from all frames of the ring before this number.
 * @return never NULL.  The client frees itself after env->on_closed().
 */
struct snapshot_client *snapshot_client_open(struct snapshot_client_env *env, int *fd,
                                             const struct ipc_client *request, uint64_t seq);

/**
 * Is it to get a picture?
 * @return the form and *seq as in snapshot_client_open(), or NULL.  Borrowed.
 */
const struct picture_form *snapshot_client_due(const struct snapshot_client *client, uint64_t *seq);

/** What a request asks for. */
struct picture_form snapshot_client_form(const struct ipc_client *request);

/** Does it ask for the newest picture, or for the newest key frame? */
enum ipc_picture snapshot_client_kind(const struct snapshot_client *client);

/** Does the client wait for a picture that is newer than this one? */
bool snapshot_client_knows(const struct snapshot_client *client,
                           const struct snapshot_picture *picture);

/** Is it unanswered for so long that an older picture is better than none? */
bool snapshot_client_accepts_older(const struct snapshot_client *client, int64_t now_ms);

/** A frame has come: an MJPEG client may become due.
 * @param seq  as in snapshot_client_open().
 * @return true if it is to get a picture now. */
bool snapshot_client_on_frame(struct snapshot_client *client, uint64_t seq, int64_t now_us);

/** Give it the picture that is due.  jpeg is Shared: takes a reference. */
void snapshot_client_answer(struct snapshot_client *client, const struct snapshot_picture *picture,
                            struct jpeg *jpeg);

/** Answer with an error if nothing was answered yet. */
void snapshot_client_fail(struct snapshot_client *client, enum http_error error,
                          const char *message);

/** Close an MJPEG client that gets no more pictures, and say why in the log. */
void snapshot_client_end(struct snapshot_client *client, const char *why);

/** Close; what is left to send is lost. */
void snapshot_client_close(struct snapshot_client *client);

/** It has asked again. @param seq  as in snapshot_client_open(). */
void snapshot_client_require(struct snapshot_client *client, uint64_t seq);

const struct ipc_client *snapshot_client_request(const struct snapshot_client *client);

/** Is it answered, and the next request has not come? */
bool snapshot_client_is_kept(const struct snapshot_client *client);

/** Give the connection back to the master, if it is kept. */
void snapshot_client_give_back(struct snapshot_client *client);

/** Enforce deadlines.  Call some times a second. */
void snapshot_client_check(struct snapshot_client *client, int64_t now_ms);

/** Has it been answered, with more to come (MJPEG)? */
bool snapshot_client_is_streaming(const struct snapshot_client *client);
/** Is it an MJPEG client, answered or not? */
bool snapshot_client_is_mjpeg(const struct snapshot_client *client);
/** Is nothing answered yet? */
bool snapshot_client_is_unanswered(const struct snapshot_client *client);
/** When it was opened; or when its time is over in which it waits for a newer picture. */
int64_t snapshot_client_waits_since_ms(const struct snapshot_client *client);
int64_t snapshot_client_opened_ms(const struct snapshot_client *client);
/** Bytes written to its socket. */
uint64_t snapshot_client_bytes(const struct snapshot_client *client);

#endif /* WORKER_SNAPSHOT_CLIENT_H */
