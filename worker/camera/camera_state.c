#include "worker/camera/camera_state.h"

#include <assert.h>

static const struct {
    const char *name;
    uint32_t to;
} states[IPC_CAMERA_STATE_COUNT] = {
#define X(state, text, next) [IPC_CAMERA_##state] = {.name = (text), .to = (next)},
    CAMERA_STATES(X)
#undef X
};

bool camera_state_may(enum ipc_camera_state from, enum ipc_camera_state to)
{
    assert(from < IPC_CAMERA_STATE_COUNT && to < IPC_CAMERA_STATE_COUNT);
    return (states[from].to & CAMERA_STATE_BIT(to)) != 0;
}

const char *camera_state_name(enum ipc_camera_state state)
{
    assert(state < IPC_CAMERA_STATE_COUNT);
    return states[state].name;
}
