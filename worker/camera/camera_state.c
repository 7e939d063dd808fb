#include "worker/camera/camera_state.h"

#include <assert.h>

static const uint32_t moves[IPC_CAMERA_STATE_COUNT] = {
#define X(state, next) [IPC_CAMERA_##state] = (next),
    CAMERA_STATE_MOVES(X)
#undef X
};

bool camera_state_may(enum ipc_camera_state from, enum ipc_camera_state to)
{
    assert(from < IPC_CAMERA_STATE_COUNT && to < IPC_CAMERA_STATE_COUNT);
    return (moves[from] & CAMERA_STATE_BIT(to)) != 0;
}
