/*
 * What a camera's name and title may be, in the configuration file and in the API; and one list of
 * the cameras of both.  Master; pure.
 */
#ifndef MASTER_CONF_CAMERA_H
#define MASTER_CONF_CAMERA_H

#include "master/conf.h"

#include <stdbool.h>

/* For error texts, after what is wrong. */
#define CONF_CAMERA_NAME_ACCEPTED \
    "up to 63 letters, digits, '.', '_' and '-', not ending in .flv, are accepted"
#define CONF_CAMERA_TITLE_ACCEPTED "up to 127 bytes of UTF-8 text are accepted"

/** Is it a name as in CONF_CAMERA_NAME_ACCEPTED? */
bool conf_camera_name_ok(const char *name);

/** Set a title or group. @return false: the text is not accepted, and out is unchanged. */
bool conf_camera_set_text(char out[CONF_TITLE_MAX], const char *text);

/**
 * Append a camera.  conf->cameras moves.
 *
 * @return its entry in conf, Borrowed, until the next call; NULL: out of memory.
 */
struct conf_camera *conf_camera_add(struct conf *conf, const struct conf_camera *camera);

/**
 * Make the sub-streams of all cameras: conf->subs, found by name, too.  Call it again when cameras
 * have been added.
 *
 * @return 0, or -ENOMEM: conf has none.
 */
int conf_camera_make_subs(struct conf *conf);

/** @return the camera's sub-stream, or the camera of a sub-stream; NULL: it has none.  Borrowed. */
const struct conf_camera *conf_camera_sub(const struct conf *conf, const struct conf_camera *c);
const struct conf_camera *conf_camera_main(const struct conf *conf, const struct conf_camera *sub);

/**
 * Put the saved cameras ([access] manage_file) in the place of those that conf has.  A saved camera
 * with the name of one of the configuration file stays hidden: the operator's counts.
 *
 * @param saved  Borrowed.
 * @return 0, or -ENOMEM: conf is unchanged.
 */
int conf_camera_set_saved(struct conf *conf, const struct conf *saved);

#endif /* MASTER_CONF_CAMERA_H */
