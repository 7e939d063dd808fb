#include "master/camera_health.h"

static void fail(struct camera_health *health, enum http_error reason, int64_t now_us)
{
    if (health->down_since_us == 0)
        health->down_since_us = now_us;
    health->failed_us = now_us;
    health->reason = reason;
}

void camera_health_on_state(struct camera_health *health, const struct ipc_state *state,
                            int64_t now_us)
{
    if (state->state == IPC_CAMERA_STREAMING) {
        camera_health_forgive(health);
        camera_health_on_picture(health, now_us, now_us);
    } else if (state->error > HTTP_ERROR_NONE && state->error < HTTP_ERROR_COUNT) {
        fail(health, (enum http_error)state->error, now_us);
    }
}

/* A worker is not believed: no picture comes from the future. */
void camera_health_on_picture(struct camera_health *health, int64_t at_us, int64_t now_us)
{
    int64_t past_us = at_us < now_us ? at_us : now_us;
    if (past_us > health->last_frame_us)
        health->last_frame_us = past_us;
}

void camera_health_on_quarantine(struct camera_health *health, int64_t now_us)
{
    if (health->reason == HTTP_ERROR_NONE)
        fail(health, HTTP_ERROR_OVERLOADED, now_us);
}

void camera_health_expire(struct camera_health *health)
{
    health->down_since_us = 0;
    health->reason = HTTP_ERROR_NONE;
}

void camera_health_forgive(struct camera_health *health)
{
    camera_health_expire(health);
    health->failed_us = 0;
}

bool camera_health_is_known(const struct camera_health *health)
{
    return health->last_frame_us != 0 || health->down_since_us != 0;
}
