/*
 * The states of a worker's camera connection.  Pure.
 *
 *   IDLE --first viewer--> CONNECTING --first frame--> STREAMING
 *    ^  ^                   |   ^    ^                    |
 *    |  |   nobody is left, |   |    | timer              | error, stall
 *    |  |   or no viewer    |   |    |                    v
 *    |  +-------------------+   +--- BACKOFF <------------+
 *    |                      error ---->^ |
 *    +---------------- nobody is left ---+-------------- (from STREAMING too)
 */
#ifndef WORKER_CAMERA_STATE_H
#define WORKER_CAMERA_STATE_H

#include "common/ipc.h"

#include <stdbool.h>

#define CAMERA_STATE_BIT(s) (1u << (s))

/* clang-format off */
/* X(NAME, states that may come next) */
#define CAMERA_STATE_MOVES(X)                                                                     \
    X(IDLE, CAMERA_STATE_BIT(IPC_CAMERA_CONNECTING) | CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF))       \
    X(CONNECTING, CAMERA_STATE_BIT(IPC_CAMERA_STREAMING) |                                        \
      CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF) | CAMERA_STATE_BIT(IPC_CAMERA_IDLE))                   \
    X(STREAMING, CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF) | CAMERA_STATE_BIT(IPC_CAMERA_IDLE))        \
    X(BACKOFF, CAMERA_STATE_BIT(IPC_CAMERA_CONNECTING) | CAMERA_STATE_BIT(IPC_CAMERA_IDLE))
/* clang-format on */

/** May this state follow that one? */
bool camera_state_may(enum ipc_camera_state from, enum ipc_camera_state to);

#endif /* WORKER_CAMERA_STATE_H */
