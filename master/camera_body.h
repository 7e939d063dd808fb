/*
 * The JSON body of PUT /api/cameras/NAME -> struct conf_camera.  Master, loop thread; pure.  What
 * it accepts can be written to the file of saved cameras and is read from there as the same.
 */
#ifndef MASTER_CAMERA_BODY_H
#define MASTER_CAMERA_BODY_H

#include "common/http_reply.h"
#include "master/conf.h"

#include <stddef.h>

/* Bytes.  Two URLs of 2047 bytes fit, and each byte of one of them may be escaped. */
#define CAMERA_BODY_MAX 16384
#define CAMERA_BODY_MESSAGE_MAX 256

/* Why a body is refused.  The message holds no part of the camera's URL. */
struct camera_fault {
    enum http_error error;
    char message[CAMERA_BODY_MESSAGE_MAX];
};

/**
 * Read the body: an object with camera_url and, where wanted, cam_type, title, group, always_on and
 * sub, as GET /api/cameras shows them; sub may be a URL with sub_type, too.  null means left out.
 *
 * @param name    conf_camera_name_ok().
 * @param access  which cameras may be named; with a list, the host has to be in it.  Borrowed.
 * @param camera  filled on success.
 * @return 0, or -EINVAL with fault filled.
 */
int camera_body_read(const char *name, const char *body, size_t len,
                     const struct ipc_access *access, struct conf_camera *camera,
                     struct camera_fault *fault);

#endif /* MASTER_CAMERA_BODY_H */
