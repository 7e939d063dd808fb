/* The part of the configuration that a camera's worker needs.  Master, loop thread; pure. */
#ifndef MASTER_CAMERA_SETTINGS_H
#define MASTER_CAMERA_SETTINGS_H

#include "common/ipc.h"
#include "master/camera.h"
#include "master/conf.h"

/** @param set  configured with conf by camera_set_configure(). */
struct ipc_settings camera_settings(const struct camera *cam, const struct conf *conf,
                                    const struct camera_set *set);

#endif /* MASTER_CAMERA_SETTINGS_H */
