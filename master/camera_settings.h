/* What a camera's worker is told of the configuration.  Master, loop thread; pure. */
#ifndef MASTER_CAMERA_SETTINGS_H
#define MASTER_CAMERA_SETTINGS_H

#include "common/ipc.h"
#include "master/camera.h"
#include "master/conf.h"

/** @param set  has taken in the configuration. */
struct ipc_settings camera_settings(const struct camera *cam, const struct conf *conf,
                                    const struct camera_set *set);

#endif /* MASTER_CAMERA_SETTINGS_H */
