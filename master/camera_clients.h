/*
 * The clients of a camera: they are given to its worker, and when that dies, to its next one.
 * Master, loop thread.  camera_table.c decides when.
 */
#ifndef MASTER_CAMERA_CLIENTS_H
#define MASTER_CAMERA_CLIENTS_H

#include "common/ipc.h"
#include "master/camera.h"
#include "master/camera_admission.h"

#include <stdbool.h>
#include <stddef.h>

/* A worker looks at each viewer's connection between two of its reports. */
#define CLIENT_GONE_REPORTS 10

/* A worker gives a connection back; the master knows where it came from.  *fd is Moved if it
 * becomes -1. */
typedef void (*camera_return_fn)(void *ctx, const struct ipc_return *connection,
                                 const union address *from, int *fd);

/* What the clients of all cameras share. */
struct camera_clients {
    struct client_share *viewers; /* Borrowed */
    size_t sockets;               /* duplicates that we hold */
    size_t sockets_max;           /* beyond this, a client ends with its worker */
    camera_return_fn returned;
    void *ctx;        /* passed to returned() */
    uint64_t kept;    /* clients of dead workers that the next one could take */
    uint64_t cut;     /* and that were disconnected */
    uint64_t changes; /* viewers that came or left, and what else is to be written down */
    uint64_t moves;   /* viewers that got another worker */
};

/** @param viewers  Borrowed. */
void camera_clients_init(struct camera_clients *all, struct client_share *viewers,
                         camera_return_fn returned, void *ctx);

/**
 * Give a client to the camera's worker.
 *
 * @param fd  Moved on success.
 * @return 0 or negative errno, as worker_send(); then the client is not the camera's.
 */
int camera_clients_send(struct camera_clients *all, struct camera *cam,
                        const struct camera_request *request, int *fd);

/** A guest was taken over from another program, with its visit or NULL.  Moved. */
void camera_clients_remember(struct camera_clients *all, struct guest *guest, struct visit *visit);

/**
 * A client's worker gives its connection back.  Where that cannot be told from another one, because
 * there is no descriptor of the client's to compare, the client has left.
 *
 * @param fd  Moved if it becomes -1.
 * @return false: nobody has this ticket, or it is another connection.
 */
bool camera_clients_return(struct camera_clients *all, struct camera *cam,
                           const struct ipc_return *connection, int *fd);

/** A client has left. @return false: nobody has this ticket. */
bool camera_clients_left(struct camera_clients *all, struct camera *cam, uint32_t ticket);

/**
 * Once a second: does the camera's worker say so when a viewer has closed?  Looks at some of them.
 * @return false: it has kept one for CLIENT_GONE_REPORTS of its reports.
 */
bool camera_clients_obey(struct camera *cam);

/** The camera has no worker: forget the clients that have gone meanwhile. */
void camera_clients_drop_gone(struct camera_clients *all, struct camera *cam);

/** Forget all clients of a camera; those that no worker has are disconnected by that. */
void camera_clients_drop(struct camera_clients *all, struct camera *cam);

/**
 * No worker has the camera's clients, and none will: answer those whose answer has not begun, and
 * disconnect all.
 */
void camera_clients_refuse(struct camera_clients *all, struct camera *cam, enum http_error error,
                           const char *message);

/**
 * The camera's worker has ended, and cam->worker is still set: keep the clients that another one
 * can go on with, disconnect the others.
 */
void camera_clients_judge(struct camera_clients *all, struct camera *cam);

/** Move a client, which no worker has, to another camera; if that has a worker, it gets the client.
 */
void camera_clients_move(struct camera_clients *all, struct camera *cam, uint32_t ticket,
                         struct camera *target);

/** Give the clients that were kept to the camera's new worker. */
void camera_clients_give(struct camera_clients *all, struct camera *cam);

#endif /* MASTER_CAMERA_CLIENTS_H */
