/*
 * The life of a worker's camera connection.  Pure.
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
/* X(NAME, name, states it may go to) */
#define CAMERA_STATES(X)                                                                          \
    X(IDLE, "idle", CAMERA_STATE_BIT(IPC_CAMERA_CONNECTING) | CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF)) \
    X(CONNECTING, "connecting", CAMERA_STATE_BIT(IPC_CAMERA_STREAMING) |                          \
      CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF) | CAMERA_STATE_BIT(IPC_CAMERA_IDLE))                   \
    X(STREAMING, "streaming", CAMERA_STATE_BIT(IPC_CAMERA_BACKOFF) |                              \
      CAMERA_STATE_BIT(IPC_CAMERA_IDLE))                                                          \
    X(BACKOFF, "backoff", CAMERA_STATE_BIT(IPC_CAMERA_CONNECTING) |                               \
      CAMERA_STATE_BIT(IPC_CAMERA_IDLE))
/* clang-format on */

bool camera_state_may(enum ipc_camera_state from, enum ipc_camera_state to);
const char *camera_state_name(enum ipc_camera_state state);

#endif /* WORKER_CAMERA_STATE_H */
