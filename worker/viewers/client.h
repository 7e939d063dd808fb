/*
 * One viewer: answers its request, then writes FLV from the frame ring, as plain HTTP or as
 * WebSocket messages.  Worker, loop thread.  Never blocks, never copies a payload.
 *
 * A viewer holds a position in the ring, and one reference to a frame that the socket took only in
 * part.  Bounds: a viewer further behind than queue_max_ms continues at the next key frame; one
 * that takes nothing for viewer_stall_timeout_ms is disconnected.
 */
#ifndef WORKER_CLIENT_H
#define WORKER_CLIENT_H

#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/refusal_log.h"
#include "worker/media/frame_ring.h"

#include <uv.h>

enum client_state {
    CLIENT_WAITING,   /* nothing answered yet: the camera is connecting */
    CLIENT_STREAMING, /* answered, gets frames; if another worker answered it, from client_start()
                       */
    CLIENT_REFUSED,   /* answered with an error, may still be reading it */
    CLIENT_CLOSED     /* its socket is closed; on_closed() follows */
};

struct client;

/* What decides which of a camera's outputs is a viewer's, as in struct ipc_client. */
struct client_wish {
    uint32_t allow_h265;
    uint32_t av1;
    uint32_t height;
};

/* What all viewers of a fanout have in common. */
struct client_env {
    uv_loop_t *loop;
    struct frame_ring *ring;         /* Borrowed */
    const struct ipc_limits *limits; /* Borrowed; may change */
    struct refusal_log refusals;     /* zeroed at first */
    const char *camera;              /* redacted URL for error bodies.  Borrowed. */
    int64_t sound_held_us;           /* how long audio may wait for the next video frame */
    /* The viewer is gone; its memory is freed when this returns. */
    void (*on_closed)(void *ctx, struct client *client);
    /* A viewer has a backlog: call client_catch_up(). */
    void (*on_backlog)(void *ctx);
    void *ctx;
};

/* What a viewer has received and missed. */
struct client_totals {
    uint64_t bytes;          /* written to its socket */
    uint64_t frames_skipped; /* because it was too slow */
};

/**
 * Take over a viewer; it waits until client_start().  If its request is resumed, another worker has
 * answered it, and its slot says how far it got.
 *
 * @param env      Borrowed; outlives the client.
 * @param fd       connected socket, non-blocking.  Moved.
 * @param request  copied.
 * @return never NULL.  The client frees itself after env->on_closed().
 */
struct client *client_open(struct client_env *env, int *fd, const struct ipc_client *request);

/**
 * Let another stream serve a viewer.  One that waits goes on waiting; one that plays goes on at
 * that stream's next key frame, in the same answer.
 *
 * @param env  as for client_open().
 */
void client_move(struct client *client, struct client_env *env);

/** Does it wait for client_start()? */
bool client_awaits_start(const struct client *client);

/**
 * Answer a waiting viewer and begin with the frames it asked for, if the ring has them.  A viewer
 * of a codec that FLV does not carry is refused.  Go on with the answer that another worker began.
 *
 * @param audio  AAC configuration of the stream, or NULL.  Borrowed.
 */
void client_start(struct client *client, struct codec_config *audio);

/** Write new frames.  Does nothing while the socket is full or the viewer has a backlog. */
void client_flush(struct client *client);

/** Write a part of the viewer's backlog. @return false: it has none to write now. */
bool client_catch_up(struct client *client);

/** Answer a waiting viewer with an error, in the close frame if it is a WebSocket, then close. */
void client_fail(struct client *client, enum http_error error, const char *message);

/** Close a viewer that is playing, because of an error; a WebSocket is told it. */
void client_end(struct client *client, enum http_error error, const char *why);

/** Close; a WebSocket viewer gets a close frame first, if possible.  why is for the log. */
void client_close(struct client *client, const char *why);

/** Enforce deadlines.  Call about once a second. */
void client_check(struct client *client, int64_t now_ms);

/** Could another worker go on with it, if it is not closed? */
bool client_is_whole(const struct client *client);

enum client_state client_get_state(const struct client *client);
const struct ipc_client *client_request(const struct client *client); /* NULL once streaming */
const struct client_wish *client_get_wish(const struct client *client);

/** Was the viewer told that its video is H.264? */
bool client_plays_h264(const struct client *client);

/** When the worker got it, clock_ms(). */
int64_t client_opened_ms(const struct client *client);
struct client_totals client_totals(const struct client *client);

#endif /* WORKER_CLIENT_H */
