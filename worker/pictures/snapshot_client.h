/*
 * One client of pictures: a snapshot (answered once) or MJPEG (a picture whenever one is due).
 * Worker, loop thread.  Never blocks; a JPEG is shared by all clients that get it, not copied.
 *
 * A kept connection stays here for SNAPSHOT_KEPT_MS after the master admitted its request: the same
 * request, byte for byte, is answered again.  On any other request, or after that time, the
 * connection goes back to the master, which checks the client's rights.
 *
 * Bounds: one picture in transit per client; an MJPEG client gets the next one when it has taken
 * that.  A client that takes nothing for viewer_stall_timeout_ms is disconnected.
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

/* A request waits this much longer than connecting may take, so that the source's own error comes
 * first. */
#define SNAPSHOT_GRACE_MS 1000
/* After this the master checks the client's rights again. */
#define SNAPSHOT_KEPT_MS 1000
/* After this a client accepts an older picture: cameras send a key frame every second or two. */
#define SNAPSHOT_PATIENCE_MS 2000
/* But none older than this. */
#define SNAPSHOT_OLD_MAX_MS 10000

struct snapshot_client;

/* What all clients of a camera have in common. */
struct snapshot_client_env {
    uv_loop_t *loop;
    const struct ipc_limits *limits; /* Borrowed; may change */
    const char *camera;              /* redacted URL for error bodies.  Borrowed. */
    struct refusal_log refusals;     /* zeroed at first */
    /* An answered client asks again: call snapshot_client_require(). */
    void (*on_again)(void *ctx, struct snapshot_client *client);
    /* A connection goes back to the master.  *fd is Moved if it becomes -1. */
    const struct client_return *back;
    /* The client is gone; its memory is freed when this returns. */
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
 * Is a picture due to the client?
 * @return its form, and *seq as in snapshot_client_open(); NULL: none is due.  Borrowed.
 */
const struct picture_form *snapshot_client_due(const struct snapshot_client *client, uint64_t *seq);

/** The form that a request asks for. */
struct picture_form snapshot_client_form(const struct ipc_client *request);

/** Since when it has been due, clock_us(): in this order a client's own requests are served. */
int64_t snapshot_client_due_since_us(const struct snapshot_client *client);

/** Does it ask for the newest picture, or for the newest key frame? */
enum ipc_picture snapshot_client_kind(const struct snapshot_client *client);

/** Does the client wait for a picture that is newer than this one? */
bool snapshot_client_knows(const struct snapshot_client *client,
                           const struct snapshot_picture *picture);

/** Has it been unanswered for so long that an older picture is better than none? */
bool snapshot_client_accepts_older(const struct snapshot_client *client, int64_t now_ms);

/** A frame has come: an MJPEG client may become due.
 * @param seq  as in snapshot_client_open().
 * @return true if a picture is due to it now. */
bool snapshot_client_on_frame(struct snapshot_client *client, uint64_t seq, int64_t now_us);

/** Give it the picture that is due.  jpeg is Shared: takes a reference. */
void snapshot_client_answer(struct snapshot_client *client, const struct snapshot_picture *picture,
                            struct jpeg *jpeg);

/** Answer with an error, if the client is unanswered. */
void snapshot_client_fail(struct snapshot_client *client, enum http_error error,
                          const char *message);

/** Close an MJPEG client that gets no more pictures, and say why in the log. */
void snapshot_client_end(struct snapshot_client *client, const char *why);

/** Close; bytes not sent yet are lost. */
void snapshot_client_close(struct snapshot_client *client);

/** Set what a repeated request requires. @param seq  as in snapshot_client_open(). */
void snapshot_client_require(struct snapshot_client *client, uint64_t seq);

/** What it asks for.  Borrowed. */
const struct ipc_client *snapshot_client_request(const struct snapshot_client *client);

/** Is it answered, and waiting for its next request? */
bool snapshot_client_is_kept(const struct snapshot_client *client);

/** Give the connection back to the master, if it is kept. */
void snapshot_client_give_back(struct snapshot_client *client);

/** Enforce deadlines.  Call a few times a second. */
void snapshot_client_check(struct snapshot_client *client, int64_t now_ms);

/** Could another worker go on with it, if it is not closed? */
bool snapshot_client_is_whole(const struct snapshot_client *client);
/** Has it been answered, with more to come (MJPEG)? */
bool snapshot_client_is_streaming(const struct snapshot_client *client);
/** Is it an MJPEG client, answered or not? */
bool snapshot_client_is_mjpeg(const struct snapshot_client *client);
/** Is a picture due to it, and nothing answered yet? */
bool snapshot_client_is_unanswered(const struct snapshot_client *client);
/** When it was opened, plus the time that it asked to wait for a newer picture. */
int64_t snapshot_client_waits_since_ms(const struct snapshot_client *client);
int64_t snapshot_client_opened_ms(const struct snapshot_client *client);
/** Bytes written to its socket. */
uint64_t snapshot_client_bytes(const struct snapshot_client *client);

#endif /* WORKER_SNAPSHOT_CLIENT_H */
