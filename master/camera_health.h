/*
 * Whether a camera delivers pictures: since when it does not, why, and when the last one came.
 * Master, loop thread; pure: the caller passes the time.  Outlives the camera's workers.
 */
#ifndef MASTER_CAMERA_HEALTH_H
#define MASTER_CAMERA_HEALTH_H

#include "common/http_reply.h"
#include "common/ipc.h"

#include <stdbool.h>
#include <stdint.h>

/* Times are of clock_us().  Starts zeroed. */
struct camera_health {
    int64_t last_frame_us;  /* when the newest picture came; 0: none has come */
    int64_t down_since_us;  /* the first failure since it last streamed; 0: none */
    int64_t failed_us;      /* the newest failure since it last streamed; 0: none */
    enum http_error reason; /* of the newest failure; NONE while down_since_us is 0 */
};

/** The camera's worker has reported a state. */
void camera_health_on_state(struct camera_health *health, const struct ipc_state *state,
                            int64_t now_us);

/** The camera's worker has reported when the newest picture came. @param at_us  0: none has. */
void camera_health_on_picture(struct camera_health *health, int64_t at_us, int64_t now_us);

/** The camera's workers die again and again. */
void camera_health_on_quarantine(struct camera_health *health, int64_t now_us);

/** An operator wants it: its failures do not count any more. */
void camera_health_forgive(struct camera_health *health);

/** Nobody wanted it for a while: what was wrong then says nothing of today.  failed_us stays. */
void camera_health_expire(struct camera_health *health);

/** Is there something to remember? */
bool camera_health_is_known(const struct camera_health *health);

#endif /* MASTER_CAMERA_HEALTH_H */
