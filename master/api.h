/*
 * GET /api/…: what the server knows about its cameras, as JSON.  Master, loop thread.  Camera URLs
 * are written without user name and password.
 */
#ifndef MASTER_API_H
#define MASTER_API_H

#include "master/camera.h"
#include "master/conf.h"

/*
 * Every list says of a camera: title and group (null without one), state, since (RFC 3339), reason
 * (the code of its newest failure), down_since (the first failure since it last streamed),
 * last_frame_at, viewers.  A configured camera that nobody watches is "unwatched".
 */

/**
 * The named cameras: {"cameras":[{"name","camera_url","cam_type",
 * "always_on","saved", and the above}],"manage"}.
 * @return JSON text, NULL when out of memory.  Caller owns; free().
 */
char *api_cameras(const struct conf *conf, const struct camera_set *set);

/** One of them, without a list around it. @return as above. */
char *api_camera(const struct conf *conf, const struct camera_set *set,
                 const struct conf_camera *camera);

/**
 * The cameras that are served now or still remembered, then the other named ones:
 * {"streams":[{…}]}.
 *
 * Each has id, name (null unless configured), camera_url, cam_type, video_codec and audio_codec of
 * the camera, width, height, frame_rate, bit_rate (bit/s, from the camera), last_error (code or
 * null), restarts, next_try (RFC 3339 or null), and the above.
 *
 * @return JSON text, NULL when out of memory.  Caller owns; free().
 */
char *api_streams(const struct conf *conf, const struct camera_set *set);

/**
 * The camera that the query names: {"camera":…,"title":…,"streams":[…]} with one stream or none.
 *
 * @param label  name or redacted URL.  Borrowed.
 * @param c      the camera in the configuration; NULL: it is not there.
 * @param cam    NULL: it is neither served nor remembered.
 * @return as above.
 */
char *api_streams_of(const struct conf *conf, const char *label, const struct conf_camera *c,
                     const struct camera *cam);

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
char *api_stream(const struct conf *conf, const struct camera *cam);

/** The same of a named camera that is neither served nor remembered. @return as above. */
char *api_stream_unwatched(const struct conf *conf, const struct conf_camera *c);

#endif /* MASTER_API_H */
