/*
 * GET /api/…: what the server knows about its cameras, as JSON.  Master, loop thread.  Camera URLs
 * are written without user name and password.
 */
#ifndef MASTER_API_H
#define MASTER_API_H

#include "master/camera.h"
#include "master/conf.h"

/**
 * The named cameras: {"cameras":[{"name","title","camera_url","cam_type","always_on","saved"}],
 * "manage"}.
 * @return JSON text, NULL when out of memory.  Caller owns; free().
 */
char *api_cameras(const struct conf *conf);

/** One of them, without a list around it. @return as above. */
char *api_camera(const struct conf_camera *camera);

/**
 * The cameras that are served now or still remembered: {"streams":[{…}]}.
 *
 * Each has id, name (null unless configured), camera_url, cam_type, state, since (RFC 3339),
 * video_codec and audio_codec of the camera, width, height, frame_rate, bit_rate (bit/s, from the
 * camera), viewers, last_error (code or null), restarts, next_try (RFC 3339 or null).
 *
 * @return JSON text, NULL when out of memory.  Caller owns; free().
 */
char *api_streams(const struct camera_list *cameras);

/**
 * The camera that the query names: {"camera":…,"title":…,"streams":[…]} with one stream or none.
 *
 * @param label  name or redacted URL.  Borrowed.
 * @param title  the camera's; "": null in the answer.  Borrowed.
 * @param cam    NULL: it is neither served nor remembered.
 * @return as above.
 */
char *api_streams_of(const char *label, const char *title, const struct camera *cam);

/**
 * A signature of a camera's links: {"camera":…,"expires":…,"signature":…}.
 *
 * @param label      name or redacted URL.  Borrowed.
 * @param expires_s  UNIX time.
 * @param signature  NULL: there is no signing key; then expires and signature are null.
 * @return as above.
 */
char *api_signature(const char *label, int64_t expires_s, const char *signature);

/** One stream, without a list around it. @return as above. */
char *api_stream(const struct camera *cam);

#endif /* MASTER_API_H */
