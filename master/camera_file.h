/*
 * The file of the cameras that requests save ([access] manage_file): [camera "name"] sections, as
 * in the configuration file.  Master; in a thread of libuv's pool, or before the loop runs.
 *
 * The file is replaced as a whole: written beside it as PATH.new, flushed to the disk, renamed.  So
 * after a crash at any moment it holds what it held before, or all of what was written.
 */
#ifndef MASTER_CAMERA_FILE_H
#define MASTER_CAMERA_FILE_H

#include "master/conf.h"
#include "master/conf_text.h"

#include <stddef.h>

#define CAMERA_FILE_MAX 1024 /* cameras */
#define CAMERA_FILE_MODE 0640
#define CAMERA_FILE_NEW ".new" /* appended to the path while it is written */

/**
 * Read the saved cameras.  Without a file there are none.
 *
 * @param saved  overwritten; Caller owns; conf_clear_cameras().
 * @param text   on error: the file, and what is wrong.
 * @return 0 or negative errno; then saved has no cameras.
 */
int camera_file_read(const char *path, struct conf *saved, struct conf_text *text);

/**
 * Write the cameras as the file holds them.
 *
 * @return the text, *len bytes, with passwords; NULL: out of memory.  Caller owns; wipe and free().
 */
char *camera_file_format(const struct conf *saved, size_t *len);

/**
 * Replace the file.
 *
 * @param step  what failed ("write"), a literal; NULL: nothing.  After success it may be "flush the
 *              folder": then a power cut may bring the old file back.
 * @return 0: it is on the disk; negative errno: the file is as it was.
 */
int camera_file_write(const char *path, const char *bytes, size_t len, const char **step);

/** Could the file be replaced?  @return 0 or negative errno. */
int camera_file_check(const char *path);

#endif /* MASTER_CAMERA_FILE_H */
