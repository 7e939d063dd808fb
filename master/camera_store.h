/*
 * Saves and removes cameras at the wish of requests ([access] manage): changes the file
 * (camera_file.h), then the configuration in force, as a reload would.  Master, loop thread.  A
 * thread of libuv's pool reads, changes and writes the file: the loop never waits for a disk.
 *
 * Changes are made one after the other, each to the file as it is by then.  The operator's
 * configuration file is never written, and its cameras are never changed.
 */
#ifndef MASTER_CAMERA_STORE_H
#define MASTER_CAMERA_STORE_H

#include "common/http_reply.h"
#include "master/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAMERA_STORE_QUEUE_MAX 64 /* changes that wait; beyond: 503 */
#define CAMERA_STORE_MESSAGE_MAX 1024

struct server;
struct camera_store_change;

/* Zeroed, then camera_store_init(). */
struct camera_store {
    struct server *server;
    struct conf *conf;                                         /* the server's, writable */
    struct camera_store_change *queue[CAMERA_STORE_QUEUE_MAX]; /* a ring */
    size_t first;                                              /* index of the next one to make */
    size_t queued;
    bool writing;                    /* the first is in the thread */
    uint64_t saved, removed, failed; /* changes so far, for metrics */
};

/* What became of a change. */
struct camera_store_result {
    enum http_error error;            /* HTTP_ERROR_NONE: it was made */
    const char *message;              /* with an error */
    const struct conf_camera *camera; /* saved, or the name of the removed one */
    bool replaced;                    /* the camera was there before */
    bool removed;
};

typedef void (*camera_store_fn)(struct server *server, uint64_t conn_id,
                                const struct camera_store_result *result);

/** @param server, conf  Borrowed. */
void camera_store_init(struct camera_store *store, struct server *server, struct conf *conf);

/**
 * Save a camera under its name, or remove the one of that name.
 *
 * @param camera    copied; to remove one, only its name counts.
 * @param only_new  If-None-Match: * (RFC 9110 section 13.1.2): a camera of this name that is saved
 *                  already stays as it is, and the error is HTTP_ERROR_CAMERA_EXISTS.
 * @param peer      who wants it, for the log.
 * @param done      called once with conn_id, never while the server is draining.
 * @return false: too many changes wait; done is not called.
 */
bool camera_store_change(struct camera_store *store, const struct conf_camera *camera, bool remove,
                         bool only_new, const char *peer, uint64_t conn_id, camera_store_fn done);

/** Another program takes this one's place: log the changes that it does not wait for. */
void camera_store_give_up(const struct camera_store *store);

#endif /* MASTER_CAMERA_STORE_H */
